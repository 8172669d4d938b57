"""`flowlore detect` over packets: flows that last are cut at the steps, of whole records, quiet ones and streams."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import flowlore
from flowlore.cli import run
from handmade import NANOSECONDS, Timed, ethernet, ipv4, udp, write_pcap

FIRST_NS = 1_700_000_400 * NANOSECONDS
CALM_S, ONSET_S, LASTS_S = 240, 180, 5
FEW = ["--step", "1s", "--set", "detection.least_packets_per_s=20"]
SERVER = "10.9.9.9"


def packets(*, flood: bool, server: str = SERVER, each: int = 1) -> list[Timed]:
    """One flow that lasts four minutes; `flood` makes it fifty times as large for some seconds."""
    made = []
    for second in range(CALM_S):
        many = 300 if flood and ONSET_S <= second < ONSET_S + LASTS_S else 6 + second % 3
        frame = ethernet(ipv4(udp(bytes(20)), dst=server, protocol=17))
        made += [(FIRST_NS + second * NANOSECONDS + place * 2_000_000, frame) for place in range(many * each)]
    return made


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_pcap(tmp_path_factory.mktemp("calm") / "quiet.pcap", packets(flood=False)))


@pytest.fixture(scope="module")
def flooded(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_pcap(tmp_path_factory.mktemp("town") / "flooded.pcap", packets(flood=True)))


def printed(words: list[str], capsys: pytest.CaptureFixture) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert run([*words, *FEW, "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_stream_and_a_whole_record_tell_the_same_of_one_long_flow(
    quiet: str, flooded: str, capsys: pytest.CaptureFixture
) -> None:
    (whole,) = printed(["detect", flooded], capsys)
    begins, ends, stopped = printed(["detect", flooded, "--quiet", quiet], capsys)
    (alarm,) = whole["alarms"]
    same = ("host", "begin_ns", "seen_ns", "end_ns", "kind", "packets_per_s", "bits_per_s", "peers")
    assert [ends[name] for name in same] == [alarm[name] for name in same]
    assert (alarm["begin_ns"], alarm["packets_per_s"]) == (FIRST_NS + ONSET_S * NANOSECONDS, 300)
    assert begins["host"] == SERVER and stopped["steps"] == CALM_S
    *_, cut = printed(["detect", flooded, "--quiet", quiet, "--set", "meter.window_s=1"], capsys)
    assert cut["threshold"] == stopped["threshold"]
    (longer,) = printed(["detect", flooded, "--set", "meter.window_s=240"], capsys)
    assert longer["alarms"] == []  # a window that was asked for stays


def test_a_quiet_record_is_filtered_as_the_stream_is(
    quiet: str, flooded: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    storm = [(time_ns + 1, frame) for time_ns, frame in packets(flood=True, server="10.0.0.7", each=8)]
    mixed = str(write_pcap(tmp_path / "mixed.pcap", sorted([*packets(flood=False), *storm])))
    *_, alone = printed(["detect", flooded, "--quiet", quiet], capsys)
    *_, among = printed(["detect", flooded, "--quiet", mixed, "--where", f"dst_ip == '{SERVER}'"], capsys)
    assert among["threshold"] == alone["threshold"]


def test_an_interface_waits_for_windows_that_are_longer_than_steps(
    quiet: str, flooded: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    @contextmanager
    def of_file(request: Any, settings: Any) -> Iterator[Any]:
        assert request.interface == "eth7"
        yield flowlore.scan([flooded], settings=settings)

    monkeypatch.setattr("flowlore.cli.live.live_scan", of_file)
    words = ["detect", "-i", "eth7", "--quiet", quiet]
    *events, stopped = printed(words, capsys)
    assert [one["event"] for one in events] == ["begins", "ends"] and stopped["notes"] == {}
    *_, stopped = printed([*words, "--set", "meter.window_s=20"], capsys)
    assert stopped["notes"] == {} and stopped["flows"] == CALM_S // 20
