"""Kernels that join flows to hosts and to earlier flows, a pass over flows in order of time each.

Tables are open-addressed, a power of two at least twice as large as what goes in; key 0 is an empty slot.
"""

import numpy as np
import numpy.typing as npt

from ...flows.compiled import compiled, inlined

Keys = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]
Places = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float32]

NONE = -1
SECOND_NS = 1e9


def table_size(most: int) -> int:
    """Slots of a table for so many keys.

    >>> table_size(5)
    16
    """
    return 1 << max(4, int(2 * most - 1).bit_length())


@inlined
def slot_of(table: Keys, key: np.uint64) -> np.int64:
    """Where a key is, or the empty slot where it would go. The table must not be full."""
    mask = np.uint64(table.size - 1)
    spread = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    spread = (spread ^ (spread >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    place = (spread ^ (spread >> np.uint64(31))) & mask
    while table[place] != np.uint64(0) and table[place] != key:
        place = (place + np.uint64(1)) & mask
    return np.int64(place)


@compiled
def surplus_copies(copies: Keys, windows: Integers, memory: int, most: int, table: Keys) -> Flags:
    """Which rows are one slice too many: `most` slices of the flow that are kept are in the memory already."""
    rows = copies.size
    surplus = np.zeros(rows, np.bool_)
    last = np.empty(table.size, np.int32)
    before = np.full(rows, NONE, np.int32)
    for row in range(rows):
        if copies[row] == 0:
            continue
        slot = slot_of(table, copies[row])
        if table[slot] != 0:
            place, count = last[slot], 0
            before[row] = place
            while place != NONE and windows[place] > windows[row] - memory and count < most:
                count += 1
                place = before[place]
            if count >= most:
                surplus[row] = True
                continue
        table[slot] = copies[row]
        last[slot] = row
    return surplus


@compiled
def stand_ins(
    sources: Keys, targets: Keys, copies: Keys, windows: Integers, kept: Flags, memory: int, table: Keys
) -> Places:
    """For each row that is not kept, the last kept one of the same flow, else pair, else source, within the memory."""
    rows = sources.size
    found = np.full(rows, NONE, np.int32)
    last = np.empty(table.size, np.int32)
    for row in range(rows):
        of_pair = (sources[row] * np.uint64(0xBF58476D1CE4E5B9)) ^ (targets[row] + np.uint64(2))
        for key in (copies[row], of_pair, sources[row] ^ np.uint64(0x5851F42D4C957F2D)):
            if key == 0:
                continue
            slot = slot_of(table, key)
            if kept[row]:
                table[slot] = key
                last[slot] = row
            elif table[slot] != 0 and windows[last[slot]] > windows[row] - memory:
                found[row] = last[slot]
                break
    return found


@compiled
def link_nodes(
    sources: Keys, targets: Keys, windows: Integers, table: Keys
) -> tuple[Places, Places, Keys, Integers, Places, Places, Places]:
    """A host node for each host and window, in order of first flow.

    Gives source and target node of each flow; key and window of each node and the node of the same host before; and
    for each flow the flow before it of the same source, and of the same target.
    """
    rows = sources.size
    source, target = np.empty(rows, np.int32), np.empty(rows, np.int32)
    keys, node_windows = np.empty(2 * rows, np.uint64), np.empty(2 * rows, np.int64)
    before = np.empty(2 * rows, np.int32)
    last_node = np.empty(table.size, np.int32)
    last_out, last_in = np.full(table.size, NONE, np.int32), np.full(table.size, NONE, np.int32)
    before_source, before_target = np.empty(rows, np.int32), np.empty(rows, np.int32)
    nodes = 0
    for row in range(rows):
        for side in range(2):
            key = sources[row] if side == 0 else targets[row]
            slot = slot_of(table, key)
            is_new = table[slot] == 0
            if is_new or node_windows[last_node[slot]] != windows[row]:
                keys[nodes], node_windows[nodes] = key, windows[row]
                before[nodes] = NONE if is_new else last_node[slot]
                table[slot] = key
                last_node[slot] = nodes
                nodes += 1
            if side == 0:
                source[row] = last_node[slot]
                before_source[row] = last_out[slot]
                last_out[slot] = row
            else:
                target[row] = last_node[slot]
                before_target[row] = last_in[slot]
                last_in[slot] = row
    return (
        source,
        target,
        keys[:nodes].copy(),
        node_windows[:nodes].copy(),
        before[:nodes],
        before_source,
        before_target,
    )


@compiled
def last_slices(copies: Keys, windows: Integers, memory: int, table: Keys) -> Places:
    """For each row the last row of the same flow within the memory, or -1."""
    rows = copies.size
    found = np.full(rows, NONE, np.int32)
    last = np.empty(table.size, np.int32)
    for row in range(rows):
        if copies[row] == 0:
            continue
        slot = slot_of(table, copies[row])
        if table[slot] != 0 and windows[last[slot]] > windows[row] - memory:
            found[row] = last[slot]
        table[slot] = copies[row]
        last[slot] = row
    return found


@compiled
def links_back(before: Places, windows: Integers, memory: int, most: int, first: int) -> tuple[Places, Places]:
    """The chains of `before`, written out for nodes from `first` on: where each begins, and the nodes, latest first."""
    nodes = before.size - first
    starts = np.empty(nodes, np.int32)
    places = np.empty(nodes * most, np.int32)
    filled = 0
    for number in range(nodes):
        node = first + number
        starts[number] = filled
        place, count = before[node], 0
        while place != NONE and count < most and windows[place] > windows[node] - memory:
            places[filled] = place
            filled += 1
            count += 1
            place = before[place]
    return starts, places[:filled].copy()


@compiled
def measure_nodes(
    source: Places,
    target: Places,
    services: Places,
    windows: Integers,
    times_ns: Integers,
    before_source: Places,
    before_target: Places,
    before_host: Places,
    host_windows: Integers,
    window_ns: int,
    memory: int,
    pairs: Keys,
    used: Keys,
    offered: Keys,
) -> tuple[Numbers, Numbers, Places]:
    """Numbers of hosts and flows within their window, and the order of each flow in it. A number that is not known is
    -1; times are in s. None of them tells which host it is.
    """
    rows, nodes = source.size, before_host.size
    hosts, flows = np.zeros((nodes, 7), np.float32), np.empty((rows, 4), np.float32)
    order = np.empty(rows, np.int32)
    of_pair = np.zeros(pairs.size, np.int32)
    for node in range(nodes):
        earlier = before_host[node]
        gap = host_windows[node] - host_windows[earlier] if earlier != NONE else memory
        hosts[node, 6] = gap if gap < memory else -1
    in_window = 0
    for row in range(rows):
        in_window = in_window + 1 if row > 0 and windows[row] == windows[row - 1] else 0
        order[row] = in_window
        out, into = source[row], target[row]
        hosts[out, 0] += 1
        hosts[into, 1] += 1
        slot = slot_of(pairs, np.uint64(out + 1) << np.uint64(32) | np.uint64(into + 1))
        if pairs[slot] == 0:
            pairs[slot] = np.uint64(out + 1) << np.uint64(32) | np.uint64(into + 1)
            hosts[out, 2] += 1
            hosts[into, 3] += 1
        flows[row, 2] = of_pair[slot]
        of_pair[slot] += 1
        if services[row] > 0:
            key = np.uint64(out + 1) << np.uint64(32) | np.uint64(services[row])
            slot = slot_of(used, key)
            if used[slot] == 0:
                used[slot] = key
                hosts[out, 4] += 1
            key = np.uint64(into + 1) << np.uint64(32) | np.uint64(services[row])
            slot = slot_of(offered, key)
            if offered[slot] == 0:
                offered[slot] = key
                hosts[into, 5] += 1
        for side in range(2):
            earlier = before_source[row] if side == 0 else before_target[row]
            known = earlier != NONE and windows[earlier] > windows[row] - memory
            flows[row, side] = (times_ns[row] - times_ns[earlier]) / SECOND_NS if known else -1.0
        flows[row, 3] = (times_ns[row] - windows[row] * window_ns) / window_ns
    return hosts, flows, order


@compiled
def number_services(services: Places, windows: Integers, table: Keys) -> tuple[Places, int]:
    """A node for each service and window in order of first flow; -1 where the service is not known."""
    found = np.full(services.size, NONE, np.int32)
    node_of = np.empty(table.size, np.int32)
    node_window = np.empty(services.size, np.int64)
    nodes = 0
    for row in range(services.size):
        if services[row] <= 0:
            continue
        key = np.uint64(services[row])
        slot = slot_of(table, key)
        if table[slot] == 0 or node_window[node_of[slot]] != windows[row]:
            table[slot] = key
            node_of[slot] = nodes
            node_window[nodes] = windows[row]
            nodes += 1
        found[row] = node_of[slot]
    return found, nodes


@compiled
def keep_in_turn(pair_ranks: Integers, most: int) -> Flags:
    """Of the flows of one window, in order of time, `most`: those that come first in their pair before those second."""
    rows = pair_ranks.size
    kept = np.zeros(rows, np.bool_)
    counts = np.zeros(rows + 1, np.int64)
    for row in range(rows):
        counts[pair_ranks[row]] += 1
    total, level = 0, 0
    while level < rows and total + counts[level] <= most:
        total += counts[level]
        level += 1
    room = most - total  # of the first rank that does not fit as a whole, the earliest
    for row in range(rows):
        if pair_ranks[row] < level:
            kept[row] = True
        elif pair_ranks[row] == level and room > 0:
            kept[row] = True
            room -= 1
    return kept


@compiled
def ranks_in_pair(sources: Keys, targets: Keys, table: Keys) -> Integers:
    """How many flows of the same two hosts, in this direction, came before each."""
    ranks = np.empty(sources.size, np.int64)
    counts = np.zeros(table.size, np.int64)
    for row in range(sources.size):
        key = (sources[row] * np.uint64(0xBF58476D1CE4E5B9)) ^ (targets[row] + np.uint64(2))
        key = key if key != 0 else np.uint64(1)
        slot = slot_of(table, key)
        table[slot] = key
        ranks[row] = counts[slot]
        counts[slot] += 1
    return ranks
