"""The name that DNS gave to a server: by what its client was told before the flow, however the packets are metered."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import handmade
from comparing import comparable, rows_of, settings
from flowlore.sources.packets import pipeline
from flowlore.sources.packets.meter import learning
from flowlore.sources.reading import read

START_NS = 1_600_000_000 * handmade.NANOSECONDS
HOUR_NS = 3600 * handmade.NANOSECONDS
STEPS_MS = (0, 0, 1, 7, 900, 6_000, 61_000, 1_800_000, -1, -300, -2_500)
NAMES = ("one.example", "two.example", "a." * 100 + "example")

few = hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@dataclass(frozen=True)
class Event:
    """A client is told the address of a server, or speaks to it."""

    name: str | None  # None where it speaks
    client: str
    server: str
    port: int
    time_ns: int

    @property
    def frame(self) -> bytes:
        if self.name is None:
            packet = handmade.udp(bytes(20), src=self.port, dst=9999)
            return handmade.ethernet(handmade.ipv4(packet, src=self.client, dst=self.server, protocol=17))
        packet = handmade.udp(_answer(self.name, self.server), src=53, dst=self.port)
        return handmade.ethernet(handmade.ipv4(packet, src="10.0.0.53", dst=self.client, protocol=17))


@st.composite
def conversations(draw: st.DrawFn) -> list[Event]:
    """No two at the same time; time may run backwards."""
    moves = draw(
        st.lists(
            st.tuples(
                st.sampled_from([None, None, *NAMES]),
                st.sampled_from(["10.0.0.1", "10.0.0.2"]),
                st.sampled_from(["192.0.2.1", "192.0.2.2"]),
                st.integers(0, 2),
                st.sampled_from(STEPS_MS),
            ),
            max_size=30,
        )
    )
    time_ns, events = START_NS, []
    for place, (name, client, server, port, step_ms) in enumerate(moves):
        time_ns += step_ms * 1_000_000
        own_port = 40_000 + (place if name else port)  # each answer is a flow of its own
        events.append(Event(name, client, server, own_port, time_ns + place))
    return events


HOW = st.fixed_dictionaries(
    {
        "threads": st.integers(1, 3),
        "packets_at_once": st.sampled_from([1, 2, 7, 8192]),
        "learned_at_once": st.sampled_from([1, 2, 4096]),
    }
)
TIMES = st.fixed_dictionaries(
    {},
    optional={
        "idle_timeout_s": st.sampled_from([1.0, 60.0]),
        "active_timeout_s": st.sampled_from([0.5, 5.0]),
        "window_s": st.sampled_from([0.25, 30.0]),
    },
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@few
@given(events=conversations(), how=HOW, times=TIMES)
def test_a_server_has_the_name_that_its_client_was_told_before(
    folder: Path, events: list[Event], how: dict[str, int], times: dict[str, Any]
) -> None:
    path = handmade.write_pcap(folder / "one.pcap", [(event.time_ns, event.frame) for event in events])
    place_of = {event.time_ns: place for place, event in enumerate(events)}
    with _metered(**how):
        rows = rows_of(read(path, settings=settings(threads=how["threads"], **times)))
    expected = {row["flow_id"]: _name_told(events, place_of[row["start"]]) for row in rows if row["part"] == 0}
    assert len(rows) >= len(expected)
    for row in rows:
        assert row["server_name"] == expected[row["flow_id"]], row
        assert row["server_name_from"] == (row["server_name"] and "dns")


@few
@given(events=conversations(), how=HOW, times=TIMES, cut=st.floats(0, 1))
def test_names_are_the_same_with_a_saved_state(
    folder: Path, events: list[Event], how: dict[str, int], times: dict[str, Any], cut: float
) -> None:
    frames = [(event.time_ns, event.frame) for event in events]
    place = int(cut * len(frames))
    whole = handmade.write_pcap(folder / "whole.pcap", frames)
    parts = [
        handmade.write_pcap(folder / "1.pcap", frames[:place]),
        handmade.write_pcap(folder / "2.pcap", frames[place:]),
    ]
    state = folder / "state"
    state.unlink(missing_ok=True)
    chosen = settings(threads=how["threads"], **times)
    with _metered(**how):
        cut_rows = [read(part, settings=chosen, state=state, last=part is parts[1]).to_arrow() for part in parts]
    assert comparable(pa.concat_tables(cut_rows)) == comparable(read(whole, settings=settings(**times)))


@contextmanager
def _metered(*, threads: int, packets_at_once: int, learned_at_once: int) -> Iterator[None]:
    with (
        mock.patch.object(pipeline, "FRAMES_AT_ONCE", packets_at_once),
        mock.patch.object(pipeline, "MAX_PACKETS", packets_at_once),
        mock.patch.object(learning, "LEARNED_AT_ONCE", learned_at_once),
    ):
        yield


def _name_told(events: list[Event], place: int) -> str | None:
    """What the newest answer before the flow's first packet said, at most an hour old."""
    flow = events[place]
    if flow.name is not None:
        return None
    told = [
        (event.time_ns, event.name)
        for event in events[:place]
        if event.name is not None
        and (event.client, event.server) == (flow.client, flow.server)
        and 0 <= flow.time_ns - event.time_ns <= HOUR_NS
    ]
    return max(told)[1] if told else None


def _answer(name: str, address: str) -> bytes:
    question = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
    host = bytes(int(part) for part in address.split("."))
    return (
        struct.pack(">HHHHHH", 7, 0x8180, 1, 1, 0, 0)
        + question
        + struct.pack(">HH", 1, 1)
        + struct.pack(">HHHIH", 0xC00C, 1, 1, 300, 4)
        + host
    )
