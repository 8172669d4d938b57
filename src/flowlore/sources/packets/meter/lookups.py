"""What clients were told by DNS, so that a later flow to an address has the name that was looked up.

The newest answers stand in a ring. Each knows the answer before it in its bucket by a number that only grows, so that
a chain ends by itself where the ring has overwritten it.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ....flows.compiled import borrowing, kernel
from ..layout import Bytes, Counts, Number, Words
from .sniffing import ANSWER_HEAD

RING = 1 << 16  # answers kept
LEARNED_AT_ONCE = 4096
REMEMBERED = RING - LEARNED_AT_ONCE  # answers before its first packet that can name a flow
BUCKETS = 1 << 16
NAME_BYTES = 256
CHAIN_LOOKS = 32  # answers of one bucket looked at before giving up
LIFETIME_NS = 3_600_000_000_000  # an answer older than an hour names nothing
_NAME = ANSWER_HEAD + 20  # where the name begins in an answer


class Lookups(NamedTuple):
    """The ring of answers: who (client), about which address, when, and which name."""

    keys: Words  # client high, client low, address high, address low
    times: Counts
    before: Counts  # number of the answer before in the same bucket, 0 where none
    names: Bytes  # NAME_BYTES each
    lengths: npt.NDArray[np.uint8]
    buckets: Counts  # number of the newest answer in each bucket
    numbers: Counts  # [0]: number of the newest answer


def new_lookups() -> Lookups:
    return Lookups(
        keys=np.zeros(RING * 4, np.uint64),
        times=np.zeros(RING, np.int64),
        before=np.zeros(RING, np.int64),
        names=np.zeros(RING * NAME_BYTES, np.uint8),
        lengths=np.zeros(RING, np.uint8),
        buckets=np.zeros(BUCKETS, np.int64),
        numbers=np.zeros(1, np.int64),
    )


@borrowing
def learn_answers(lookups: Lookups, answers: Bytes, lengths: Counts, cursors: Counts, packets: Counts) -> Number:
    """Take up answers that the shards noted (see `sniffing`), in order of their packets, and tell how many.

    Row s of `answers` holds `lengths[s]` bytes of shard s, of which `cursors[s]` were taken up before. At most as many
    are taken up as `packets` has room for: it gets the place of the packet of each.
    """
    count: Number = 0
    while count < len(packets):
        next_shard: Number = -1
        next_packet: Number = 0
        for shard in range(len(lengths)):
            if cursors[shard] + _NAME <= lengths[shard]:
                packet = _little_endian(answers[shard], cursors[shard] + 2, 4)
                if next_shard < 0 or packet < next_packet:
                    next_shard = shard
                    next_packet = packet
        if next_shard < 0:
            break
        cursors[next_shard] += _learn(lookups, answers[next_shard], cursors[next_shard])
        packets[count] = next_packet
        count += 1
    return count


@kernel
def look_up(
    lookups: Lookups,
    client_high: Number,
    client_low: Number,
    address_high: Number,
    address_low: Number,
    time_ns: Number,
    newest: Number,
) -> Number:
    """Place of the newest answer that the client had about the address at `time_ns`, or -1.

    Answers with a number above `newest` came later in the capture.
    """
    number = lookups.buckets[_bucket(client_low, client_high, address_low, address_high)]
    while number > newest:
        number = lookups.before[number & (RING - 1)]
    best: Number = -1
    for _ in range(CHAIN_LOOKS):
        if number == 0 or number <= newest - REMEMBERED:
            break
        at = number & (RING - 1)
        age = time_ns - lookups.times[at]
        if (
            0 <= age <= LIFETIME_NS
            and lookups.keys[4 * at] == client_high
            and lookups.keys[4 * at + 1] == client_low
            and lookups.keys[4 * at + 2] == address_high
            and lookups.keys[4 * at + 3] == address_low
            and (best < 0 or lookups.times[at] > lookups.times[best])
        ):
            best = at
        number = lookups.before[at]
    return best


@kernel
def _learn(lookups: Lookups, answers: Bytes, place: Number) -> Number:
    """Put the answer at `place` into the ring; how long it is."""
    size = _little_endian(answers, place, 2)
    client_high = np.uint64(_little_endian(answers, place + 14, 8))
    client_low = np.uint64(_little_endian(answers, place + 22, 8))
    address_high = _big_endian(answers, place + ANSWER_HEAD)
    address_low = _big_endian(answers, place + ANSWER_HEAD + 8)
    number = lookups.numbers[0] + 1
    lookups.numbers[0] = number
    at = number & (RING - 1)
    lookups.keys[4 * at] = client_high
    lookups.keys[4 * at + 1] = client_low
    lookups.keys[4 * at + 2] = address_high
    lookups.keys[4 * at + 3] = address_low
    lookups.times[at] = _little_endian(answers, place + 6, 8)
    bytes_of_name: Number = min(size - _NAME, 255)
    for byte in range(bytes_of_name):
        lookups.names[at * NAME_BYTES + byte] = answers[place + _NAME + byte]
    lookups.lengths[at] = bytes_of_name
    bucket = _bucket(client_low, client_high, address_low, address_high)
    lookups.before[at] = lookups.buckets[bucket]
    lookups.buckets[bucket] = number
    return size


@kernel
def _bucket(client_low: Number, client_high: Number, address_low: Number, address_high: Number) -> Number:
    mixed = (
        np.uint64(client_low)
        ^ (np.uint64(client_high) * np.uint64(0x9E3779B97F4A7C15))
        ^ (np.uint64(address_low) * np.uint64(0xC2B2AE3D27D4EB4F))
        ^ (np.uint64(address_high) * np.uint64(0x165667B19E3779F9))
    )
    mixed *= np.uint64(0x9E3779B97F4A7C15)
    return np.int64(mixed >> np.uint64(48))


@kernel
def _little_endian(data: Bytes, place: Number, width: Number) -> Number:
    value = np.int64(0)
    for byte in range(width):
        value |= np.int64(data[place + byte]) << (8 * byte)
    return value


@kernel
def _big_endian(data: Bytes, place: Number) -> Number:
    value = np.uint64(0)
    for byte in range(8):
        value = (value << np.uint64(8)) | np.uint64(data[place + byte])
    return value
