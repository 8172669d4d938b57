"""Memory of the meter: reserved for the largest size at once, touched only as far as it is used, and reused."""

import mmap
from typing import Any

import numpy as np
import numpy.typing as npt

from ..layout import Bytes, Words
from ..settings import MeterSettings
from .layout import (
    ASSEMBLY_BYTES,
    ASSEMBLY_FREE,
    ASSEMBLY_NOTES,
    ASSEMBLY_USED,
    FLOW,
    ITEMS_BYTES,
    NAMES_BLOCK,
    NAMES_FREE,
    NO_BLOCK,
    NUMBERS,
    SERIES,
    SERIES_BLOCK,
    SERIES_FREE,
    SIDE,
    Limits,
    Tables,
)
from .lifetime import LATENESS_NS

FIRST_INDEX_BITS = 16
HEADROOM = 1 << 17  # slots for slices that have ended and wait to be drained
ASSEMBLIES = 4096  # flows whose hello is being put together at once
MAX_PACKETS = 32_768  # packets that one call of `feed` may bring
# Room for all DNS answers that one call of `feed` may bring to one shard: an item of 23 bytes and a name is noted with
# 27 bytes more.
ANSWER_BYTES = MAX_PACKETS * (ITEMS_BYTES + ITEMS_BYTES // 23 * 27)
SWEEPS_PER_TIMEOUT = 4
NANOSECONDS = 1_000_000_000


def new_tables(settings: MeterSettings, shards: int, answers: Bytes | None = None) -> Tables:
    """Empty tables for one of several shards. Memory is reserved here and taken from the system when first written."""
    flows = -(-settings.max_flows // shards) + HEADROOM
    series_blocks = flows * min(4, -(-settings.max_packets // SERIES_BLOCK)) if settings.max_packets else 1
    names_blocks = flows * 2 if settings.names else 1
    assemblies = ASSEMBLIES if settings.names else 1
    numbers = np.zeros(NUMBERS, np.int64)
    numbers[[SERIES_FREE, NAMES_FREE, ASSEMBLY_FREE]] = NO_BLOCK
    numbers[ASSEMBLY_USED] = 1  # entry 0 is scratch
    return Tables(
        slot_of_key=new_index(FIRST_INDEX_BITS),
        flows=_reserve(flows, FLOW),
        sides=_reserve(2 * flows + 1, SIDE),  # the last one stays empty: what a new flow starts from
        open_slots=_reserve(flows // 64 + 1, np.dtype(np.uint64)),
        free_slots=_reserve(flows, np.dtype(np.int32)),
        finished=_reserve(flows, np.dtype(np.int32)),
        series=_reserve(series_blocks * SERIES_BLOCK, SERIES),
        series_next=_reserve(series_blocks, np.dtype(np.int32)),
        names=_reserve(names_blocks * NAMES_BLOCK, np.dtype(np.uint8)),
        names_next=_reserve(names_blocks, np.dtype(np.int32)),
        assembly=_reserve(assemblies * ASSEMBLY_BYTES, np.dtype(np.uint8)),
        assembly_notes=_reserve(assemblies * ASSEMBLY_NOTES, np.dtype(np.int64)),
        assembly_next=_reserve(assemblies, np.dtype(np.int32)),
        payload=_reserve(2 * flows * settings.payload_bytes or 1, np.dtype(np.uint8)),
        items=np.zeros(ITEMS_BYTES, np.uint8),
        answers=new_answers(settings, 1)[0] if answers is None else answers,
        opened=_reserve(MAX_PACKETS, np.dtype(np.int32)),
        opened_at=_reserve(MAX_PACKETS, np.dtype(np.int32)),
        numbers=numbers,
    )


def new_answers(settings: MeterSettings, shards: int) -> Bytes:
    """A row for the answers of each shard."""
    width = ANSWER_BYTES if settings.names else 1
    return _reserve(shards * width, np.dtype(np.uint8)).reshape(shards, width)


def new_index(bits: int) -> Words:
    return np.zeros(1 << bits, np.uint64)


def release_slots(tables: Tables, count: int) -> None:
    """Give the memory of the first `count` slots, all of them free, back to the system; they read as zeros then."""
    for records, used in ((tables.flows, count), (tables.sides, 2 * count)):
        size = used * records.itemsize // mmap.PAGESIZE * mmap.PAGESIZE
        region = getattr(records.base, "obj", None)
        if size and isinstance(region, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            region.madvise(mmap.MADV_DONTNEED, 0, size)


def limits_of(settings: MeterSettings, shard: int, shards: int) -> Limits:
    """The settings of one shard as integers. Sweeps are no more frequent than packets may be late."""
    idle_ns, window_ns = (int(seconds * NANOSECONDS) for seconds in (settings.idle_timeout_s, settings.window_s))
    pause_ns = idle_ns // SWEEPS_PER_TIMEOUT
    return Limits(
        idle_ns=idle_ns,
        active_ns=int(settings.active_timeout_s * NANOSECONDS),
        linger_ns=int(min(settings.tcp_linger_s, settings.idle_timeout_s) * NANOSECONDS),
        window_ns=window_ns,
        sweep_ns=max(min(pause_ns, window_ns) if window_ns else pause_ns, LATENESS_NS),
        max_packets=settings.max_packets,
        payload_bytes=settings.payload_bytes,
        max_flows=-(-settings.max_flows // shards),
        names=int(settings.names),
        shard=shard,
        shards=shards,
    )


def _reserve(count: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """An array of zeros whose pages are taken from the system only when they are first touched, two MiB at a time."""
    size = max(1, count) * dtype.itemsize
    if size < mmap.PAGESIZE * 16:
        return np.zeros(max(1, count), dtype)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
    region = mmap.mmap(-1, size, flags=flags)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        region.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(region, dtype)
