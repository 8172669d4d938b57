"""The walk through one frame: one record that the layers pass on, each reading its header.

Places are offsets into the chunk's buffer. `end` is where captured bytes end, `wire_end` where the bytes on the wire
end; headers with a length of their own bring both nearer, so that padding is never taken for payload.
"""

import numpy as np

from ....flows.compiled import kernel
from ..layout import NO_MPLS, NO_VLAN, REASONS

# Reasons by place.
UNKNOWN_LINK_TYPE = REASONS.index("unknown-link-type")
CUT_LINK_HEADER = REASONS.index("cut-link-header")
NOT_IP = REASONS.index("not-ip")
CUT_IP_HEADER = REASONS.index("cut-ip-header")
BAD_IP_HEADER = REASONS.index("bad-ip-header")
CUT_TRANSPORT_HEADER = REASONS.index("cut-transport-header")
BAD_TRANSPORT_HEADER = REASONS.index("bad-transport-header")
TOO_MANY_HEADERS = REASONS.index("too-many-headers")
WIRELESS_MANAGEMENT = REASONS.index("wireless-management")
WIRELESS_ENCRYPTED = REASONS.index("wireless-encrypted")
WIRELESS_BAD_HEADER = REASONS.index("wireless-bad-header")
ZERO_LENGTH_RECORD = REASONS.index("zero-length-record")
BAD_TIME = REASONS.index("bad-time")
PPP_CONTROL = REASONS.index("ppp-control")
WIRELESS_FRAGMENT = REASONS.index("wireless-fragment")

# What stands at `offset`. Layers hand on the kind of the next one: STOP at the end, minus a reason if it is a bad end.
STOP = 0
ETHERNET = 1
ETHERTYPE = 2  # dispatch on `value`
LLC = 3
MPLS = 4
PPPOE = 5
PPP = 6
CISCO_HDLC = 7
NULL = 8
COOKED_V1 = 9
COOKED_V2 = 10
WIRELESS = 11
RADIOTAP = 12
PRISM = 13
AVS = 14
PPI = 15
NETFILTER_LOG = 16
FDDI = 17
INFINIBAND = 18
IP = 19  # version by its first four bits
IPV4 = 20
IPV6 = 21

Walk = np.void
WALK = np.dtype(
    [
        ("value", np.int64),  # EtherType
        ("offset", np.int64),
        ("end", np.int64),
        ("wire_end", np.int64),
        ("nesting", np.int64),  # tags, tunnels and extension headers so far
        ("nesting_limit", np.int64),
        ("follow_tunnels", np.int64),
        ("pending_notes", np.int64),  # the bits of `notes`
        ("time_ns", np.int64),
        # … of the link
        ("vlan", np.int64),
        ("inner_vlan", np.int64),
        ("top_label", np.int64),
        ("src_mac", np.int64),
        ("dst_mac", np.int64),
        ("has_macs", np.int64),  # bit 0: `src_mac` is known; bit 1: `dst_mac` is
        ("has_fcs", np.int64),  # 802.11 only
        ("is_padded", np.int64),  # 802.11 only: header padded to a multiple of four
        # … of the tunnel
        ("tunnel", np.int64),
        ("tunnel_id", np.int64),
        # … of the IP header
        ("version", np.int64),
        ("src_high", np.uint64),
        ("src_low", np.uint64),
        ("dst_high", np.uint64),
        ("dst_low", np.uint64),
        ("ip_bytes", np.int64),
        ("ip_end", np.int64),  # where the IP packet ends by its own claim
        ("protocol", np.int64),
        ("ttl", np.int64),
        ("tos", np.int64),
        ("fragment", np.int64),  # 0 whole, else one of the two below
        ("fragment_id", np.int64),
        ("fragment_protocol", np.int64),
        ("is_oversize", np.int64),  # a jumbogram, or an IP length of 0
        # … of the transport header
        ("src_port", np.int64),
        ("dst_port", np.int64),
        ("payload_start", np.int64),
        ("payload_bytes", np.int64),
        ("sequence", np.int64),
        ("acknowledgement", np.int64),
        ("window", np.int64),
        ("tcp_flags", np.int64),
        # … entries of first fragments in this frame, which follow its innermost flow; -1 where there is none
        ("outer_entry", np.int64),
        ("inner_entry", np.int64),
    ],
    align=True,
)

FIRST_FRAGMENT, LATER_FRAGMENT = 1, 2


@kernel
def begin(walk: Walk, start: int, captured: int, wire: int, time_ns: int) -> None:
    """Set the record to the beginning of a frame. The limits stay as they were."""
    walk["offset"] = start
    walk["end"] = start + captured
    walk["wire_end"] = start + wire
    walk["time_ns"] = time_ns
    walk["nesting"] = 0
    walk["pending_notes"] = 0
    walk["vlan"] = NO_VLAN
    walk["inner_vlan"] = NO_VLAN
    walk["top_label"] = NO_MPLS
    walk["src_mac"] = 0
    walk["dst_mac"] = 0
    walk["has_macs"] = 0
    walk["has_fcs"] = 0
    walk["is_padded"] = 0
    walk["tunnel"] = 0
    walk["tunnel_id"] = 0
    walk["outer_entry"] = -1
    walk["inner_entry"] = -1


@kernel
def nest(walk: Walk) -> bool:
    """Count one more tag, tunnel or extension header; False where that is one too many."""
    walk["nesting"] += 1
    return bool(walk["nesting"] <= walk["nesting_limit"])


@kernel
def bound(walk: Walk, end: int) -> None:
    """Nothing after `end` belongs to what is being read."""
    walk["end"] = max(walk["offset"], min(walk["end"], end))
    walk["wire_end"] = max(walk["offset"], min(walk["wire_end"], end))
