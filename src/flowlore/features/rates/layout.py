"""What a cell holds (one entity in one step), where it lies, and the numbers that the kernels keep.

A cell is a row of int64: who and when, where its peers and ports are listed, then its counters, in and out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Slots = npt.NDArray[np.int64]
Whole = Any  # a number in a kernel, whose width no checker follows
Octets = npt.NDArray[np.uint8]

KEY = 0  # four words; a lone address fills two
KEY_WORDS = 4
STEP = 4  # number of the step since 1970
HEAD = 5  # the first of the listed peers, then of the ports; -1 is none
HELD = 7  # how many are listed
SKETCH = 9  # where their sketches are, once there were too many to list; -1 is nowhere
IN = 11
FIELDS = (
    *("flows", "active_flows", "packets", "bytes", "peers", "ports", "tcp", "udp"),
    *("icmp", "web", "dns", "mail", "remote", "files", "reflected"),
    *("syn_packets", "fin_packets", "rst_packets", "half_open_flows"),
)
OUT = IN + len(FIELDS)
CELL_WORDS = OUT + len(FIELDS)
FLOWS, ACTIVE, PACKETS, BYTES, PEERS, PORTS, TCP, UDP, ICMP, SERVICES = range(10)
SYN, FIN, RST, HALF_OPEN = range(len(FIELDS) - 4, len(FIELDS))
SERVICE_NAMES = ("other", "web", "dns", "mail", "remote", "files", "reflected")  # 0 has no counter: it is the rest

PAIR_HASH = 0  # of entity, step, kind and value
PAIR_VALUE = 1
PAIR_CELL = 2  # the cell; -1 where the pair is not needed any more
PAIR_LINK = 3  # the next of the list, 8 bits to the left; then bit 0 seen in, bit 1 seen out, bit 2 a port
PAIR_WORDS = 4
SEEN_IN, SEEN_OUT, IS_PORT = 1, 2, 4

SKETCH_BITS = 11
REGISTERS = 1 << SKETCH_BITS

# Numbers that kernels keep from call to call.
CELLS_USED, PAIRS_USED, SKETCHES_USED, NEWEST_NS, OPEN_FROM, AHEAD_IN_A_ROW, FIRST_NOTE = range(7)
NOTES = (
    "flows-without-entity",
    "flows-without-time",
    "flows-late",
    "flows-partly-late",
    "flows-ahead",
    "clock-steps",
    "flows-too-long",
    "negative-durations",
    "distinct-not-counted",
)
(
    NO_ENTITY,
    NO_TIME,
    LATE,
    PARTLY_LATE,
    AHEAD,
    CLOCK_STEP,
    TOO_LONG,
    NEGATIVE,
    NOT_COUNTED,
) = range(FIRST_NOTE, FIRST_NOTE + len(NOTES))
NUMBERS = FIRST_NOTE + len(NOTES)
NEVER = np.iinfo(np.int64).min


class Tables(NamedTuple):
    """Memory of the open steps. Slots hold a place in the low 32 bits and a part of the hash above; -1 is free."""

    cell_slots: Slots
    cells: npt.NDArray[np.int64]  # [cells, CELL_WORDS]
    pair_slots: Slots
    pairs: npt.NDArray[np.int64]  # [pairs, PAIR_WORDS]
    sketches: Octets  # [sketches, 2 (in, out), REGISTERS]
    numbers: Words


class FlowColumns(NamedTuple):
    """What the kernels need of flows, a row each. `first` and `second` are the entities: packets forward go out of the
    first and into the second. A key of zeros is no entity."""

    start_ns: Words
    duration_ns: Words
    first_keys: Hashes  # [rows, KEY_WORDS]
    second_keys: Hashes
    first_peer: Hashes  # hash of whom the first entity talks to; 0 is unknown
    second_peer: Hashes
    is_new: Octets  # 0 for later slices of a flow
    protocol: Octets
    service: Octets
    port: npt.NDArray[np.uint16]  # which `src` asked for; 0 where there is none
    packets: Words  # [rows, 2], forward and reverse, as all that follow
    bytes: Words
    flag_packets: Words  # [rows, 2, 3]: SYN, FIN, RST
    is_half_open: Octets


def new_tables(cells: int, pairs: int, sketches: int) -> Tables:
    numbers = np.zeros(NUMBERS, np.int64)
    numbers[NEWEST_NS] = numbers[OPEN_FROM] = NEVER
    return Tables(
        cell_slots=np.full(slots_for(cells), -1, np.int64),
        cells=np.zeros((cells, CELL_WORDS), np.int64),
        pair_slots=np.full(slots_for(pairs), -1, np.int64),
        pairs=np.zeros((pairs, PAIR_WORDS), np.int64),
        sketches=np.zeros((sketches, 2, REGISTERS), np.uint8),
        numbers=numbers,
    )


def slots_for(entries: int) -> int:
    """A power of two, so that at most half of the slots are taken."""
    return 1 << max(4, (2 * entries - 1).bit_length())
