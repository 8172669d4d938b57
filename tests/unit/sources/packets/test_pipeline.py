"""The pipeline's account, and flows that are the same however packets reach the meter."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from comparing import comparable, settings
from flowlore.sources.packets import pipeline
from flowlore.sources.packets.meter import meter
from flowlore.sources.packets.meter.drain import drain
from flowlore.sources.packets.meter.kernel import meter_packets
from flowlore.sources.packets.meter.meter import Meter
from flowlore.sources.packets.meter.tables import MAX_PACKETS, new_tables, release_slots
from flowlore.sources.packets.settings import MeterSettings
from flowlore.sources.reading import read, scan
from handmade import NANOSECONDS, ethernet, ipv4, udp, write_pcap


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """40 flows of 50 packets over five minutes, with a frame that is no IP after each ten."""
    frames = []
    for number in range(2000):
        time_ns = number * 150_000_000
        source = 1000 + number % 40
        frames.append((time_ns, ethernet(ipv4(udp(bytes(number % 90), src=source), protocol=17))))
        if number % 10 == 0:
            frames.append((time_ns, ethernet(bytes(30), kind=0x0806)))
    return write_pcap(tmp_path / "many.pcap", frames)


def test_every_packet_is_in_a_flow_or_counted_by_reason(capture: Path) -> None:
    account = read(capture, settings=settings()).account
    assert (account.packets, account.packets_in_flows, dict(account.skipped)) == (2200, 2000, {"not-ip": 200})
    assert account.details["open_flows"] == 0


@pytest.mark.parametrize("frames_at_once", [1, 7, 512])
def test_how_many_frames_are_taken_at_once_does_not_matter(
    capture: Path, frames_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings(idle_timeout_s=5, window_s=30)
    expected = comparable(read(capture, settings=chosen))
    monkeypatch.setattr(pipeline, "FRAMES_AT_ONCE", frames_at_once)
    assert comparable(read(capture, settings=chosen)) == expected


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_several_cores_give_the_flows_of_one(capture: Path, threads: int) -> None:
    one, several = (read(capture, settings=settings(threads=count)) for count in (1, threads))
    assert comparable(one) == comparable(several)
    assert one.account == several.account


def test_what_ended_becomes_batches_beside_the_metering(capture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = comparable(read(capture, settings=settings(idle_timeout_s=5.5)))
    drained, seen_beside = threading.Event(), []

    def noted_drain(*arguments: Any) -> Any:
        drained.set()
        return drain(*arguments)

    def patient_metering(*arguments: Any) -> None:
        drained.clear()
        meter_packets(*arguments)
        seen_beside.append(drained.wait(0.05))

    monkeypatch.setattr(meter, "DRAIN_ROWS", 4)
    monkeypatch.setattr(pipeline, "MAX_PACKETS", 100)
    monkeypatch.setattr(meter, "drain", noted_drain)
    monkeypatch.setattr(meter, "meter_packets", patient_metering)
    flows = read(capture, settings=settings(idle_timeout_s=5.5, threads=2))
    assert comparable(flows) == expected
    assert len(flows) == 2000
    assert any(seen_beside)


def test_the_account_is_right_after_each_batch(capture: Path) -> None:
    running = scan(capture, settings=settings(idle_timeout_s=1))
    rows = 0
    for batch in running:
        rows += batch.num_rows
        assert running.account.flows == rows
    assert running.account.packets == 2200


def test_silent_flows_leave_while_the_capture_goes_on(tmp_path: Path) -> None:
    """Each of 20,000 ports speaks once in ten ms: no more than those of the last minute and a bit are open."""
    frames = [(number * 10_000_000, ethernet(ipv4(udp(src=1024 + number), protocol=17))) for number in range(20_000)]
    path = write_pcap(tmp_path / "ports.pcap", frames)
    open_flows = [0]
    running = scan(path, settings=settings())
    ends = []
    for batch in running:
        open_flows.append(running.account.details.get("open_flows", 0))
        ends += batch["end_reason"].to_pylist()
    assert ends.count("idle") == 13_999  # later than 60 s before the end
    assert len(ends) == 20_000


def test_pieces_are_cut_where_the_clock_enters_another_interval() -> None:
    meter = Meter(MeterSettings(idle_timeout_s=40.0, window_s=10.0, max_flows=1024), source="packets")
    times = np.array([0, 5, 11, 9, 12, 30, 31], np.int64) * NANOSECONDS
    pieces = list(meter.pieces(times))
    assert [(first, stop) for first, stop, _, _ in pieces] == [(0, 1), (1, 2), (2, 5), (5, 6), (6, 7)]
    assert [opening_ns // NANOSECONDS for _, _, opening_ns, _ in pieces] == [0, 5, 11, 30, 31]
    assert [closing_ns // NANOSECONDS for _, _, _, closing_ns in pieces] == [0, 5, 12, 30, 31]


def test_a_call_with_too_many_packets_is_refused() -> None:
    meter = Meter(MeterSettings(max_flows=1024), source="packets")
    with pytest.raises(ValueError, match="at most"):
        meter.feed(np.zeros(MAX_PACKETS + 1, np.uint8), np.zeros(1, np.int32), np.zeros(1, np.uint8), 0)


def test_memory_of_the_first_slots_goes_back_to_the_system() -> None:
    tables = new_tables(MeterSettings(), 1)
    tables.flows["first_ns"][:1000] = 7
    tables.sides["packets"][:2000] = 7
    release_slots(tables, 500)
    assert not tables.flows["first_ns"][:450].any()
    assert not tables.sides["packets"][:950].any()
    assert (tables.flows["first_ns"][500:1000] == 7).all()
    assert (tables.sides["packets"][1000:2000] == 7).all()
