"""Other peers, where those that were given leave no way: one host would send more, another receive more, and no flow
goes from the one to the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .asked import BYTES, PACKETS, Asked, Integers, Numbers
from .ends import NOBODY, Mask
from .fitting import AMOUNTS, Choice, Drawn
from .lengthening import lacking

ROUNDS = 30
ENOUGH = 0.02  # of what a host asks for


def rewired(asked: Asked, wanted: Numbers, choice: Choice, drawn: Drawn, rng: np.random.Generator) -> Choice:
    """Peers of flows exchanged until hosts can have what they ask for, or nothing more helps.

    How many flows begin at a host and are asked of it stays the same.
    """
    amount = AMOUNTS.index(BYTES if BYTES in asked.amounts and drawn.amounts[..., 2].any() else PACKETS)
    bounds = np.flatnonzero(np.diff(asked.begin_ns)) + 1
    group_of = 7 * np.searchsorted(bounds, np.arange(len(asked)), side="right") + asked.family
    best, best_lack = choice, np.inf
    for _ in range(ROUNDS):
        lack = lacking(wanted, choice, drawn, amount)
        total = float(lack.sum())
        if total < best_lack:
            best, best_lack = choice, total
        is_much = lack > ENOUGH * np.maximum(wanted[..., amount], 1.0)
        choice = _exchanged(choice, drawn, np.where(is_much, lack, 0.0), group_of, rng)
    return best


def _exchanged(choice: Choice, drawn: Drawn, lack: Numbers, group_of: Integers, rng: np.random.Generator) -> Choice:
    """In each step and family of addresses those who lack most to send and to receive are put together."""
    src, dst, flow = choice.rows.src.copy(), choice.rows.dst.copy(), choice.rows.flow.copy()
    is_later = choice.rows.part > 0
    by_src, by_dst = (_rows_by_end(end, (src != NOBODY) & (dst != NOBODY), is_later, rng) for end in (src, dst))
    moved: set[int] = set()

    def exchange(begins: int, asks: int) -> bool:
        """So that a flow of the one asks the other; both begin, or both go on."""
        for later in (True, False):
            one = next((row for row in by_src.get((begins, later), ()) if row not in moved), None)
            other = next((row for row in by_dst.get((asks, later), ()) if row not in moved), None)
            if one is None or other is None or dst[one] == asks or src[other] in (begins, dst[one]):
                continue
            dst[one], dst[other] = dst[other], dst[one]
            moved.update((one, other))
            return True
        return False

    order = np.argsort(group_of, kind="stable")
    for cells in np.split(order, np.flatnonzero(np.diff(group_of[order])) + 1):
        senders = cells[np.argsort(-lack[cells, 1], kind="stable")]
        receivers = cells[np.argsort(-lack[cells, 0], kind="stable")]
        for sender, receiver in _facing(senders, receivers, lack):
            _ = exchange(sender, receiver) or exchange(receiver, sender)
    changed = np.fromiter(moved, np.int64)
    flow[changed] = flow.max() + 1 + np.arange(len(changed))  # what goes on with somebody else is another flow
    _, flow = np.unique(flow, return_inverse=True)
    made = np.zeros_like(choice.made)
    nobody = len(made) - 1
    carried = drawn.amounts[choice.flow]
    np.add.at(made, np.where(src == NOBODY, nobody, src), carried[:, ::-1])
    np.add.at(made, np.where(dst == NOBODY, nobody, dst), carried)
    return replace(choice, rows=replace(choice.rows, src=src, dst=dst, flow=flow.reshape(-1)), made=made)


def _facing(senders: Integers, receivers: Integers, lack: Numbers) -> list[tuple[int, int]]:
    """Pairs, until what one of both lacks is nothing; nobody faces itself."""
    pairs = []
    for sender, receiver in zip(senders.tolist(), receivers.tolist(), strict=True):
        if lack[sender, 1] <= 0 or lack[receiver, 0] <= 0:
            break
        if sender != receiver:
            pairs.append((sender, receiver))
    return pairs


def _rows_by_end(
    end: Integers, is_movable: Mask, is_later: Mask, rng: np.random.Generator
) -> dict[tuple[int, bool], list[int]]:
    """Rows of each cell, those that begin and those that go on apart, in any order."""
    found: dict[tuple[int, bool], list[int]] = {}
    for row in rng.permutation(np.flatnonzero(is_movable)).tolist():
        found.setdefault((int(end[row]), bool(is_later[row])), []).append(row)
    return found
