"""What goes wrong around a reading: files of nobody, folders that are no lakes, disks that are full."""

import errno
import json
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from flowlore.cli import run
from flowlore.cli.demo import DEMO_CAPTURE

CAPTURE = str(DEMO_CAPTURE)
DNS = ["--where", "dst_port = 53"]


OSFile = pa.OSFile


def on_a_full_disk(path: str, mode: str) -> Any:
    """A file of Arrow's on a disk without room."""
    Path(path).touch()
    return OSFile("/dev/full", mode)


def test_files_that_nobody_reads_are_named(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folder, output = tmp_path / "in", str(tmp_path / "out.jsonl")
    folder.mkdir()
    shutil.copy(CAPTURE, folder / "a.pcap")
    for number in range(5):
        (folder / f"note{number}.txt").write_text("dear diary\n")
    assert run(["flows", str(folder), "-o", output, *DNS]) == 0
    printed = capsys.readouterr().out
    assert "note0.txt: not read (text that begins with `dear diary`)" in printed
    assert "… and 2 more that are not read" in printed
    assert "packets a second" in printed
    assert run(["flows", str(folder), "-o", output, "--overwrite", "--json", *DNS]) == 0
    assert len(json.loads(capsys.readouterr().out)["unrecognised"]) == 5
    assert run(["inspect", str(folder), *DNS]) == 0
    assert "note0.txt: not read" in capsys.readouterr().out


def test_a_message_about_a_strange_file_steers_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "strange").write_bytes(b"a plain text with \x1b[2J one thing in it that is none\n" * 9)
    assert run(["inspect", str(tmp_path / "strange")]) == 2
    said = capsys.readouterr().err
    assert "\\x1b[2J" in said and "\x1b" not in said and said.count("\n") == 3


def test_a_capture_without_packets_is_told(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    capture = tmp_path / "none.pcap"
    capture.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1))
    assert run(["flows", str(capture), "-o", str(tmp_path / "out.jsonl")]) == 0
    assert "\nno packet and no record was in it\n0 flows" in capsys.readouterr().out


def test_a_lake_says_that_it_held_the_flows_already(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    arguments = ["flows", CAPTURE, "-o", f"{tmp_path}/lake/", *DNS]
    assert run(arguments) == 0
    assert "nothing was added" not in capsys.readouterr().out
    assert run(arguments) == 0
    assert "nothing was added" in capsys.readouterr().out
    assert run([*arguments[:3], f"{tmp_path}/lake", *DNS]) == 0  # a folder that is a lake needs no `/`


def test_a_folder_of_other_things_becomes_no_lake(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "letter.txt").write_text("dear diary")
    assert run(["flows", CAPTURE, "-o", str(tmp_path), *DNS]) == 2
    assert f"hint: end the name with `/` to make it one all the same: `{tmp_path}/`" in capsys.readouterr().err
    assert [one.name for one in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_full_disk_names_the_page_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(pa, "OSFile", on_a_full_disk)
    page = tmp_path / "page.html"
    assert run(["inspect", CAPTURE, "--html", str(page), *DNS]) == 2
    assert f"cannot write `{page}`: no space is left on the disk\n\nhint: make room" in capsys.readouterr().err
    for arguments in (["flows", CAPTURE, "-o", f"{tmp_path}/lake/", *DNS], ["demo", "-o", f"{tmp_path}/demo"]):
        assert run(arguments) == 2
        assert "no space is left on the disk" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_state_that_cannot_be_written_is_helped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    arguments = ["flows", CAPTURE, "-o", str(tmp_path / "x.jsonl"), *DNS, "--state"]
    assert run([*arguments, str(tmp_path / "nowhere" / "state")]) == 2
    assert "its folder does not exist\n\nhint: make the folder first" in capsys.readouterr().err

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "savez", full)
    state = tmp_path / "state"
    assert run([*arguments, str(state)]) == 2
    assert f"cannot write `{state}`: no space is left on the disk\n\nhint: make room" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("listen", "hint"),
    [
        ("no.such.host.invalid", "no such host is known\n\nhint: give an address of this machine"),
        ("192.0.2.1:2055", "hint: the address is not of this machine"),
    ],
)
def test_what_cannot_be_listened_on_is_helped_by_its_cause(
    listen: str, hint: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert run(["flows", "--listen", listen, "-o", str(tmp_path / "x.jsonl")]) == 2
    assert hint in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "may_be_live"),
    [(["flows"], True), (["rates", "-o", "rates.parquet"], True), (["inspect"], False), (["graph"], False)],
)
def test_a_verb_that_was_given_nothing_names_itself_and_its_own_ways_in(
    arguments: list[str], may_be_live: bool, capsys: pytest.CaptureFixture
) -> None:
    assert run(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"{arguments[0]}: nothing to read was named")
    assert ("--listen" in said) == may_be_live


@pytest.mark.parametrize("unbuffered", ["1", ""])
def test_flows_on_standard_output_are_whole_or_an_error(tmp_path: Path, unbuffered: str) -> None:
    def little_room() -> None:  # a file may have so many bytes: the write that reaches it is cut, as on a full disk
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))

    program = "from flowlore.cli import main; main()"
    output = tmp_path / "flows.jsonl"
    with output.open("wb") as stream:
        ended = subprocess.run(
            [sys.executable, "-c", program, "flows", CAPTURE, "-o", "-", "--no-progress"],
            stdout=stream,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
            preexec_fn=little_room,
        )
    told = ended.stderr.decode()
    assert output.stat().st_size == 5_000
    assert ended.returncode == 2
    assert "cannot write to standard output: the file would be larger than the system allows" in told
    assert "what was written so far stays, and is not the whole" in told
    assert "Traceback" not in told and "removed" not in told
