"""`flowlore detect` over traffic that goes on: exports over a real socket, and files as if they were."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import flowlore
from floodsmade import attacked, flood, usual
from flowlore.cli import run
from flowlore.tasks.ddos.detector import CONTEXT
from ratesmade import Flow, batch_of, host

FIRST_S = 1_700_000_000
STEPS, ONSET, LASTS = 40, 30, 5  # of a second


def exported(step: int) -> bytes:
    """NetFlow v5 of one second: a client's request to a server, and from some time on a flood of it."""
    packets = 5_000 if ONSET <= step < ONSET + LASTS else 40
    header = struct.pack(">HHIIIIBBH", 5, 1, 100_000, FIRST_S + step, 0, step, 0, 0, 0)
    ends = (bytes((10, 0, 0, 1 + step % 3)), bytes((10, 9, 9, 9)), bytes(4))
    numbers = (1, 2, packets, 60 * packets, 99_200, 99_900, 40_000 + step, 443, 0, 0x1B, 17, 0, 0, 0, 24, 24, 0)
    return header + struct.pack(">4s4s4sHHIIIIHHBBBBHHBBH", *ends, *numbers)


@pytest.fixture
def quiet(tmp_path: Path) -> Path:
    flowlore.Flows(batch_of(usual(np.random.default_rng(4), 200))).write(tmp_path / "quiet.parquet")
    return tmp_path / "quiet.parquet"


def test_a_flood_over_a_socket_is_told_as_it_begins_and_ends(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    calm = [
        Flow(start=step * 1_000_000_000, dst=host(1), packets=(40 + step % 7, 0), bytes=(2_400, 0))
        for step in range(300)
    ]
    flowlore.Flows(batch_of(calm)).write(tmp_path / "quiet.parquet")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    done = threading.Event()

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.connect(("127.0.0.1", port))
            while not done.wait(0.05):  # until somebody listens
                try:
                    one.send(b"")
                    time.sleep(0.01)
                    one.send(b"")
                    break
                except ConnectionRefusedError:
                    continue
            for step in range(STEPS):
                one.send(exported(step))

    thread = threading.Thread(target=send)
    thread.start()
    words = ["detect", "--listen", f"127.0.0.1:{port}", "--quiet", str(tmp_path / "quiet.parquet"), "--step", "1s"]
    try:
        assert run([*words, "--duration", "3", "--set", "rates.lateness_s=1", "--json"]) == 0
    finally:
        done.set()
        thread.join()
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["event"], one.get("host")) for one in events] == [
        ("begins", "10.9.9.9"), ("ends", "10.9.9.9"), ("stopped", None),
    ]  # fmt: skip
    begun, over, stopped = events
    assert begun["kind"] == "udp-flood" and begun["begin_ns"] // 10**9 in (FIRST_S + ONSET - 1, FIRST_S + ONSET)
    assert over["end_ns"] - over["begin_ns"] in (LASTS * 10**9, (LASTS + 1) * 10**9)
    assert stopped["flows"] == STEPS and stopped["alarms"] == 1


def test_files_as_a_stream_have_the_events_of_the_whole(
    quiet: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    flows, _ = attacked(steps=80)
    more, _ = flood("udp-flood", 5, 60, 6, sources=60)
    path = tmp_path / "flows.parquet"
    flowlore.Flows(batch_of(sorted([*flows, *more], key=lambda one: one.start))).write(path)
    assert run(["detect", str(path), "--quiet", str(quiet)]) == 0
    told = capsys.readouterr()
    begins, ends = (line.split() for line in told.out.splitlines() if "10.0.0.5" in line)
    assert begins[2:4] == ["udp-flood", "begins:"] and "over after 60 s: at most" in " ".join(ends)
    assert "80 steps" in told.err and "hosts judged, " in told.err
    assert run(["rates", str(quiet), "-o", str(tmp_path / "rates.parquet"), "--step", "10s"]) == 0
    capsys.readouterr()
    assert run(["detect", str(path), "--quiet", str(tmp_path / "rates.parquet"), "--json"]) == 0
    assert "10.0.0.5" in capsys.readouterr().out


def test_many_late_flows_are_warned_of(quiet: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "flows.parquet"
    backwards = sorted(usual(np.random.default_rng(5), 100), key=lambda one: -one.start)
    flowlore.Flows(batch_of(backwards)).write(path)
    words = ["detect", str(path), "--quiet", str(quiet), "--set", "rates.lateness_s=10"]
    assert run(words) == 0
    told = capsys.readouterr().err
    assert told.count("floods may be missed") == 1 and "`--set rates.lateness_s=100`" in told
    assert run([*words, "--set", "rates.lateness_s=2000"]) == 0
    assert "floods may be missed" not in capsys.readouterr().err


def test_a_gap_is_as_long_as_it_was_set(
    quiet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    skipped: list[int] = []
    monkeypatch.setattr("flowlore.tasks.ddos.watch.ThresholdWatch._skip", lambda watch, steps: skipped.append(steps))
    silent = [one for one in usual(np.random.default_rng(5), 20) if not 50 <= one.start // 1_000_000_000 < 110]
    flowlore.Flows(batch_of(silent)).write(tmp_path / "flows.parquet")
    words = ["detect", str(tmp_path / "flows.parquet"), "--quiet", str(quiet)]
    assert run(words) == 0 and skipped == [CONTEXT]
    assert run([*words, "--set", "rates.gap_after_s=60"]) == 0 and skipped == [CONTEXT, CONTEXT, 6]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["FLOWS", "--stream"], "nothing says what is usual"),
        (["--listen", "127.0.0.1:0"], "nothing says what is usual"),
        (["FLOWS", "--quiet", "FLOWS", "--learn", "0.2"], "a share of a whole record"),
        (["FLOWS", "--listen", ":2055", "--quiet", "FLOWS"], "exclude each other"),
        ([], "nothing to read was named"),
        (["FLOWS", "--quiet", "FLOWS", "--duration", "3"], "stop a live reading"),
        (["FLOWS", "--duration", "3"], "stop a live reading"),
        (["FLOWS", "--quiet", "absent/"], "absent"),
        (["FLOWS", "--quiet", "FLOWS", "--by", "hosts"], "did you mean `host`"),
        (["FLOWS", "--quiet", "RATES", "--by", "prefix"], "is by host, not by prefix"),
        (["FLOWS", "--stream", "--bundle", "laboratory"], "was taught no attacks"),
        (["FLOWS", "--bundle", "laboratory", "--quiet", "FLOWS"], "knows hosts and what is too much"),
        (["FLOWS", "--quiet", "FLOWS", "--step", "7s"], "does not divide|not a step that divides"),
    ],
)
def test_mistakes_are_told(
    words: list[str], told: str, quiet: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    rates = tmp_path / "rates.parquet"
    if "RATES" in words:
        assert run(["rates", str(quiet), "-o", str(rates), "--step", "10s"]) == 0
    capsys.readouterr()
    assert run(["detect", *({"FLOWS": str(quiet), "RATES": str(rates)}.get(word, word) for word in words)]) == 2
    said = capsys.readouterr().err
    assert any(one in said for one in told.split("|")) and "Traceback" not in said
