"""`flowlore flows --listen`: exports over a real socket, until a count, a time or Ctrl-C ends it."""

import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from exportsmade import free_port, netflow_v5, sending
from flowlore.cli import run
from flowlore.cli.stopping import stop_on_signal


def test_a_count_of_datagrams_ends_it(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    port, output = free_port(), tmp_path / "flows.jsonl"
    arguments = [
        "flows",
        "--listen",
        f"127.0.0.1:{port}",
        "-o",
        str(output),
        "--count",
        "2",
        "--duration",
        "60",
        "--json",
    ]
    with sending(port, netflow_v5(3)):
        assert run(arguments) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["records"] >= 6
    assert report["recognised"] == {f"udp 127.0.0.1:{port}": "exports over UDP"}
    assert report["records"] == report["records_in_flows"] + sum(report["skipped"].values())
    assert report["flows"] == len(output.read_text().splitlines()) > 0


def test_a_time_ends_it_although_nothing_comes(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    output = tmp_path / "flows.jsonl"
    assert run(["flows", "--listen", f"127.0.0.1:{free_port()}", "-o", str(output), "--duration", "0.3"]) == 0
    assert output.read_text() == ""


def test_that_it_listens_is_told_and_that_nothing_came(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    place = f"127.0.0.1:{free_port()}"
    arguments = ["flows", "--listen", place, "-o", str(tmp_path / "flows.jsonl"), "--duration", "0.2"]
    assert run([*arguments, "--progress"]) == 0
    told = capsys.readouterr()
    assert told.err == f"listening on {place}; for 0.2 s, and what came is kept\n"
    assert "\n0 datagrams came\n" in told.out
    assert run([*arguments, "--overwrite"]) == 0
    assert capsys.readouterr().err == ""  # no terminal


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may capture")
def test_that_an_interface_is_open_is_told(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    arguments = ["flows", "-i", "lo", "-o", str(tmp_path / "flows.jsonl"), "--duration", "0.2"]
    assert run([*arguments, "--progress"]) == 0
    told = capsys.readouterr()
    assert told.err == "listening on lo; for 0.2 s, and what came is kept\n"
    assert "packets" in told.out


def test_a_port_that_is_taken_is_told(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
        assert run(["flows", "--listen", f"127.0.0.1:{port}", "-o", str(tmp_path / "flows.jsonl")]) == 2
    assert f"cannot listen on 127.0.0.1 port {port}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_first_ctrl_c_stops_and_the_second_interrupts() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop_on_signal() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.wait(5)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interface_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(["flows", "-i", "no-such-if0", "-o", str(tmp_path / "flows.jsonl")]) == 2
    assert "no-such-if0" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
