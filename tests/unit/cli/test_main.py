"""One place turns what went wrong into text and an exit code."""

import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

import flowlore.cli.app
from flowlore.cli import run
from flowlore.cli.app import GROUPS, VERBS
from flowlore.errors import FlowloreError

ALL_VERBS = [*VERBS, *(f"{group} {word}" for group in GROUPS for word in GROUPS[group])]


def raising(error: BaseException):  # type: ignore[no-untyped-def]
    def app(**_: object) -> None:
        raise error

    return app


def test_a_users_mistake_is_one_message_and_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(flowlore.cli.app, "app", raising(FlowloreError("netflow: no template", hint="wait")))
    assert run([]) == 2
    assert capsys.readouterr().err == "netflow: no template\n\nhint: wait\n"


def test_our_mistake_is_a_traceback_and_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(flowlore.cli.app, "app", raising(ZeroDivisionError("seven")))
    assert run([]) == 1
    printed = capsys.readouterr().err
    assert "ZeroDivisionError: seven" in printed
    assert "please report" in printed.splitlines()[-1]


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (BrokenPipeError(), 0, ""),
        (SystemExit(3), 3, ""),
        (
            OSError(28, "No space left on device", "/full/flows.parquet"),
            2,
            "No space left on device: `/full/flows.parquet`",
        ),
    ],
)
def test_other_endings(
    error: BaseException, code: int, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(flowlore.cli.app, "app", raising(error))
    assert run([]) == code
    printed = capsys.readouterr().err
    assert words in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize("arguments", [["flos"], ["flows", "--nonsense"], ["query"], ["flows", "--count", "0"]])
def test_wrong_usage_is_2(arguments: list[str], capsys: pytest.CaptureFixture) -> None:
    assert run(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("flowlore")
    assert "\n\nhint: `flowlore" in said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("x", "flowlore flows: `--count` is `x`, but must be a whole number\n"),
        ("0", "flowlore flows: `--count` is `0`, but must be at least 1\n"),
    ],
)
def test_a_wrong_number_is_told_in_our_words(given: str, said: str, capsys: pytest.CaptureFixture) -> None:
    assert run(["flows", "--count", given]) == 2
    assert capsys.readouterr().err.startswith(said)


def test_a_wrong_verb_is_helped(capsys: pytest.CaptureFixture) -> None:
    run(["flos"])
    assert "Did you mean 'flows'?" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ALL_VERBS)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture) -> None:
    assert run([*verb.split(), "--help"]) == 0
    assert f"Usage: flowlore {verb}" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ALL_VERBS)
def test_every_verb_prints_json(verb: str, capsys: pytest.CaptureFixture) -> None:
    run([*verb.split(), "--help"])
    assert "--json" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"flowlore {flowlore.__version__}\n"


def test_a_reader_that_goes_away_is_no_error() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [sys.executable, "-m", "flowlore", "columns"], stdout=write_end, stderr=subprocess.PIPE, timeout=60
    )
    os.close(write_end)
    assert done.stderr == b""
    assert done.returncode == 0


def test_ended_politely_no_file_stays(tmp_path: Path) -> None:
    output = tmp_path / "flows.parquet"
    command = [sys.executable, "-m", "flowlore", "flows", "-", "-o", str(output)]
    meter = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert meter.stdin
    meter.stdin.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1))
    meter.stdin.flush()
    while not any(path.name.endswith(".part") for path in tmp_path.iterdir()) and meter.poll() is None:
        time.sleep(0.05)
    meter.send_signal(signal.SIGTERM)
    said = meter.communicate(timeout=60)[1].decode()
    # A shell shows 130 for both: Python ends by SIGINT where the interrupt met it inside an `eval`, as imports have.
    assert meter.returncode in (130, -signal.SIGINT), said
    assert "interrupted" in said
    assert list(tmp_path.iterdir()) == []


def test_columns_and_config_as_json(capsys: pytest.CaptureFixture) -> None:
    assert run(["columns", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "start"
    assert run(["config", "--json", "--set", "meter.idle_timeout_s=7"]) == 0
    resolved = json.loads(capsys.readouterr().out)
    assert resolved["config"]["meter"]["idle_timeout_s"] == 7.0
    assert len(resolved["config_hash"]) == 12
