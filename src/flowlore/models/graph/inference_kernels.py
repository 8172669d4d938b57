"""What the graph network does between products of matrices, row by row, when nothing is learnt.

Shape letters: N rows of this part, W width of a state, T types of edge, I numbers of a flow, R ranges of a number.
"""

import numpy as np
import numpy.typing as npt

from ...flows.compiled import summing

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

SHORTEST = np.float32(1e-12)  # as torch's `normalize`


@summing
def add_numbers(
    numbers: Floats, protocol: Integers, tables: Floats, missing: Floats, classes: Floats, lowest: float, a_range: float
) -> Floats:
    """[N, W]: the part of the first product that comes from numbers and protocol.

    A number's part is a straight line in each of its ranges, given by where it begins and how it rises: `tables` is
    [I, R, 2, W]. The first and last range have no end. NaN is missing.
    """
    rows, width, last = len(numbers), missing.shape[1], tables.shape[1] - 1
    out = np.empty((rows, width), np.float32)
    for row in range(rows):
        kind = min(max(protocol[row], 0), len(classes) - 1)
        out[row] = classes[kind]
        for place in range(numbers.shape[1]):
            value = numbers[row, place]
            if np.isnan(value):
                for column in range(width):
                    out[row, column] += missing[place, column]
                continue
            here = np.int64(min(max(np.floor((value - lowest) / a_range) + 1, 0), last))
            for column in range(width):
                out[row, column] += tables[place, here, 0, column] + value * tables[place, here, 1, column]
    return out


@summing
def add_rows(out: Floats, column: int, states: Floats, places: Integers) -> None:
    """Add to each row, from a column on, the state at its place; nothing beyond the last."""
    for row in range(len(out)):
        place = places[row]
        if 0 <= place < len(states):
            for number in range(states.shape[1]):
                out[row, column + number] += states[place, number]


@summing
def join_types(messages: Floats, types: int, slope: float, out: Floats) -> None:
    """Messages, [N, T * W], brought to length 1 by type and summed; negative sums are made small."""
    width = messages.shape[1] // types
    for row in range(len(messages)):
        for kind in range(types):
            total = np.float32(0)
            for number in range(kind * width, (kind + 1) * width):
                total += messages[row, number] * messages[row, number]
            scale = np.float32(1) / max(np.sqrt(total), SHORTEST)
            if kind == 0:
                for number in range(width):
                    out[row, number] = scale * messages[row, number]
            else:
                for number in range(width):
                    out[row, number] += scale * messages[row, kind * width + number]
        for number in range(width):
            value = out[row, number]
            out[row, number] = max(value, value * np.float32(slope))
