"""Captures for hypothesis: a few hosts that talk over a few ports, with everything that makes a meter think."""

from dataclasses import dataclass
from functools import cached_property

from hypothesis import strategies as st

import handmade

START_NS = 1_600_000_000 * handmade.NANOSECONDS
STEPS_MS = (0, 0, 1, 7, 300, 900, 4_999, 5_001, 16_000, 60_000, 60_001, 200_000)
LATE_STEPS_MS = (*STEPS_MS, -1, -300, -1_500, -70_000)
FLAGS = (0x02, 0x12, 0x10, 0x18, 0x18, 0x11, 0x14, 0x04, 0x02, 0xC2, 0x38, 0x00)


@dataclass(frozen=True)
class Sent:
    """A capture, as frames with their times."""

    frames: list[handmade.Timed]

    @cached_property
    def bytes(self) -> bytes:
        return handmade.pcap(self.frames)

    @property
    def packet_count(self) -> int:
        return len(self.frames)


@st.composite
def captures(draw: st.DrawFn, *, late: bool = True, most: int = 40) -> Sent:
    """With `late`, time may run backwards."""
    steps = LATE_STEPS_MS if late else STEPS_MS
    moves = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["tcp", "tcp", "tcp", "udp", "icmp", "tcp6", "vlan", "arp", "short"]),
                st.booleans(),  # turned
                st.integers(0, 1),  # which client
                st.sampled_from(steps),
                st.sampled_from(FLAGS),
                st.integers(-3, 3),  # of a hundred bytes, where in the sequence
                st.sampled_from([0, 0, 1, 100, 200, 1400]),
                st.integers(0, 999),  # ns, so that times are odd
            ),
            max_size=most,
        )
    )
    time_ns, frames = START_NS, []
    for kind, turned, client, step_ms, flags, place, length, odd in moves:
        time_ns += step_ms * 1_000_000 + odd
        frames.append((time_ns, _frame(kind, turned, client, flags, place, length)))
    return Sent(frames)


def _frame(kind: str, turned: bool, client: int, flags: int, place: int, length: int) -> bytes:
    src, dst = (f"10.0.0.{client + 1}", "10.0.0.9")[:: -1 if turned else 1]
    ports = dict(zip(("src", "dst"), (40000, 5001)[:: -1 if turned else 1], strict=True))
    payload = bytes(length)
    segment = handmade.tcp(
        payload, sequence=(2**32 - 100 + place * 100) % 2**32, flags=flags, window=length * 7 + place + 9, **ports
    )
    ttl, tos = 60 + place, (place + 3) * 8
    if kind == "tcp6":
        return handmade.ethernet(
            handmade.ipv6(segment, src=9 if turned else client, dst=client if turned else 9, hops=ttl), kind=0x86DD
        )
    if kind == "udp":
        packet = handmade.ipv4(handmade.udp(payload, **ports), src=src, dst=dst, protocol=17, ttl=ttl, tos=tos)
    elif kind == "icmp":
        packet = handmade.ipv4(handmade.icmp_echo(reply=turned), src=src, dst=dst, protocol=1, ttl=ttl, tos=tos)
    else:
        packet = handmade.ipv4(segment, src=src, dst=dst, ttl=ttl, tos=tos)
    if kind == "arp":
        return handmade.ethernet(bytes(28), kind=0x0806)
    if kind == "short":
        return handmade.ethernet(packet[:30])
    tags = handmade.vlan_tag(5) if kind == "vlan" else b""
    return handmade.ethernet(packet, turned=turned, tags=tags)
