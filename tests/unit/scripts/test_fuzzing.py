"""The fuzzer itself: it changes inputs, does so again for the same seed, notices faults and keeps what caused them."""

import json
import random
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from fuzzing import mutation, report, targets, worker

from flowlore.sources.source import Account

SEEDS = [bytes(range(200)), b"", b"splice me " * 30]
LINES = b"ts\tuid\tproto\n1.5\tC1\tudp\n2.5\tC2\ttcp\n"


@pytest.mark.parametrize("mutate", [mutation.mutate, mutation.mutate_text])
def test_mutations_change_and_repeat(mutate) -> None:
    def changed(seed: int) -> list[bytes]:
        chance = random.Random(seed)
        return [mutate(data, SEEDS, chance) for _ in range(50) for data in (SEEDS[0], LINES)]

    first = changed(1)
    assert first == changed(1) and first != changed(2)
    assert sum(data not in (SEEDS[0], LINES) for data in first) > 80
    assert min(map(len, first)) < len(LINES) < max(map(len, first))


@pytest.mark.parametrize("change", sorted(set(mutation.CHANGES), key=lambda one: one.__name__))
@pytest.mark.parametrize("data", [b"", b"\x01", bytes(range(100))], ids=["empty", "byte", "more"])
def test_each_change_takes_any_bytes(change, data: bytes) -> None:
    outcomes = set()
    for seed in range(40):
        copy, chance = bytearray(data), random.Random(seed)
        change(copy, SEEDS, chance)
        change(copy, [], chance)
        outcomes.add(bytes(copy))
    assert len(data) < 100 or outcomes != {data}


def test_frames_of_either_byte_order_are_found() -> None:
    for order, magic in (("<", b"\xd4\xc3\xb2\xa1"), (">", b"\xa1\xb2\xc3\xd4")):
        record = struct.pack(order + "IIII", 1, 2, 3, 3) + b"abc"
        assert targets._frames(magic + bytes(20) + record * 2 + record[:10]) == [b"abc", b"abc"]
        assert targets._frames(magic + bytes(20) + struct.pack(order + "IIII", 1, 2, 1 << 31, 3)) == []
    assert targets._frames(b"no capture" * 30) == [(b"no capture" * 30)[:200], (b"no capture" * 30)[200:]]


def test_drawn_frames_are_a_sound_capture() -> None:
    capture = targets._draw_frames([bytes(400)], random.Random(3))
    records, at = 0, targets.PCAP_HEADER.size
    while at < len(capture):
        at += targets.PCAP_RECORD.size + targets.PCAP_RECORD.unpack_from(capture, at)[2]
        records += 1
    assert (records, at) == (targets.FRAMES_IN_CAPTURE, len(capture))


def test_an_account_that_does_not_add_up_is_a_fault() -> None:
    account = Account(packets=3, packets_in_flows=2, flows=1, skipped=Counter({"not-ip": 1}))
    targets._check(account, 1)
    with pytest.raises(targets.Fault, match="account says 1 flows, batches had 2 rows"):
        targets._check(account, 2)
    account.skipped.clear()
    with pytest.raises(targets.Fault, match="3 packets and records came in, 2 are accounted for"):
        targets._check(account, 1)


def test_what_no_reader_knows_is_refused(tmp_path: Path) -> None:
    for name, content in (("empty", b""), ("noise", b"\x07" * 100)):
        (tmp_path / name).write_bytes(content)
        assert targets.TARGETS["exports"].read(tmp_path / name)["refused"] == 1


def test_the_first_inputs_of_a_kind_are_kept(tmp_path: Path) -> None:
    kinds: dict[str, int] = {}
    for ordinal in range(5):
        worker.keep_failure(tmp_path, "logs", bytes([ordinal]), ValueError("no"), kinds)
    worker.keep_failure(tmp_path, "logs", b"other", KeyError("x"), kinds)
    assert kinds == {"ValueError in ?": 5, "KeyError in ?": 1}
    kept = sorted((tmp_path / "failures").glob("*.bin"))
    assert sorted(path.read_bytes() for path in kept) == [b"\x00", b"\x01", b"\x02", b"other"]
    assert all("Error" in path.with_suffix(".txt").read_text() for path in kept)


def test_a_run_counts_failures_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Breaking(targets.Target):
        def read(self, path: Path) -> dict[str, int]:
            if path.read_bytes() == b"bad":
                raise OverflowError
            return {"packets": 2}

    inputs = iter([b"bad", b"good"])
    target = Breaking("any", (), lambda: [b"seed"], lambda known, chance: next(inputs, b"good"))
    monkeypatch.setitem(worker.TARGETS, "any", target)
    worker.work("any", 1, 0.05, tmp_path)
    counts = json.loads((tmp_path / "any.json").read_text())
    assert counts["failures"] == 1 and counts["kinds"] == {"OverflowError in ?": 1}
    assert counts["packets"] == 2 * (counts["executions"] - 1) > 0


def test_the_page_is_made_of_the_recorded_runs(repository: Path, tmp_path: Path) -> None:
    assert report.page(report.RECORDED) == report.PAGE.read_text()
    target = {
        "seconds": 90.0,
        "executions": 1234,
        "bytes": 5e6,
        "packets": 10,
        "records": 1,
        "failures": 2,
        "crashes": 3,
    }
    run = {"date": "2026-01-02", "how": "coverage", "seconds": 600, "targets": {"logs": target}}
    (tmp_path / "fuzz-coverage.json").write_text(json.dumps(run))
    text = report.page(tmp_path)
    assert "### 2026-01-02, guided by coverage, 10 minutes" in text
    assert "| logs | logs and tables of sensors | 1.5 | 1,234 | 5 | 11 | 2 | 3 |" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--targets", "everything"], "invalid choice: 'everything'"),
        (["--coverage", "--targets", "frames"], "--coverage guides exports and logs only"),
        (["--minutes", "0"], "leaves no time"),
    ],
)
def test_wrong_requests(arguments: list[str], words: str, repository: Path) -> None:
    command = [sys.executable, "-m", "fuzzing", *arguments]
    done = subprocess.run(command, cwd=repository / "scripts", capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2 and words in done.stderr
