"""What makes two packets one flow, and its hash.

A key is the unordered pair of (address, port) endpoints with protocol, both VLAN ids, the tunnel's kind and its id.
The id of a GTP-U tunnel is left out: each direction has its own TEID. MPLS labels and MAC addresses are no part of it.
"""

import numpy as np

from ....flows.compiled import borrowing, kernel
from ..layout import TUNNELS, Records

GTP_U = TUNNELS.index("gtp-u")

KeyWords = tuple[np.uint64, np.uint64, np.uint64, np.uint64, np.uint64, np.uint64]

_ODD_1 = np.uint64(0x9E3779B97F4A7C15)
_ODD_2 = np.uint64(0xC2B2AE3D27D4EB4F)
_ODD_3 = np.uint64(0xD6E8FEB86659FD93)
_MIX_1 = np.uint64(0xFF51AFD7ED558CCD)
_MIX_2 = np.uint64(0xC4CEB9FE1A85EC53)
_8, _16, _24, _32, _33, _40, _48 = (np.uint64(bits) for bits in (8, 16, 24, 32, 33, 40, 48))


@borrowing
def key_words(packets: Records, place: int) -> KeyWords:
    """The key of a packet as six words, equal for both directions: two packets are of one flow if all six are equal.

    high and low half of the lower endpoint's address, of the higher one's, then ports and tunnel id, then the scope.
    """
    packet = packets[place]
    scope = scope_word(packet["protocol"], packet["vlan"], packet["inner_vlan"], packet["tunnel"])
    tunnel_id = key_tunnel_id(packet["tunnel"], packet["tunnel_id"])
    src_port, dst_port = np.uint64(packet["src_port"]), np.uint64(packet["dst_port"])
    if source_is_lower(packets, place):
        ports = (src_port << _48) | (dst_port << _32) | tunnel_id
        return packet["src_high"], packet["src_low"], packet["dst_high"], packet["dst_low"], ports, scope
    ports = (dst_port << _48) | (src_port << _32) | tunnel_id
    return packet["dst_high"], packet["dst_low"], packet["src_high"], packet["src_low"], ports, scope


@borrowing
def source_is_lower(packets: Records, place: int) -> bool:
    """Whether the sender is the lower endpoint of `key_words` (by address, then port). True where both are equal."""
    packet = packets[place]
    if packet["src_high"] != packet["dst_high"]:
        return bool(packet["src_high"] < packet["dst_high"])
    if packet["src_low"] != packet["dst_low"]:
        return bool(packet["src_low"] < packet["dst_low"])
    return bool(packet["src_port"] <= packet["dst_port"])


@kernel
def scope_word(protocol: int, vlan: int, inner_vlan: int, tunnel: int) -> np.uint64:
    """Protocol, tunnel kind and VLAN ids in one word."""
    return np.uint64(protocol) | (np.uint64(tunnel) << _8) | (np.uint64(vlan) << _16) | (np.uint64(inner_vlan) << _32)


@kernel
def key_tunnel_id(tunnel: int, tunnel_id: int) -> np.uint64:
    """The tunnel's id as far as it is part of the key."""
    return np.uint64(0) if tunnel == GTP_U else np.uint64(tunnel_id)


@kernel
def hash_key(
    src_high: np.uint64,
    src_low: np.uint64,
    dst_high: np.uint64,
    dst_low: np.uint64,
    src_port: int,
    dst_port: int,
    scope: np.uint64,
    tunnel_id: np.uint64,
) -> np.uint64:
    """64 well-mixed bits of exactly what `key_words` holds; the same when the endpoints change places."""
    ends = _hash_endpoint(src_high, src_low, src_port) + _hash_endpoint(dst_high, dst_low, dst_port)
    return _mix(ends ^ (scope * _ODD_1) ^ (tunnel_id * _ODD_2))


@kernel
def _hash_endpoint(high: np.uint64, low: np.uint64, port: int) -> np.uint64:
    return _mix(low + high * _ODD_2 + np.uint64(port) * _ODD_3)


@kernel
def _mix(word: np.uint64) -> np.uint64:
    word = (word ^ (word >> _33)) * _MIX_1
    word = (word ^ (word >> _33)) * _MIX_2
    return word ^ (word >> _33)
