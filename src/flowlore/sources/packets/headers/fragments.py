"""Later fragments of a datagram join the flow of its first: a table of first fragments, bounded in size and age."""

import numpy as np

from ....flows.compiled import kernel
from ..layout import Records
from . import notes
from .walk import (
    Walk,
)

# Which datagram (as its own IP header and the link name it), and the flow that its first fragment made.
FRAGMENT = np.dtype(
    [
        ("time_ns", np.int64),
        ("src_high", np.uint64),
        ("src_low", np.uint64),
        ("dst_high", np.uint64),
        ("dst_low", np.uint64),
        ("scope", np.uint64),
        ("identification", np.uint32),
        ("outer_tunnel_id", np.uint32),
        ("used", np.uint8),
        ("flow_protocol", np.uint8),
        ("flow_tunnel", np.uint8),
        ("flow_src_port", np.uint16),
        ("flow_dst_port", np.uint16),
        ("flow_vlan", np.uint16),
        ("flow_inner_vlan", np.uint16),
        ("flow_tunnel_id", np.uint32),
        ("flow_src_high", np.uint64),
        ("flow_src_low", np.uint64),
        ("flow_dst_high", np.uint64),
        ("flow_dst_low", np.uint64),
        ("flow_key_hash", np.uint64),
    ],
    align=True,
)

EXPIRY_NS = 30_000_000_000  # by the clock of the capture; what looks older or newer than this is gone
WAYS = 4  # entries that one datagram may stand in


def new_fragment_table(capacity: int) -> Records:
    """An empty table of at least `capacity` entries (a power of two, at least 4). Its bytes are its whole state."""
    return np.zeros(max(WAYS, 1 << max(capacity - 1, 0).bit_length()), FRAGMENT)


@kernel
def remember_first(fragments: Records, walk: Walk) -> int:
    """Enter the datagram of a first fragment and return its place; its flow is filled in by `set_flow`."""
    first = _first_way(fragments, walk)
    place, oldest = -1, -1
    for way in range(first, first + WAYS):
        if _is_same(fragments, way, walk) or (place < 0 and _is_free(fragments, way, walk["time_ns"])):
            place = way
        if oldest < 0 or fragments[way]["time_ns"] < fragments[oldest]["time_ns"]:
            oldest = way
    if place < 0:
        place = oldest
        walk["pending_notes"] |= notes.FRAGMENTS_EVICTED
    entry = fragments[place]
    entry["time_ns"] = walk["time_ns"]
    entry["src_high"] = walk["src_high"]
    entry["src_low"] = walk["src_low"]
    entry["dst_high"] = walk["dst_high"]
    entry["dst_low"] = walk["dst_low"]
    entry["scope"] = _scope(walk)
    entry["identification"] = walk["fragment_id"]
    entry["outer_tunnel_id"] = walk["tunnel_id"]
    entry["used"] = 1
    return place


@kernel
def set_flow(fragments: Records, place: int, packets: Records, packet: int) -> None:
    """The first fragment at `place` belongs to the flow of `packet`."""
    entry, flow = fragments[place], packets[packet]
    entry["flow_src_high"] = flow["src_high"]
    entry["flow_src_low"] = flow["src_low"]
    entry["flow_dst_high"] = flow["dst_high"]
    entry["flow_dst_low"] = flow["dst_low"]
    entry["flow_src_port"] = flow["src_port"]
    entry["flow_dst_port"] = flow["dst_port"]
    entry["flow_protocol"] = flow["protocol"]
    entry["flow_vlan"] = flow["vlan"]
    entry["flow_inner_vlan"] = flow["inner_vlan"]
    entry["flow_tunnel"] = flow["tunnel"]
    entry["flow_tunnel_id"] = flow["tunnel_id"]
    entry["flow_key_hash"] = flow["key_hash"]


@kernel
def join_flow(fragments: Records, place: int, packets: Records, packet: int) -> None:
    """Give `packet`, a later fragment, the key of the flow of the first fragment at `place`."""
    entry, flow = fragments[place], packets[packet]
    flow["src_high"] = entry["flow_src_high"]
    flow["src_low"] = entry["flow_src_low"]
    flow["dst_high"] = entry["flow_dst_high"]
    flow["dst_low"] = entry["flow_dst_low"]
    flow["src_port"] = entry["flow_src_port"]
    flow["dst_port"] = entry["flow_dst_port"]
    flow["protocol"] = entry["flow_protocol"]
    flow["vlan"] = entry["flow_vlan"]
    flow["inner_vlan"] = entry["flow_inner_vlan"]
    flow["tunnel"] = entry["flow_tunnel"]
    flow["tunnel_id"] = entry["flow_tunnel_id"]
    flow["key_hash"] = entry["flow_key_hash"]


@kernel
def find_first(fragments: Records, walk: Walk) -> int:
    """The place of the first fragment of the datagram that a later one belongs to; -1 where it is not known."""
    first = _first_way(fragments, walk)
    for way in range(first, first + WAYS):
        if _is_same(fragments, way, walk) and not _is_free(fragments, way, walk["time_ns"]):
            return way
    return -1


@kernel
def _first_way(fragments: Records, walk: Walk) -> np.int64:
    word = walk["src_high"] ^ walk["src_low"] ^ (walk["dst_high"] * np.uint64(3)) ^ (walk["dst_low"] * np.uint64(5))
    word = (word ^ np.uint64(walk["fragment_id"])) * np.uint64(0x9E3779B97F4A7C15) ^ _scope(walk)
    word = (word ^ (word >> np.uint64(32))) * np.uint64(0xC2B2AE3D27D4EB4F)
    groups = np.uint64(len(fragments) // WAYS)
    return np.int64((word >> np.uint64(32)) % groups) * WAYS


@kernel
def _is_same(fragments: Records, place: int, walk: Walk) -> bool:
    entry = fragments[place]
    return bool(
        entry["used"] != 0
        and entry["src_low"] == walk["src_low"]
        and entry["dst_low"] == walk["dst_low"]
        and entry["identification"] == walk["fragment_id"]
        and entry["src_high"] == walk["src_high"]
        and entry["dst_high"] == walk["dst_high"]
        and entry["scope"] == _scope(walk)
        and entry["outer_tunnel_id"] == walk["tunnel_id"]
    )


@kernel
def _is_free(fragments: Records, place: int, time_ns: int) -> bool:
    entry = fragments[place]
    return bool(entry["used"] == 0 or abs(time_ns - entry["time_ns"]) > EXPIRY_NS)


@kernel
def _scope(walk: Walk) -> np.uint64:
    """Protocol, tunnel and VLANs, within which identifications are told apart."""
    return np.uint64(
        walk["fragment_protocol"] | (walk["tunnel"] << 8) | (walk["vlan"] << 16) | (walk["inner_vlan"] << 32)
    )
