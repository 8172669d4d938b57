"""Numbers of a packet as words: each exact signed size, gaps and windows in bins of half an octave, flags as they are.

A network gives every word a vector of its own, beside the number: applications repeat exact sizes. The words of all
channels have numbers of their own in one list, so that one table of vectors serves them: the sizes come first, then
the payload lengths, gaps, flags and windows. The first word of each channel is "no packet, or not known".
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..flows.compiled import compiled, inlined
from .batch import Array, FeatureBatch

Integers = npt.NDArray[np.int32]

EXACT_SIZES = 1500  # each size up to this has its own word; larger ones share bins of half an octave
SIZES_A_SIDE = EXACT_SIZES + 1 + 14  # 0 … 1500, then up to 65,535 and beyond
SIZE_WORDS = 1 + 2 * SIZES_A_SIDE
HALF_OCTAVES = 64
GAP_WORDS = 1 + HALF_OCTAVES
WINDOW_WORDS = 1 + 34
FLAG_WORDS = 1 + 256

WORDS = {"size": SIZE_WORDS, "payload": SIZE_WORDS, "gap_us": GAP_WORDS, "flags": FLAG_WORDS, "window": WINDOW_WORDS}
FIRST_WORDS = dict(zip(WORDS, np.cumsum([0, *WORDS.values()])[:-1].tolist(), strict=True))
ALL_WORDS = sum(WORDS.values())
SMOOTH = 12  # numbers that stand beside each word

BEGINNINGS = (1, 2, 3, 4, 6, 8, 12)  # packets in each beginning of a flow that has a word of its own
BEGINNING_WORDS = 32_768  # numbers that beginnings are hashed to, 0 (none) included


def packet_words(batch: FeatureBatch, packets: int) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint8]]:
    """The words of each packet, int16 `[flows, packets, channels]` in the order of `WORDS`, and where a packet is."""
    rows = len(batch)
    words = np.empty((rows, packets, len(WORDS)), np.int16)
    is_packet = np.zeros((rows, packets), np.uint8)
    direction = _channel(batch, "direction", packets)
    has = np.stack([batch.has(f"series.{name}") for name in WORDS], 1)
    size, payload, gap_us, flags, window = (_channel(batch, name, packets) for name in WORDS)
    firsts = np.array(list(FIRST_WORDS.values()), np.int64)
    _fill_words(direction, size, payload, gap_us, flags, window, has, firsts, words, is_packet)
    return words, is_packet


def beginning_words(batch: FeatureBatch) -> npt.NDArray[np.int16]:
    """A word for the signed sizes of the first 1, 2, 3 … packets together, int16 `[flows, beginnings]`.

    Payload lengths where they are known, else IP lengths; 0 where a flow has fewer packets.
    """
    out = np.zeros((len(batch), len(BEGINNINGS)), np.int16)
    direction = _channel(batch, "direction", BEGINNINGS[-1])
    for name, salt in (("size", 1), ("payload", 2)):
        has = batch.has(f"series.{name}")
        if has.any():
            _fill_beginnings(direction, _channel(batch, name, BEGINNINGS[-1]), has, np.array(BEGINNINGS), salt, out)
    return out


def smooth_numbers() -> npt.NDArray[np.float32]:
    """What a word says as a number, float32 `[words, SMOOTH]`: a word never met in training lies beside its neighbours.

    Signed logarithm, direction, and waves of the size of six lengths; for gaps, windows and flags the bin.
    """
    out = np.zeros((ALL_WORDS, SMOOTH), np.float32)
    magnitude = np.concatenate([np.arange(EXACT_SIZES + 1), EXACT_SIZES * 2 ** (0.5 * np.arange(1, 15))])
    for place, name in enumerate(("size", "payload")):
        first = FIRST_WORDS[name] + 1
        for side, sign in ((0, 1.0), (1, -1.0)):
            rows = slice(first + side * SIZES_A_SIDE, first + (side + 1) * SIZES_A_SIDE)
            out[rows, 0] = sign * np.log1p(magnitude) / 8
            out[rows, 1] = sign
            for wave, length in enumerate((3000.0, 1000.0, 300.0)):
                out[rows, 2 + 2 * wave] = np.sin(2 * np.pi * magnitude / length)
                out[rows, 3 + 2 * wave] = sign * np.cos(2 * np.pi * magnitude / length)
            out[rows, 8] = 0.5 * place
    for place, name in enumerate(("gap_us", "flags", "window")):
        first, count = FIRST_WORDS[name], WORDS[name]
        out[first + 1 : first + count, 9 + place] = np.arange(1, count) / count
    return out


def size_words(sizes: Integers, direction: Integers) -> Integers:
    """Words of signed sizes, in their shape. `direction` (+1, -1, 0: no packet) tells whose an empty packet is.

    >>> size_words(np.array([0, 1, 0, -1, 0], np.int32), np.array([1, 1, -1, -1, 0], np.int32)).tolist()
    [1, 2, 1516, 1517, 0]
    """
    words = np.zeros(sizes.shape, np.int32)
    _fill_size_words(np.asarray(sizes, np.int32).ravel(), np.asarray(direction, np.int32).ravel(), words.reshape(-1))
    return words


@compiled
def half_octaves(values: Integers, largest: int) -> Integers:
    """0 for 0, 1 for 1, then one more for every factor √2, at most `largest`.

    >>> half_octaves(np.array([0, 1, 2, 4, 1000], np.int32), 63).tolist()
    [0, 1, 3, 5, 20]
    """
    out = np.zeros(len(values), np.int32)
    for place in range(len(values)):
        out[place] = _half_octave(values[place], largest)
    return out


def _channel(batch: FeatureBatch, name: str, packets: int) -> Integers:
    values: Array | None = batch.channels.get(f"series.{name}")
    if values is None:
        return np.zeros((len(batch), packets), np.int32)
    if values.shape[1] < packets:
        values = np.pad(values, ((0, 0), (0, packets - values.shape[1])))
    return np.ascontiguousarray(values[:, :packets], np.int32)


@compiled
def _fill_size_words(sizes: Integers, direction: Integers, out: Integers) -> None:
    for place in range(min(len(sizes), len(direction), len(out))):
        out[place] = _size_word(sizes[place], direction[place])


@compiled
def _fill_words(
    direction: Integers,
    sizes: Integers,
    payloads: Integers,
    gaps_us: Integers,
    flags: Integers,
    windows: Integers,
    has: npt.NDArray[np.bool_],
    firsts: npt.NDArray[np.int64],
    out: npt.NDArray[np.int16],
    is_packet: npt.NDArray[np.uint8],
) -> None:
    for row in range(direction.shape[0]):
        for place in range(direction.shape[1]):
            side = direction[row, place]
            for channel in range(5):
                out[row, place, channel] = firsts[channel]
            if side == 0:
                continue
            is_packet[row, place] = 1
            if has[row, 0]:
                out[row, place, 0] += _size_word(sizes[row, place], side)
            if has[row, 1]:
                out[row, place, 1] += _size_word(payloads[row, place], side)
            if has[row, 2]:
                out[row, place, 2] += 1 + _half_octave(gaps_us[row, place], GAP_WORDS - 2)
            if has[row, 3]:
                out[row, place, 3] += 1 + min(max(flags[row, place], 0), FLAG_WORDS - 2)
            if has[row, 4]:
                out[row, place, 4] += 1 + _half_octave(windows[row, place], WINDOW_WORDS - 2)


@compiled
def _fill_beginnings(
    direction: Integers,
    sizes: Integers,
    has: npt.NDArray[np.bool_],
    lengths: npt.NDArray[np.int64],
    salt: int,
    out: npt.NDArray[np.int16],
) -> None:
    """FNV-1a over the words of sizes, a number for each length that the flow reaches."""
    for row in range(direction.shape[0]):
        if not has[row]:
            continue
        mixed = np.uint64(0xCBF29CE484222325) ^ np.uint64(salt)
        upto = 0
        for place in range(len(lengths)):
            if lengths[place] > direction.shape[1] or direction[row, lengths[place] - 1] == 0:
                break
            while upto < lengths[place]:
                word = np.uint64(_size_word(sizes[row, upto], direction[row, upto]))
                mixed = (mixed ^ word) * np.uint64(0x100000001B3)
                upto += 1
            spread = mixed ^ (mixed >> np.uint64(29))
            out[row, place] = np.int16(np.uint64(1) + spread % np.uint64(BEGINNING_WORDS - 1))


@inlined
def _size_word(size: int, direction: int) -> int:
    if direction == 0:
        return 0
    magnitude = abs(int(size))
    if magnitude > EXACT_SIZES:
        magnitude = EXACT_SIZES + 1 + _half_octave(magnitude // EXACT_SIZES, SIZES_A_SIDE - EXACT_SIZES - 2)
    return magnitude + (1 + SIZES_A_SIDE if direction < 0 else 1)


@inlined
def _half_octave(value: int, largest: int) -> int:
    """By whole numbers: twice the place of the highest bit, one more from √2 of that power on."""
    if value <= 0:
        return 0
    octave = 0
    while (value >> (octave + 1)) > 0:
        octave += 1
    half = 1 if int(value) * int(value) >= 1 << (2 * octave + 1) else 0
    return min(1 + 2 * octave + half, largest)
