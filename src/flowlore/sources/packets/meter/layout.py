"""How open flows lie in memory: a FLOW and two SIDEs (forward, reverse) each, series and names in chains."""

from typing import NamedTuple

import numpy as np

from ..layout import Bytes, Counts, Links, Records, Words

# The busiest fields come first, so that most packets touch the first 128 bytes of each record only.
FLOW = np.dtype(
    [
        ("src_high", np.uint64),
        ("src_low", np.uint64),
        ("dst_high", np.uint64),
        ("dst_low", np.uint64),
        ("last_ns", np.int64),  # newest packet
        ("start_ns", np.int64),  # first packet of this slice; NOT_STARTED where it has none
        ("src_port", np.uint16),
        ("dst_port", np.uint16),
        ("vlan", np.uint16),
        ("inner_vlan", np.uint16),
        ("tunnel_id", np.uint32),
        ("protocol", np.uint8),
        ("tunnel", np.uint8),
        ("state", np.uint8),  # bits STATE_…
        ("sniffed", np.uint8),  # payload packets shown to the sniffer
        ("key_hash", np.uint64),  # 0 where the slot is not open
        ("series_last", np.int32),
        ("series_count", np.uint16),
        ("names_bytes", np.uint16),
        ("syn_ns", np.int64),  # first SYN of `src`, first SYN-ACK, first ACK after it; UNSEEN where not seen
        ("synack_ns", np.int64),
        ("ack_ns", np.int64),
        ("series_first", np.int32),  # chain of blocks, NO_BLOCK where empty
        ("names_first", np.int32),
        ("names_last", np.int32),
        ("assembly", np.int32),  # what the sniffer keeps between packets, NO_BLOCK where nothing
        ("initial_sequence", np.uint32),  # of the first SYN of `src`
        ("part", np.uint32),
        ("first_ns", np.int64),  # first packet of the whole flow: part of its identity
        ("src_mac", np.uint64),
        ("dst_mac", np.uint64),
        ("ordinal", np.uint32),
        ("mpls", np.uint32),
        ("capture", np.uint32),
        ("has_macs", np.uint8),  # bit 0: `src_mac` is known, bit 1: `dst_mac` is
        ("end_reason", np.uint8),  # place in END_REASONS
        ("looked_up_bytes", np.uint16),  # of `names_bytes`, what the meter wrote
    ],
    align=True,
)

SIDE = np.dtype(
    [
        ("packets", np.uint64),
        ("bytes", np.uint64),
        ("frame_bytes", np.uint64),
        ("payload_bytes", np.uint64),
        ("size_spread", np.int64),  # sum of squares of (size - size_first)
        ("last_ns", np.int64),
        ("gap_mean", np.float64),
        ("gap_spread", np.float64),  # sum of squares of (gap - mean), by Welford
        ("gap_min_ns", np.int64),
        ("gap_max_ns", np.int64),
        ("size_first", np.uint32),
        ("size_min", np.uint32),
        ("size_max", np.uint32),
        ("next_sequence", np.uint32),  # one past the newest byte
        ("hole_start", np.uint32),  # bytes jumped over and not seen yet; equal ends where there is no hole
        ("hole_end", np.uint32),
        ("psh_packets", np.uint32),
        ("ack_packets", np.uint32),
        ("window_first", np.uint16),
        ("window_min", np.uint16),
        ("window_max", np.uint16),
        ("payload_kept", np.uint16),
        ("tcp_flags", np.uint8),
        ("ttl_min", np.uint8),
        ("ttl_max", np.uint8),
        ("has_sequence", np.uint8),
        ("syn_packets", np.uint32),
        ("fin_packets", np.uint32),
        ("rst_packets", np.uint32),
        ("urg_packets", np.uint32),
        ("ece_packets", np.uint32),
        ("cwr_packets", np.uint32),
        ("retransmitted", np.uint32),
        ("out_of_order", np.uint32),
        ("tos", np.uint8),
    ],
    align=True,
)

SERIES = np.dtype(
    [
        ("gap_ns", np.int64),
        ("bytes", np.uint16),
        ("payload_bytes", np.uint16),
        ("window", np.uint16),
        ("tcp_flags", np.uint8),
        ("direction", np.int8),
    ],
    align=True,
)

UNSEEN = -1
NO_BLOCK = -1
SERIES_BLOCK = 8  # packets in one block of a series
NAMES_BLOCK = 64  # bytes in one block of names
ASSEMBLY_BYTES = 8192  # what one sniffer may keep
ASSEMBLY_NOTES = 16
ITEMS_BYTES = 2048  # what one call of the sniffer may write
SNIFFED_NAMES_BYTES = 1024  # names that the sniffer read, kept for one flow
MAX_NAMES_BYTES = SNIFFED_NAMES_BYTES + 3 + 255  # with the name that DNS gave
MAX_SNIFFED = 10  # payload packets shown to the sniffer before it gives up

STATE_FIN_FORWARD = 1
STATE_FIN_REVERSE = 2
STATE_RESET = 4
STATE_ESTABLISHED = 16  # a SYN-ACK or payload was seen
STATE_SNIFFED = 8  # the sniffer wants no more of this flow
STATE_TO_NAME = 32  # opened in this call of `feed`: nobody has asked yet what DNS called its server


class Tables(NamedTuple):
    """Everything that one shard of the meter owns."""

    slot_of_key: Words  # open addressing: tag (high 32 bits of the key hash) and slot + 1, zero where free
    flows: Records  # FLOW
    sides: Records  # SIDE, forward of slot s at 2 s, reverse at 2 s + 1
    open_slots: Words  # a bit for each slot, set where its flow is open
    free_slots: Links
    finished: Links  # slots whose slice has ended and waits to be drained
    series: Records  # SERIES, block b at SERIES_BLOCK b
    series_next: Links  # next block of a chain, or of the free list
    names: Bytes  # block b at NAMES_BLOCK b
    names_next: Links
    assembly: Bytes  # entry a at ASSEMBLY_BYTES a; entry 0 is scratch
    assembly_notes: Counts
    assembly_next: Links
    payload: Bytes  # first payload bytes of side s at payload_bytes s
    items: Bytes  # scratch: what the sniffer wrote
    answers: Bytes  # DNS answers waiting to be learned
    opened: Links  # slots of flows that wait for the name that DNS gave them
    opened_at: Links  # the packet that opened each, by place in the call of `feed`; -1 - s for a later slice of slot s
    numbers: Counts  # counts and cursors, places below


# Places in `Tables.numbers`.
(
    OPEN_FLOWS,  # in the index
    SLOTS_USED,  # slots ever taken: memory beyond was never touched
    FREE_COUNT,
    FINISHED_COUNT,
    SERIES_USED,
    SERIES_FREE,  # head of the free list
    NAMES_USED,
    NAMES_FREE,
    ASSEMBLY_USED,
    ASSEMBLY_FREE,
    ANSWERS_BYTES,
    EVICTION_CURSOR,
    PACKETS_METERED,
    EVICTED_FLOWS,
    LOST_SERIES,  # packets not kept in a series since its pool was full
    LOST_NAMES,
    LOST_ASSEMBLY,
    LOST_ANSWERS,
    TIME_BACKWARDS,
    OPENED_COUNT,
    NUMBERS,
) = range(21)


class Limits(NamedTuple):
    """The meter's settings as the kernels take them."""

    idle_ns: int
    active_ns: int
    linger_ns: int
    window_ns: int
    sweep_ns: int  # time between two looks for flows that are over
    max_packets: int
    payload_bytes: int
    max_flows: int
    names: int
    shard: int
    shards: int
