"""The loops of `projection.py` in machine code."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..flows.compiled import compiled

Floats = npt.NDArray[np.float32]
Distances = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

CURVE = 1.6  # two flows at distance d are close by 1 / (1 + CURVE d²)
PUSHES = 5  # flows that are pushed away for each that is pulled
STEP_AT_MOST = 4.0
SOFTENING = 1e-3
HALVINGS = 40


@compiled
def keep_largest(alike: Floats, own: Rows, rows: Rows, values: Floats) -> None:
    """The places of the largest numbers of each row, the largest first, the lower place first where equal.

    The number at place `own` is passed over (-1: none is). `rows` and `values` are filled.
    """
    count = rows.shape[1]
    for row in range(alike.shape[0]):
        held = 0
        for place in range(alike.shape[1]):
            value = alike[row, place]
            if place == own[row] or (held == count and not value > values[row, count - 1]):
                continue
            spot = held if held < count else count - 1
            while spot > 0 and values[row, spot - 1] < value:
                values[row, spot] = values[row, spot - 1]
                rows[row, spot] = rows[row, spot - 1]
                spot -= 1
            values[row, spot] = value
            rows[row, spot] = place
            held = min(held + 1, count)


@compiled
def widths_of_ties(distances: Floats, wanted: float) -> Floats:
    """For each row the width w at which the sum of exp(-(d - nearest) / w) is `wanted`; distances rise along a row."""
    found = np.empty(distances.shape[0], np.float32)
    for row in range(distances.shape[0]):
        low, high, width = 0.0, 0.0, 1.0
        for _ in range(HALVINGS):
            total = 0.0
            for place in range(distances.shape[1]):
                total += np.exp(-(distances[row, place] - distances[row, 0]) / width)
            if total > wanted:
                high = width
            else:
                low = width
            width = (low + high) / 2 if high > 0.0 else width * 2
        found[row] = max(width, 1e-6)
    return found


@compiled
def settle(places: Floats, heads: Rows, tails: Rows, every: Floats, epochs: int, seed: int) -> None:
    """Move `places`: tie number n pulls once in `every[n]` epochs, and each pull pushes some others away."""
    state = seed | 1
    due = every.copy()
    for epoch in range(1, epochs + 1):
        step = 1.0 - (epoch - 1) / epochs
        for tie in range(len(heads)):
            if due[tie] > epoch:
                continue
            due[tie] += every[tie]
            head, tail = heads[tie], tails[tie]
            across, up = places[head, 0] - places[tail, 0], places[head, 1] - places[tail, 1]
            squared = across * across + up * up
            pull = -2.0 * CURVE / (1.0 + CURVE * squared)
            move_across, move_up = _limited(pull * across) * step, _limited(pull * up) * step
            places[head, 0] += move_across
            places[head, 1] += move_up
            places[tail, 0] -= move_across
            places[tail, 1] -= move_up
            for _ in range(PUSHES):
                state = _next(state)
                other = (state >> 11) % len(places)
                if other != head:
                    _push(places, head, places[other, 0], places[other, 1], step)


@compiled
def settle_new(places: Floats, known: Floats, rows: Rows, ties: Floats, epochs: int, seed: int) -> None:
    """Move new places among known ones, which stay. Each depends on itself and the seed only."""
    for new in range(len(places)):
        state = seed | 1
        for epoch in range(epochs):
            step = 0.25 * (1.0 - epoch / epochs)
            for place in range(rows.shape[1]):
                state = _next(state)
                if (state >> 11) % 1024 >= ties[new, place] * 1024:
                    continue
                tail = rows[new, place]
                across, up = places[new, 0] - known[tail, 0], places[new, 1] - known[tail, 1]
                pull = -2.0 * CURVE / (1.0 + CURVE * (across * across + up * up))
                places[new, 0] += _limited(pull * across) * step
                places[new, 1] += _limited(pull * up) * step
                for _ in range(PUSHES):
                    state = _next(state)
                    other = (state >> 11) % len(known)
                    _push(places, new, known[other, 0], known[other, 1], step)


@compiled
def ranks_beyond(truth: Distances, picture: Distances, own: Rows, count: int) -> float:
    """Over the `count` nearest of each row in `picture`: how far beyond `count` they rank in `truth`, summed.

    Both hold distances from one row (whose place is in `own`, and does not count) to all. Equal distances share the
    best rank of them all.
    """
    total = 0.0
    rows, nearest = np.empty(count, np.int64), np.empty(count, np.float64)
    for row in range(len(own)):
        held = 0
        for other in range(picture.shape[1]):
            distance = picture[row, other]
            if other == own[row] or (held == count and not distance < nearest[count - 1]):
                continue
            spot = held if held < count else count - 1
            while spot > 0 and nearest[spot - 1] > distance:
                nearest[spot] = nearest[spot - 1]
                rows[spot] = rows[spot - 1]
                spot -= 1
            nearest[spot] = distance
            rows[spot] = other
            held = min(held + 1, count)
        for place in range(held):
            limit = truth[row, rows[place]]
            nearer = 0
            for other in range(truth.shape[1]):
                nearer += truth[row, other] < limit
            nearer -= truth[row, own[row]] < limit
            total += max(0, nearer + 1 - count)
    return total


@compiled
def _push(places: Floats, row: int, across_of_other: float, up_of_other: float, step: float) -> None:
    across, up = places[row, 0] - across_of_other, places[row, 1] - up_of_other
    squared = across * across + up * up
    push = 2.0 / ((SOFTENING + squared) * (1.0 + CURVE * squared))
    places[row, 0] += _limited(push * across) * step
    places[row, 1] += _limited(push * up) * step


@compiled
def _limited(move: float) -> float:
    return min(max(move, -STEP_AT_MOST), STEP_AT_MOST)


@compiled
def _next(state: int) -> int:
    """Xorshift over 63 bits, never negative and never 0."""
    state ^= (state << 13) & 0x7FFFFFFFFFFFFFFF
    state ^= state >> 7
    state ^= (state << 17) & 0x7FFFFFFFFFFFFFFF
    return state
