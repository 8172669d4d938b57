"""After each call of `feed`: what DNS said is learned, and each flow that began gets the name that its client had.

Answers and first packets are gone through in the order of the capture, so that a name depends on what came before the
flow and on nothing else: not on how many packets are metered at once, nor by how many shards.
"""

from collections.abc import Sequence

import numpy as np

from ....flows.compiled import borrowing, kernel
from ..layout import Bytes, Counts, Number, Record
from ..names.tags import LOOKED_UP
from .chains import append_items, read_items
from .layout import ANSWERS_BYTES, OPENED_COUNT, STATE_TO_NAME, Tables
from .lookups import LEARNED_AT_ONCE, NAME_BYTES, Lookups, learn_answers, look_up


def learn_and_name(lookups: Lookups, shards: Sequence[Tables], answers: Bytes) -> None:
    """Name the flows that have begun in all `shards`. Row s of `answers` is what shard s noted."""
    if not any(tables.numbers[ANSWERS_BYTES] or tables.numbers[OPENED_COUNT] for tables in shards):
        return
    lengths = np.array([tables.numbers[ANSWERS_BYTES] for tables in shards], np.int64)
    opened = [int(tables.numbers[OPENED_COUNT]) for tables in shards]
    cursors, named = np.zeros(len(shards), np.int64), [0] * len(shards)
    packets = np.empty(LEARNED_AT_ONCE, np.int64)
    are_more = True
    while are_more:
        learned = learn_answers(lookups, answers, lengths, cursors, packets) if lengths.any() else 0
        are_more = learned == LEARNED_AT_ONCE
        for shard, tables in enumerate(shards):
            if named[shard] < opened[shard]:
                named[shard] = _name_opened(tables, lookups, named[shard], packets[:learned], are_more)
    for tables in shards:
        tables.numbers[ANSWERS_BYTES] = 0
        tables.numbers[OPENED_COUNT] = 0


@borrowing
def _name_opened(tables: Tables, lookups: Lookups, begin: Number, packets: Counts, are_more: bool) -> Number:
    """Name the flows listed from `begin` on whose packets before are all learned; where the others begin.

    `packets` has the place of the packet of each answer that was learned last.
    """
    before: Number = 0
    newest = lookups.numbers[0] - len(packets)
    for place in range(begin, tables.numbers[OPENED_COUNT]):
        packet = np.int64(tables.opened_at[place])
        if are_more and packet > packets[len(packets) - 1]:
            return place
        flow = tables.flows[tables.opened[place]]
        flow.state &= np.uint8(~STATE_TO_NAME & 0xFF)
        if packet < 0:
            _copy_name(tables, flow, tables.flows[-1 - packet])
            continue
        while before < len(packets) and packets[before] < packet:
            before += 1
        if newest + before > 0:
            at = look_up(
                lookups, flow.src_high, flow.src_low, flow.dst_high, flow.dst_low, flow.first_ns, newest + before
            )
            if at >= 0:
                _write_name(tables, flow, lookups, at)
    return tables.numbers[OPENED_COUNT]


@kernel
def _write_name(tables: Tables, flow: Record, lookups: Lookups, at: Number) -> None:
    size = np.int64(lookups.lengths[at])
    tables.items[0] = LOOKED_UP
    tables.items[1] = size
    tables.items[2] = 0
    for byte in range(size):
        tables.items[3 + byte] = lookups.names[at * NAME_BYTES + byte]
    _append_name(tables, flow, 0, 3 + size)


@kernel
def _copy_name(tables: Tables, flow: Record, older: Record) -> None:
    """To a slice the name of the one before, whose flow it is."""
    length = read_items(tables, older, tables.items)
    place: Number = 0
    while place + 3 <= length:
        stop = place + 3 + np.int64(tables.items[place + 1]) + (np.int64(tables.items[place + 2]) << 8)
        if tables.items[place] == LOOKED_UP:
            _append_name(tables, flow, place, stop)
            return
        place = stop


@kernel
def _append_name(tables: Tables, flow: Record, start: Number, stop: Number) -> None:
    """It takes no room from what the sniffer reads before or after."""
    before = np.int64(flow.names_bytes)
    flow.looked_up_bytes = before + stop - start
    append_items(tables, flow, start, stop)
    flow.looked_up_bytes = np.int64(flow.names_bytes) - before
