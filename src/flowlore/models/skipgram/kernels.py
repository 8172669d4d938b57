"""Skip-gram with negative sampling as machine code. One thread, and sums in one order: a seed gives the same vectors.

A word learns by its own token or, as often as the plan says, by one of those that it shares with others: so what was
never seen has a vector in the same space. A vector is taken once for all neighbours of a word, and put back when they
all have moved it.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...flows.compiled import borrowing, inlined, room

Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.int32]
Keys = npt.NDArray[np.uint64]

LANES = 16  # numbers that are multiplied side by side
MOST_WIDTH = 4096
STEEPEST = 6.0  # beyond it a score counts as sure
SCORES = 1024


class Plan(NamedTuple):
    """How near is near, how many words are drawn for each near one, and in how many of 2^32 cases a word is hidden."""

    window: int
    negatives: int
    hidden: int


@borrowing
def learn_words(
    sequence: Places, blocks: npt.NDArray[np.int64], tokens: Places, vectors: Floats, contexts: Floats,
    share: npt.NDArray[np.uint32], other: Places, sureness: Floats, rates: Floats, plan: Plan, state: Keys,
) -> int:  # fmt: skip
    """Go through blocks of words, [first, last, begin of sentence, end of sentence], at the rate of each block.

    `tokens` are rows of `vectors` for each word, its own first, -1 where it has none. `share` and `other` say which
    words are drawn (see `draw_evenly`). Gives the number of near words that were looked at.
    """
    hidden = room(MOST_WIDTH, np.float32)
    before = room(MOST_WIDTH, np.float32)
    moved = room(MOST_WIDTH, np.float32)
    width = vectors.shape[1]
    count = contexts.shape[0]
    looked_at = 0
    if width > MOST_WIDTH or contexts.shape[1] != width or not _fits(tokens, count, vectors.shape[0]):
        return -1
    if share.size != count or other.size != count or sureness.size != SCORES or rates.size != blocks.shape[0]:
        return -1
    luck = state[0]
    for block in range(blocks.shape[0]):
        first, last, begin, end = blocks[block, 0], blocks[block, 1], blocks[block, 2], blocks[block, 3]
        if begin < 0 or first < begin or last > end or end > sequence.size:
            return -1
        rate = rates[block]
        for at in range(first, last):
            word = sequence[at]
            if word < 0 or word >= count:
                return -1
            luck = _next(luck)
            reach = 1 + np.int64(_spread(luck) >> np.uint64(32)) % plan.window
            luck = _next(luck)
            row = tokens[word, 0]
            if np.int64(_spread(luck) >> np.uint64(32)) < plan.hidden:
                luck = _next(luck)
                row = _shared(tokens, word, int(np.int64(_spread(luck) >> np.uint64(32))))
            if row < 0:
                continue
            for place in range(width):
                hidden[place] = before[place] = vectors[row, place]
            for near in range(max(begin, at - reach), min(end, at + reach + 1)):
                if near == at:
                    continue
                target = sequence[near]
                if target < 0 or target >= count:
                    return -1
                looked_at += 1
                for place in range(width):
                    moved[place] = np.float32(0)
                _pull(contexts, target, hidden, moved, width, np.float32(1), rate, sureness)
                for _ in range(plan.negatives):
                    luck = _next(luck)
                    drawn = _drawn(_spread(luck), share, other)
                    if drawn != target and drawn >= 0 and drawn < count:
                        _pull(contexts, drawn, hidden, moved, width, np.float32(0), rate, sureness)
                for place in range(width):
                    hidden[place] += moved[place]
            for place in range(width):
                vectors[row, place] += hidden[place] - before[place]
    state[0] = luck
    return looked_at


@borrowing
def draw_evenly(
    weights: npt.NDArray[np.float64], share: npt.NDArray[np.uint32], other: Places, waiting: Places
) -> None:
    """Fill what draws words by their weights (of mean 1) in one step: word n in `share[n]` of 2^32 cases, else `other`.

    This is Walker's method of aliases as Vose made it; `weights` is used up.
    """
    count = weights.size
    low, high = (
        0,
        count,
    )  # places in `waiting`: words with less than their share from the left, with more from the right
    for word in range(count):
        if weights[word] < 1.0:
            waiting[low] = word
            low += 1
        else:
            high -= 1
            waiting[high] = word
        share[word] = np.uint32(0xFFFFFFFF)
        other[word] = word
    while low > 0 and high < count:
        low -= 1
        poor, rich = waiting[low], waiting[high]
        share[poor] = np.uint32(weights[poor] * 4294967295.0)
        other[poor] = rich
        weights[rich] -= 1.0 - weights[poor]
        if weights[rich] < 1.0:
            high += 1
            waiting[low] = rich
            low += 1


@inlined
def _fits(tokens: Places, words: int, rows: int) -> bool:
    if tokens.shape[0] != words:
        return False
    for word in range(words):
        for column in range(tokens.shape[1]):
            if tokens[word, column] >= rows:
                return False
    return True


@inlined
def _shared(tokens: Places, word: int, luck: int) -> int:
    """One of the tokens that a word shares with others, its own where it has none."""
    count = 0
    for column in range(1, tokens.shape[1]):
        count += tokens[word, column] >= 0
    wanted = luck % max(count, 1)
    for column in range(1, tokens.shape[1]):
        if tokens[word, column] >= 0:
            if wanted == 0:
                return int(tokens[word, column])
            wanted -= 1
    return int(tokens[word, 0])


@inlined
def _pull(
    contexts: Floats, row: int, hidden: Floats, moved: Floats, width: int, wanted: np.float32, rate: np.float32,
    sureness: Floats,
) -> None:  # fmt: skip
    """One step for one word beside another: towards it where `wanted` is 1, away from it where it is 0."""
    sums = room(LANES, np.float32)
    for lane in range(LANES):
        sums[lane] = np.float32(0)
    whole = width - width % LANES
    for place in range(0, whole, LANES):
        for lane in range(LANES):
            sums[lane] += hidden[place + lane] * contexts[row, place + lane]
    score = np.float32(0)
    for lane in range(LANES):
        score += sums[lane]
    for place in range(whole, width):
        score += hidden[place] * contexts[row, place]
    if score >= STEEPEST:
        sure = np.float32(1)
    elif score <= -STEEPEST:
        sure = np.float32(0)
    else:
        place = int((score + STEEPEST) * (SCORES / (2 * STEEPEST)))
        sure = sureness[max(0, min(SCORES - 1, place))]  # a score that is no number has no place
    step = (wanted - sure) * rate
    for place in range(width):
        held = contexts[row, place]
        moved[place] += step * held
        contexts[row, place] = held + step * hidden[place]


@inlined
def _drawn(luck: np.uint64, share: npt.NDArray[np.uint32], other: Places) -> int:
    """A word by its weight."""
    place = int(np.int64(((luck >> np.uint64(32)) * np.uint64(share.size)) >> np.uint64(32)))
    is_own = (luck & np.uint64(0xFFFFFFFF)) <= np.uint64(share[place])
    return place if is_own else int(other[place])


@inlined
def _next(state: np.uint64) -> np.uint64:
    return state + np.uint64(0x9E3779B97F4A7C15)


@inlined
def _spread(state: np.uint64) -> np.uint64:
    """The finishing steps of splitmix64."""
    spread = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    spread = (spread ^ (spread >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return spread ^ (spread >> np.uint64(31))
