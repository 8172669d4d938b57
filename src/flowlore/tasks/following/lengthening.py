"""Flows that go on after their drawn packets, where their hosts ask for more than was drawn.

A generator makes the first packets of a flow; counters may say more than the series holds, as of any long flow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...features.augment.packets import PacketSeries
from .asked import BYTES, PACKETS, Integers, Numbers
from .fitting import AMOUNTS, Choice, Drawn

BALANCING, SETTLING = 40, 5
FIN, RST, ACK = 0x01, 0x04, 0x10
TCP_HEADER = 40  # bytes, with IPv4's
SMALLEST_BYTES, LARGEST_BYTES = 40.0, 1500.0  # of a packet


@dataclass(frozen=True, kw_only=True, eq=False)
class Beyond:
    """What comes after the drawn packets `[rows, 2 (forward, reverse)]`."""

    packets: Integers
    bytes: Integers


def beyond(asked: Numbers, choice: Choice, drawn: Drawn, *, has_bytes: bool) -> Beyond:
    """So much that cells have what they ask for `USA`, as far as flows of both ends allow; large flows grow most."""
    nobody = len(asked) - 1
    src, dst = (np.where(end < 0, nobody, end) for end in (choice.rows.src, choice.rows.dst))
    sender, receiver = np.concatenate([src, dst]), np.concatenate([dst, src])
    carried = np.concatenate([drawn.amounts[choice.flow, side] for side in (0, 1)])
    short = np.maximum(asked - choice.made, 0.0)
    packets_at, bytes_at = AMOUNTS.index(PACKETS), AMOUNTS.index(BYTES)
    packets = _balanced(carried[:, packets_at], sender, receiver, short[:, 1, packets_at], short[:, 0, packets_at])
    octets = np.zeros_like(packets)
    if has_bytes:
        octets = _balanced(carried[:, bytes_at], sender, receiver, short[:, 1, bytes_at], short[:, 0, bytes_at])
        for _ in range(SETTLING):
            packets = np.maximum(packets, octets / LARGEST_BYTES)
            packets = _balanced(packets, sender, receiver, short[:, 1, packets_at], short[:, 0, packets_at])
        packets = np.maximum(packets, octets / LARGEST_BYTES)
    whole = _whole(packets, sender, receiver, nobody)
    whole_octets = _whole(octets, sender, receiver, nobody)
    if has_bytes:
        whole_octets = np.clip(whole_octets, whole * int(SMALLEST_BYTES), whole * int(LARGEST_BYTES))
    rows = len(src)
    return Beyond(
        packets=np.stack([whole[:rows], whole[rows:]], 1), bytes=np.stack([whole_octets[:rows], whole_octets[rows:]], 1)
    )


def gone_on(series: PacketSeries, more: Beyond, gap_ns: Integers, header: Integers, most: int) -> PacketSeries:
    """Packets of flows that go on, before the first that ends them: the first `most` of each.

    Directions alternate as their numbers allow, all are as long as can be, and `gap_ns` [rows] lies before each.
    """
    extra = more.packets.sum(axis=1)
    ends = (series.flags & (FIN | RST)) > 0
    begin = np.maximum(np.where(ends.any(axis=1), ends.argmax(axis=1), series.lengths), 1)
    width = min(int((series.lengths + extra).max(initial=1)), most)
    place = np.arange(series.width)
    moved = np.where(place >= begin[:, None], place + extra[:, None], place)
    stays = series.is_packet & (moved < width)
    rows, held = np.nonzero(stays)
    room = np.clip(width - begin, 0, extra)
    row = np.repeat(np.arange(len(series)), room)
    turn = np.arange(len(row)) - np.repeat(np.cumsum(room) - room, room)
    forth = more.packets[row, 0]
    before = turn * forth // np.maximum(extra[row], 1)
    is_forth = (turn + 1) * forth // np.maximum(extra[row], 1) > before
    side = np.where(is_forth, 0, 1)
    number = np.where(is_forth, before, turn - before)
    size, rest = np.divmod(more.bytes[row, side], np.maximum(more.packets[row, side], 1))
    size = size + (number < rest)
    new = {
        "direction": np.where(is_forth, 1, -1), "size": size, "header": np.minimum(header[row], size),
        "gap_ns": gap_ns[row], "flags": np.where(header[row] == TCP_HEADER, ACK, 0), "window": np.zeros(len(row)),
        "hidden": np.zeros(len(row)),
    }  # fmt: skip
    out = {}
    for name, values in new.items():
        old = getattr(series, name)
        out[name] = np.zeros((len(series), width), old.dtype)
        out[name][rows, moved[rows, held]] = old[rows, held]
        out[name][row, begin[row] + turn] = values
    return PacketSeries(**out)


def lacking(asked: Numbers, choice: Choice, drawn: Drawn, amount: int) -> Numbers:
    """What cells would still lack of an amount if flows went on as long as hosts ask: `[cells and nobody, in, out]`."""
    nobody = len(asked) - 1
    src, dst = (np.where(end < 0, nobody, end) for end in (choice.rows.src, choice.rows.dst))
    sender, receiver = np.concatenate([src, dst]), np.concatenate([dst, src])
    carried = np.concatenate([drawn.amounts[choice.flow, side, amount] for side in (0, 1)])
    short = np.maximum(asked - choice.made, 0.0)[..., amount]
    found = _balanced(carried, sender, receiver, short[:, 1], short[:, 0])
    sums = np.bincount(sender, found, minlength=nobody + 1)
    allowed = np.divide(short[:, 1], sums, out=np.ones_like(sums), where=sums > short[:, 1])
    allowed[nobody] = 1.0
    found = found * allowed[sender]  # so that nobody sends too much, and what lacks is seen at both ends
    given = np.stack([np.bincount(end, found, minlength=nobody + 1) for end in (receiver, sender)], 1)
    left = np.maximum(short - given, 0.0)
    left[nobody] = 0.0
    return np.asarray(left)


def _balanced(start: Numbers, sender: Integers, receiver: Integers, sent: Numbers, received: Numbers) -> Numbers:
    """Amounts in proportion to those at the start whose sums by sender and by receiver are these, in turns.

    The last cell is nobody, who asks for nothing in particular.
    """
    out = start.astype(np.float64)
    for _ in range(BALANCING):
        for end, wanted in ((sender, sent), (receiver, received)):
            sums = np.bincount(end, out, minlength=len(wanted))
            factor = np.divide(wanted, sums, out=np.zeros_like(wanted), where=sums > 0)
            factor[-1] = 1.0
            out = out * factor[end]
    return out


def _whole(amounts: Numbers, sender: Integers, receiver: Integers, nobody: int) -> Integers:
    """Whole numbers near them, so that no cell loses or wins by it more than one."""
    cell = np.where(sender == nobody, receiver + nobody + 1, sender)
    order = np.argsort(cell, kind="stable")
    sums = np.rint(np.cumsum(amounts[order]))
    out = np.empty(len(amounts), np.int64)
    out[order] = np.diff(sums, prepend=0.0).astype(np.int64)
    return out
