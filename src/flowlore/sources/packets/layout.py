"""How frames and packets lie in memory between the reader, the header parser and the meter."""

from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Records = Any  # an array of the records below: a checker does not know their fields
Record = Any  # one of `Records` inside a kernel, its fields as attributes
Number = Any  # a whole number inside a kernel, of whatever width its expression has
Counts = npt.NDArray[np.int64]
Links = npt.NDArray[np.int32]
Words = npt.NDArray[np.uint64]

# One frame as a capture file or an interface hands it over: where its bytes lie in the chunk's buffer.
FRAME = np.dtype(
    [
        ("time_ns", np.int64),  # since 1970, UTC
        ("start", np.int64),  # first byte in the buffer
        ("captured", np.uint32),  # bytes in the buffer
        ("wire", np.uint32),  # bytes on the wire, at least `captured`
        ("link", np.uint16),  # LINKTYPE_ number
        ("interface", np.uint16),  # ordinal of the interface in the capture
    ],
    align=True,
)

# One packet after its headers were read. Addresses are two big-endian halves; IPv4 is mapped into IPv6.
PACKET = np.dtype(
    [
        ("time_ns", np.int64),
        ("key_hash", np.uint64),  # equal for both directions of a flow
        ("src_high", np.uint64),
        ("src_low", np.uint64),
        ("dst_high", np.uint64),
        ("dst_low", np.uint64),
        ("src_mac", np.uint64),  # 48 bits, 0 where the link has none
        ("dst_mac", np.uint64),
        ("payload_start", np.int64),  # transport payload in the chunk's buffer
        ("sequence", np.uint32),
        ("acknowledgement", np.uint32),
        ("frame_bytes", np.uint32),  # on the wire
        ("ip_bytes", np.uint32),  # IP total length
        ("payload_bytes", np.uint32),  # transport payload by the IP length
        ("payload_captured", np.uint32),  # how much of it is in the buffer
        ("tunnel_id", np.uint32),  # VNI, TEID, GRE key; 0 where none
        ("mpls", np.uint32),  # top label; NO_MPLS where none
        ("src_port", np.uint16),
        ("dst_port", np.uint16),
        ("window", np.uint16),
        ("vlan", np.uint16),  # NO_VLAN where untagged
        ("inner_vlan", np.uint16),  # NO_VLAN where not QinQ
        ("protocol", np.uint8),
        ("tcp_flags", np.uint8),
        ("ttl", np.uint8),
        ("tos", np.uint8),
        ("tunnel", np.uint8),  # place in TUNNELS
        ("has_macs", np.uint8),  # bit 0: `src_mac` is known, bit 1: `dst_mac` is
        ("verdict", np.uint8),  # 0: belongs to a flow; else place in REASONS
    ],
    align=True,
)

NO_VLAN = 0xFFFF
NO_MPLS = 0xFFFFFFFF
TUNNELS = ("", "gre", "ipip", "6in4", "vxlan", "geneve", "gtp-u", "4in6", "6in6", "teredo", "erspan")

# Why a frame is in no flow. The place is the code that kernels write; new reasons go to the end.
REASONS = (
    "",
    "unknown-link-type",
    "cut-link-header",  # the snap length or the file ends inside the link header
    "not-ip",  # ARP, LLDP, STP … : well-formed, but no IP
    "cut-ip-header",
    "bad-ip-header",  # version, header length or total length that cannot be
    "cut-transport-header",  # shorter than its protocol's fixed part
    "bad-transport-header",
    "too-many-headers",  # more nested tags, tunnels or extension headers than the limit
    "wireless-management",  # 802.11 frames that carry no data
    "wireless-encrypted",
    "wireless-bad-header",
    "zero-length-record",
    "bad-time",  # a time stamp that cannot be
    "ppp-control",  # LCP, IPCP … : no IP
    "wireless-fragment",  # later fragments and aggregates of 802.11, which are not taken apart
)
