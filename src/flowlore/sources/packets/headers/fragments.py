"""Later fragments of a datagram join the flow of its first: a table of first fragments, bounded in size and age."""

import numpy as np

from ....flows.compiled import compiled
from ..layout import Counts, Records
from . import notes
from .network import Words
from .walk import (
    FRAGMENT_ID,
    FRAGMENT_PROTOCOL,
    INNER_VLAN,
    TIME_NS,
    TUNNEL,
    TUNNEL_ID,
    VLAN,
    note,
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


@compiled
def remember_first(fragments: Records, walk: Counts, addresses: Words) -> int:
    """Enter the datagram of a first fragment and return its place; its flow is filled in by `set_flow`."""
    first = _first_way(fragments, walk, addresses)
    place, oldest = -1, first
    for way in range(first, first + WAYS):
        if _is_same(fragments, way, walk, addresses) or (place < 0 and _is_free(fragments, way, walk[TIME_NS])):
            place = way
        if fragments[way]["time_ns"] < fragments[oldest]["time_ns"]:
            oldest = way
    if place < 0:
        place = oldest
        note(walk, notes.FRAGMENTS_EVICTED)
    entry = fragments[place]
    entry["time_ns"] = walk[TIME_NS]
    entry["src_high"] = addresses[0]
    entry["src_low"] = addresses[1]
    entry["dst_high"] = addresses[2]
    entry["dst_low"] = addresses[3]
    entry["scope"] = _scope(walk)
    entry["identification"] = walk[FRAGMENT_ID]
    entry["outer_tunnel_id"] = walk[TUNNEL_ID]
    entry["used"] = 1
    return place


@compiled
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


@compiled
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


@compiled
def find_first(fragments: Records, walk: Counts, addresses: Words) -> int:
    """The place of the first fragment of the datagram that a later one belongs to; -1 where it is not known."""
    first = _first_way(fragments, walk, addresses)
    for way in range(first, first + WAYS):
        if _is_same(fragments, way, walk, addresses) and not _is_free(fragments, way, walk[TIME_NS]):
            return way
    return -1


@compiled
def _first_way(fragments: Records, walk: Counts, addresses: Words) -> int:
    word = addresses[0] ^ addresses[1] ^ (addresses[2] * np.uint64(3)) ^ (addresses[3] * np.uint64(5))
    word = (word ^ np.uint64(walk[FRAGMENT_ID])) * np.uint64(0x9E3779B97F4A7C15) ^ _scope(walk)
    word = (word ^ (word >> np.uint64(32))) * np.uint64(0xC2B2AE3D27D4EB4F)
    groups = np.uint64(len(fragments) // WAYS)
    return np.int64((word >> np.uint64(32)) % groups) * WAYS


@compiled
def _is_same(fragments: Records, place: int, walk: Counts, addresses: Words) -> bool:
    entry = fragments[place]
    return bool(
        entry["used"] != 0
        and entry["src_low"] == addresses[1]
        and entry["dst_low"] == addresses[3]
        and entry["identification"] == walk[FRAGMENT_ID]
        and entry["src_high"] == addresses[0]
        and entry["dst_high"] == addresses[2]
        and entry["scope"] == _scope(walk)
        and entry["outer_tunnel_id"] == walk[TUNNEL_ID]
    )


@compiled
def _is_free(fragments: Records, place: int, time_ns: int) -> bool:
    entry = fragments[place]
    return bool(entry["used"] == 0 or abs(time_ns - entry["time_ns"]) > EXPIRY_NS)


@compiled
def _scope(walk: Counts) -> np.uint64:
    """Protocol, tunnel and VLANs, within which identifications are told apart."""
    return np.uint64(walk[FRAGMENT_PROTOCOL] | (walk[TUNNEL] << 8) | (walk[VLAN] << 16) | (walk[INNER_VLAN] << 32))
