"""Records of two directions become one flow; successive records of a flow become its parts.

Records are taken one after the other in order of arrival, so the rows do not depend on how the stream was cut into
batches. What waits for its other half is bounded in number, and in time by the exporter's clock.
"""

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from ...flows.compiled import borrowing, kernel
from .directed import DIRECTED, Paired, Places, Records, known_bit

Words = npt.NDArray[np.uint64]
Row = Any  # one record of a structured array

NONE = -1
_CANDIDATES = 64  # records of one key and direction that are compared before giving up

# A flow that was seen lately, known by its key in canonical order (the lower end first).
_FLOW = np.dtype(
    [
        ("key", np.uint64, (6,)),
        ("head", np.int64, (2,)),  # the oldest waiting record from the lower end, and from the higher
        ("tail", np.int64, (2,)),
        ("totals", np.uint64, (4,)),  # packets, bytes from the lower end; from the higher end
        ("first_ns", np.int64),
        ("last_ns", np.int64),
        ("arrival_ns", np.int64),
        ("parts", np.uint32),
        ("ordinal", np.uint32),
        ("src_side", np.uint8),
        ("has_ended", np.uint8),
    ],
    align=True,
)

# What is decided of one record before its row goes out.
_FATE = np.dtype(
    [
        ("first_ns", np.int64),
        ("next", np.int64),  # the record that waits behind it
        ("before", np.int64),
        ("flow", np.int64),
        ("part", np.uint32),
        ("ordinal", np.uint32),
        ("side", np.uint8),
        ("src_side", np.uint8),
        ("waits", np.uint8),
    ],
    align=True,
)


class Pairer:
    """Joins directed records. `add` gives what is decided, `finish` the rest."""

    def __init__(
        self,
        *,
        pairing: bool = True,
        window_s: float = 5.0,
        wait_s: float = 60.0,
        slice_gap_s: float = 15.0,
        most_waiting: int = 262_144,
        most_flows: int = 262_144,
    ) -> None:
        self.notes: Counter[str] = Counter()
        self._pairing = pairing
        self._window_ns, self._wait_ns, self._gap_ns = (int(value * 1e9) for value in (window_s, wait_s, slice_gap_s))
        self._most_waiting, self._most_flows = most_waiting, most_flows
        self._waiting = np.empty(0, DIRECTED)
        self._fates = np.empty(0, _FATE)
        self._clock = np.full(16, np.iinfo(np.int64).min, np.int64)
        self._flows = np.empty(1024, _FLOW)
        self._index = np.full(4096, NONE, np.int64)
        self._used = 0
        self._seed = np.uint64(np.random.default_rng().integers(1, 1 << 63))  # so that nobody can prepare collisions

    @property
    def waiting(self) -> Records:
        """Records whose rows are still to come."""
        return self._waiting

    def add(self, records: Records) -> Paired:
        """Take records in order of arrival."""
        old = len(self._waiting)
        pool = np.concatenate((self._waiting, records)) if old else records
        fates = np.zeros(len(pool), _FATE)
        fates[:old] = self._fates
        self._make_room(fates, old, len(records))
        if len(records):
            self._grow_clock(int(records["session"].max()) + 1)
        keys, sides = _canonical_keys(records, self._pairing)
        first = np.full(len(pool), NONE, np.int64)
        second = np.full(len(pool), NONE, np.int64)
        counts = np.zeros(2, np.int64)
        self._used = _pair(
            pool, fates, old, keys, sides, self._flows, self._used, self._index, self._clock, first, second, counts,
            self._window_ns, self._wait_ns, self._gap_ns, self._most_waiting, self._pairing, self._seed,
            known_bit("end_reason"), known_bit("tcp_flags"),
        )  # fmt: skip
        if counts[1]:
            self.notes["waited-too-little"] += int(counts[1])
        return self._hand_out(pool, fates, first[: counts[0]], second[: counts[0]])

    def advance(self, now_ns: int) -> Paired:
        """What has waited long enough by the clock of arrivals, though nothing more came."""
        np.maximum(self._clock, now_ns, out=self._clock)
        return self.add(np.empty(0, DIRECTED))

    def finish(self) -> Paired:
        """Everything that still waits."""
        places = np.arange(len(self._waiting))
        fates = self._fates.copy()
        fates["waits"] = 0
        self._used = 0
        self._index[:] = NONE
        return self._hand_out(self._waiting, fates, places, np.full(len(places), NONE, np.int64))

    def _hand_out(self, pool: Records, fates: npt.NDArray[np.void], first: Places, second: Places) -> Paired:
        """Turn pairs into rows, and keep the records that wait."""
        fate = fates[first]
        is_forward = fate["side"] == fate["src_side"]
        forward = np.where(is_forward, first, second)
        reverse = np.where(is_forward, second, first)
        paired = Paired(pool, forward, reverse, fate["part"].copy(), fate["first_ns"].copy(), fate["ordinal"].copy())
        kept = np.flatnonzero(fates["waits"] != 0)
        self._waiting, self._fates = pool[kept], fates[kept]
        moved = np.full(len(pool) + 1, NONE, np.int64)
        moved[kept] = np.arange(len(kept))
        for name in ("next", "before"):
            self._fates[name] = moved[self._fates[name]]
        waited_for = self._fates["flow"]  # no other flow has a chain of records
        for name in ("head", "tail"):
            self._flows[name][waited_for] = moved[self._flows[name][waited_for]]
        return paired

    def _make_room(self, fates: npt.NDArray[np.void], old: int, coming: int) -> None:
        """Grow the table of flows up to its bound, then forget those that were silent longest and wait for nothing."""
        is_stale = False
        if self._used + coming > self._most_flows and self._used:
            self._forget_flows(fates, old)
            is_stale = True
        need = self._used + coming
        if need > len(self._flows):
            grown = np.empty(max(need, len(self._flows) * 2), _FLOW)
            grown[: self._used] = self._flows[: self._used]
            self._flows = grown
        size = len(self._index)
        while size < need * 2:
            size *= 2
        if size > len(self._index) or is_stale:
            self._index = np.full(size, NONE, np.int64)
            _reindex(self._flows, self._used, self._index, self._seed)

    def _forget_flows(self, fates: npt.NDArray[np.void], old: int) -> None:
        """Keep the flows that records wait for, and of those still open the newest, half of the bound in all."""
        flows = self._flows[: self._used]
        waits = (flows["head"] != NONE).any(axis=1)
        room = max(self._most_flows // 2 - int(waits.sum()), 0)
        candidates = np.flatnonzero(~waits & (flows["has_ended"] == 0))
        order = np.argsort(flows["arrival_ns"][candidates], kind="stable")
        newest = candidates[order[max(len(candidates) - room, 0) :]]
        kept = np.sort(np.concatenate((np.flatnonzero(waits), newest)))
        moved = np.full(self._used + 1, NONE, np.int64)
        moved[kept] = np.arange(len(kept))
        fates["flow"][:old] = moved[fates["flow"][:old]]
        self._flows[: len(kept)] = flows[kept]
        self._used = len(kept)

    def _grow_clock(self, sessions: int) -> None:
        if sessions > len(self._clock):
            grown = np.full(sessions * 2, np.iinfo(np.int64).min, np.int64)
            grown[: len(self._clock)] = self._clock
            self._clock = grown


def _canonical_keys(records: Records, pairing: bool) -> tuple[Words, npt.NDArray[np.uint8]]:
    """Keys whose lower end stands first, and 1 where the record comes from the higher end."""
    lower = records["src_high"] > records["dst_high"]
    tie = records["src_high"] == records["dst_high"]
    lower |= tie & (records["src_low"] > records["dst_low"])
    tie &= records["src_low"] == records["dst_low"]
    lower |= tie & (records["src_port"] > records["dst_port"])
    keys = np.empty((len(records), 6), np.uint64)
    ends = (("src_high", "dst_high"), ("src_low", "dst_low"), ("dst_high", "src_high"), ("dst_low", "src_low"))
    for place, (name, other) in enumerate(ends):
        keys[:, place] = np.where(lower, records[other], records[name])
    low_port = np.where(lower, records["dst_port"], records["src_port"]).astype(np.uint64)
    high_port = np.where(lower, records["src_port"], records["dst_port"]).astype(np.uint64)
    sixteen = np.uint64(16)
    keys[:, 4] = (records["session"].astype(np.uint64) << np.uint64(32)) | (low_port << sixteen) | high_port
    keys[:, 5] = (
        (records["vlan"].astype(np.uint64) << np.uint64(32))
        | (records["inner_vlan"].astype(np.uint64) << sixteen)
        | records["protocol"]
    )
    if not pairing:  # each direction is a flow of its own
        keys[:, 5] |= lower.astype(np.uint64) << np.uint64(63)
    return keys, lower.astype(np.uint8)


@borrowing
def _pair(
    records: Records,
    fates: npt.NDArray[np.void],
    old: int,
    keys: Words,
    sides: npt.NDArray[np.uint8],
    flows: npt.NDArray[np.void],
    used: int,
    index: Places,
    clock: Places,
    first: Places,
    second: Places,
    counts: Places,
    window_ns: int,
    wait_ns: int,
    gap_ns: int,
    most_waiting: int,
    pairing: bool,
    seed: np.uint64,
    reason_bit: np.uint64,
    flags_bit: np.uint64,
) -> int:
    """Decide the fate of `records[old:]`. `counts` are the rows decided, and those decided for want of room."""
    done = 0
    waiting = old
    for place in range(old, len(records)):
        record = records[place]
        fate = fates[place]
        fate.next = NONE
        fate.before = NONE
        fate.side = sides[place - old]
        session = np.int64(record.session)
        if record.arrival_ns > clock[session]:
            clock[session] = record.arrival_ns
        flow, used = _flow_of(keys[place - old], flows, used, index, seed)
        fate.flow = flow
        partner = NONE
        if pairing and record.is_biflow == 0:
            candidate = flows[flow].head[1 - fate.side]
            for _ in range(_CANDIDATES):
                if candidate == NONE:
                    break
                following = fates[candidate].next
                other = records[candidate]
                if other.arrival_ns < clock[session] - wait_ns:
                    _unlink(fates, flows, candidate)
                    first[done] = candidate
                    done += 1
                    waiting -= 1
                elif other.start_ns <= record.end_ns + window_ns and record.start_ns <= other.end_ns + window_ns:
                    partner = candidate
                    break
                candidate = following
        if partner != NONE:
            _unlink(fates, flows, partner)
            waiting -= 1
            _take_totals(records, place, flows, flow, fate.side, fates[partner].part)
            _join(records, fates, flows, flow, partner, place)
            first[done] = partner
            second[done] = place
            done += 1
        else:
            _begin_or_continue(record, fate, flows[flow], window_ns, gap_ns)
            _take_totals(records, place, flows, flow, fate.side, fate.part)
            if pairing and record.is_biflow == 0:
                _append(fates, flows, place)
                waiting += 1
            else:
                first[done] = place
                done += 1
        state = flows[flow]
        state.last_ns = max(state.last_ns, record.end_ns)
        state.arrival_ns = record.arrival_ns
        if record.known & reason_bit:
            if record.end_reason == 0 or record.end_reason == 2:  # idle, tcp-end
                state.has_ended = 1
        elif record.protocol == 6 and record.known & flags_bit and (record.tcp_flags | record.tcp_flags_rev) & 5:
            state.has_ended = 1
    for place in range(len(records)):
        fate = fates[place]
        if fate.waits == 0:
            continue
        is_late = records[place].arrival_ns < clock[np.int64(records[place].session)] - wait_ns
        if is_late or waiting > most_waiting:
            _unlink(fates, flows, place)
            first[done] = place
            done += 1
            waiting -= 1
            if not is_late:
                counts[1] += 1
    counts[0] = done
    return used


@kernel
def _begin_or_continue(record: Row, fate: Row, flow: Row, window_ns: int, gap_ns: int) -> None:
    """A record begins a flow, or is the next part of the one before."""
    reach = flow.last_ns + (window_ns if flow.has_ended else gap_ns)
    if flow.parts > 0 and record.start_ns <= reach and record.start_ns >= flow.first_ns - window_ns:
        fate.part = flow.parts
        flow.parts += np.uint32(1)
    else:
        flow.ordinal = (
            flow.ordinal + np.uint32(1) if flow.parts > 0 and flow.first_ns == record.start_ns else np.uint32(0)
        )
        flow.parts = np.uint32(1)
        flow.first_ns = record.start_ns
        flow.last_ns = record.end_ns
        flow.src_side = fate.side
        flow.has_ended = np.uint8(0)
        flow.totals[:] = np.uint64(0)
        fate.part = np.uint32(0)
    fate.first_ns = flow.first_ns
    fate.ordinal = flow.ordinal
    fate.src_side = flow.src_side


@kernel
def _join(
    records: Records, fates: npt.NDArray[np.void], flows: npt.NDArray[np.void], flow: int, waited: int, came: int
) -> None:
    """Two directions of one flow: its first part decides who is `src`."""
    fate = fates[waited]
    if fate.part != 0:
        return
    state = flows[flow]
    is_current = state.first_ns == fate.first_ns
    one, other = records[waited], records[came]
    came_first = other.start_ns < one.start_ns
    if other.start_ns == one.start_ns:
        one_asks = one.protocol == 6 and (one.tcp_flags & 0x12) == 0x02
        other_asks = other.protocol == 6 and (other.tcp_flags & 0x12) == 0x02
        came_first = other_asks if one_asks != other_asks else other.src_port > one.src_port
    if came_first:
        fate.src_side = fates[came].side
    fate.first_ns = min(one.start_ns, other.start_ns)
    if is_current:
        state.src_side = fate.src_side
        state.first_ns = fate.first_ns


@kernel
def _take_totals(records: Records, place: int, flows: npt.NDArray[np.void], flow: int, side: int, part: int) -> None:
    """Counters that count from the flow's beginning become those of this part."""
    record = records[place]
    if record.is_total == 0:
        return
    totals = flows[flow].totals
    for direction in range(2 if record.is_biflow else 1):
        at = 2 * (side if direction == 0 else 1 - side)
        packets = record.packets if direction == 0 else record.packets_rev
        size = record.bytes if direction == 0 else record.bytes_rev
        new_packets, new_size = packets, size
        if part > 0 and packets >= totals[at] and size >= totals[at + 1]:
            new_packets, new_size = packets - totals[at], size - totals[at + 1]
        totals[at], totals[at + 1] = packets, size
        if direction == 0:
            record.packets, record.bytes = new_packets, new_size
        else:
            record.packets_rev, record.bytes_rev = new_packets, new_size


@kernel
def _append(fates: npt.NDArray[np.void], flows: npt.NDArray[np.void], place: int) -> None:
    fate = fates[place]
    flow = flows[fate.flow]
    last = flow.tail[fate.side]
    fate.before = last
    fate.waits = np.uint8(1)
    if last == NONE:
        flow.head[fate.side] = place
    else:
        fates[last].next = place
    flow.tail[fate.side] = place


@kernel
def _unlink(fates: npt.NDArray[np.void], flows: npt.NDArray[np.void], place: int) -> None:
    fate = fates[place]
    flow = flows[fate.flow]
    if fate.before == NONE:
        flow.head[fate.side] = fate.next
    else:
        fates[fate.before].next = fate.next
    if fate.next == NONE:
        flow.tail[fate.side] = fate.before
    else:
        fates[fate.next].before = fate.before
    fate.waits = np.uint8(0)


@kernel
def _flow_of(key: Words, flows: npt.NDArray[np.void], used: int, index: Places, seed: np.uint64) -> tuple[int, int]:
    """(place of the flow with this key, flows in use): a new one where there was none."""
    mask = np.int64(index.shape[0] - 1)
    at = np.int64(_hash(key, seed) & np.uint64(mask))
    while index[at] != NONE:
        flow = flows[index[at]]
        same = True
        for word in range(6):
            if flow.key[word] != key[word]:
                same = False
                break
        if same:
            return index[at], used
        at = (at + 1) & mask
    index[at] = used
    flow = flows[used]
    for word in range(6):
        flow.key[word] = key[word]
    flow.head[:] = NONE
    flow.tail[:] = NONE
    flow.totals[:] = np.uint64(0)
    flow.parts = np.uint32(0)
    flow.ordinal = np.uint32(0)
    flow.has_ended = np.uint8(0)
    flow.last_ns = np.int64(0)
    flow.first_ns = np.int64(0)
    return used, used + 1


@borrowing
def _reindex(flows: npt.NDArray[np.void], used: int, index: Places, seed: np.uint64) -> None:
    mask = np.int64(index.shape[0] - 1)
    for place in range(used):
        at = np.int64(_hash(flows[place].key, seed) & np.uint64(mask))
        while index[at] != NONE:
            at = (at + 1) & mask
        index[at] = place


@kernel
def _hash(key: Words, seed: np.uint64) -> np.uint64:
    value = seed
    for word in range(6):
        value = (value ^ key[word]) * np.uint64(0x9E3779B97F4A7C15)
        value ^= value >> np.uint64(29)
    value *= np.uint64(0xBF58476D1CE4E5B9)
    return value ^ (value >> np.uint64(32))
