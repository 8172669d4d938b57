"""The walk through one frame: a row of numbers that the layers pass on, each reading its header and naming the next.

Places are offsets into the chunk's buffer. `END` is where captured bytes end, `WIRE_END` where the bytes on the wire
end; headers with a length of their own bring both nearer, so that padding is never taken for payload.
"""

import numpy as np

from ....flows.compiled import compiled
from ..layout import NO_MPLS, NO_VLAN, REASONS, Counts

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

# What stands at OFFSET. A walk ends at STOP; layers up to LAST_LINK_LAYER belong to the link.
STOP = 0
ETHERNET = 1
ETHERTYPE = 2  # dispatch on VALUE
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
IP = 18  # version by its first four bits
IPV4 = 19
IPV6 = 20

# Places in the row.
KIND = 0
VALUE = 1  # EtherType
OFFSET = 2
END = 3
WIRE_END = 4
VERDICT = 5
NESTING = 6  # tags, tunnels and extension headers so far
NESTING_LIMIT = 7
FOLLOW_TUNNELS = 8
IS_WRITTEN = 9  # 1 once an IP header has made a flow
PENDING_NOTES = 10  # a bit for each place in NOTES
TIME_NS = 11
# … of the link
VLAN = 12
INNER_VLAN = 13
TOP_LABEL = 14
SRC_MAC = 15
DST_MAC = 16
HAS_MACS = 17  # bit 0: SRC_MAC is known; bit 1: DST_MAC is
HAS_FCS = 18  # 802.11 only
IS_PADDED = 19  # 802.11 only: header padded to a multiple of four
# … of the tunnel
TUNNEL = 20
TUNNEL_ID = 21
# … of the IP header
VERSION = 22
IP_BYTES = 23
IP_END = 24  # where the IP packet ends by its own claim
PROTOCOL = 25
TTL = 26
TOS = 27
FRAGMENT = 28  # 0 whole, 1 first, 2 later
FRAGMENT_ID = 29
FRAGMENT_PROTOCOL = 30
IS_JUMBO = 31
# … of the transport header
SRC_PORT = 32
DST_PORT = 33
PAYLOAD_START = 34
PAYLOAD_BYTES = 35
SEQUENCE = 36
ACKNOWLEDGEMENT = 37
WINDOW = 38
TCP_FLAGS = 39
# … first fragments of this frame, whose entries follow the innermost flow
FIRST_FRAGMENTS = 40
FIRST_FRAGMENT_ENTRIES = 41  # … to 44
WALK_LENGTH = 45
FIRST_FRAGMENTS_LIMIT = 4

FIRST_FRAGMENT, LATER_FRAGMENT = 1, 2


@compiled
def begin(walk: Counts, start: int, captured: int, wire: int, time_ns: int) -> None:
    """Set the row to the beginning of a frame. The limits stay as they were."""
    walk[OFFSET] = start
    walk[END] = start + captured
    walk[WIRE_END] = start + wire
    walk[TIME_NS] = time_ns
    walk[VERDICT] = 0
    walk[NESTING] = 0
    walk[IS_WRITTEN] = 0
    walk[PENDING_NOTES] = 0
    walk[VLAN] = NO_VLAN
    walk[INNER_VLAN] = NO_VLAN
    walk[TOP_LABEL] = NO_MPLS
    walk[SRC_MAC] = 0
    walk[DST_MAC] = 0
    walk[HAS_MACS] = 0
    walk[HAS_FCS] = 0
    walk[IS_PADDED] = 0
    walk[TUNNEL] = 0
    walk[TUNNEL_ID] = 0
    walk[FIRST_FRAGMENTS] = 0


@compiled
def go_on(walk: Counts, kind: int, header_bytes: int) -> None:
    """The next layer is `kind`, after a header of `header_bytes`."""
    walk[KIND] = kind
    walk[OFFSET] += header_bytes


@compiled
def stop(walk: Counts, verdict: int) -> None:
    """End the walk. The verdict counts only if no IP header has made a flow yet."""
    walk[KIND] = STOP
    walk[VERDICT] = verdict


@compiled
def nest(walk: Counts) -> bool:
    """Count one more tag, tunnel or extension header; False, with the walk stopped, where that is one too many."""
    walk[NESTING] += 1
    if walk[NESTING] > walk[NESTING_LIMIT]:
        stop(walk, TOO_MANY_HEADERS)
        return False
    return True


@compiled
def holds(walk: Counts, header_bytes: int) -> bool:
    """Whether so many bytes were captured from OFFSET on."""
    return bool(walk[END] - walk[OFFSET] >= header_bytes)


@compiled
def bound(walk: Counts, end: int) -> None:
    """Nothing after `end` belongs to what is being read."""
    walk[END] = max(walk[OFFSET], min(walk[END], end))
    walk[WIRE_END] = max(walk[OFFSET], min(walk[WIRE_END], end))


@compiled
def note(walk: Counts, place: int) -> None:
    walk[PENDING_NOTES] |= np.int64(1) << place
