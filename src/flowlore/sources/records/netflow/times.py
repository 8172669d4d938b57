"""When a flow began and ended, from whichever elements its exporter sends."""

from collections.abc import Mapping
from typing import cast

import numpy as np
import numpy.typing as npt

from .columns import Column
from .decoder import Block
from .scan import NO_BOOT

Instants = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

NTP_TO_1970_S = 2_208_988_800
_NTP_LEAST = np.uint64(1 << 63)  # smaller values are plain counts since 1970, as some exporters send
_MILLISECOND, _MICROSECOND, _SECOND = 1_000_000, 1_000, 1_000_000_000

# (start, end) elements in order of precedence, finest first.
_ABSOLUTE = ((156, 157, 1), (154, 155, _MICROSECOND), (152, 153, _MILLISECOND), (150, 151, _SECOND))
_NTP = (154, 155, 156, 157)
_OBSERVED = ((325, 1), (324, _MICROSECOND), (323, _MILLISECOND), (322, _SECOND), (258, _MILLISECOND))
_DURATIONS = ((162, _MICROSECOND), (161, _MILLISECOND))

START_ELEMENTS = (150, 152, 154, 156, 158, 22)
TIME_ELEMENTS = (
    *(number for start, end, _ in _ABSOLUTE for number in (start, end)),
    *(number for number, _ in _OBSERVED),
    *(number for number, _ in _DURATIONS),
    158,
    159,
    160,
    21,
    22,
)


def flow_times(
    block: Block, columns: Mapping[tuple[int, int], Column], tolerance_s: float, longest_s: float
) -> tuple[Instants, Instants, Flags, Flags]:
    """(start, end, whether the duration is known, whether the time cannot be) of each record, in ns since 1970.

    A record without time, or with an impossible one, has the time of its export.
    """
    export = block.per_record(block.set_export_ns)
    start, end = _bounds(block, columns, export)
    duration = _duration(columns, block.total)
    unset = np.int64(0)
    has_start, has_end = start != unset, end != unset
    if duration is not None:
        end = np.where(has_start & ~has_end, start + duration, end)
        start = np.where(has_end & ~has_start, end - duration, start)
        has_start = has_end = has_start | has_end
    knows_duration = has_start & has_end
    start = np.where(has_start, start, np.where(has_end, end, export))
    end = np.where(has_end, end, start)
    tolerance, longest = int(min(tolerance_s, 1e9) * 1e9), int(min(longest_s, 4e9) * 1e9)
    is_timed = has_start | has_end
    impossible = is_timed & ((start > export + tolerance) | (start < export - longest) | (end < start))
    impossible |= is_timed & (end > export + tolerance)
    start, end = np.where(impossible, export, start), np.where(impossible, export, end)
    return start, end, knows_duration & ~impossible, impossible


def _bounds(block: Block, columns: Mapping[tuple[int, int], Column], export: Instants) -> tuple[Instants, Instants]:
    """Start and end as the exporter gives them; 0 where it gives none."""
    none = np.zeros(block.total, np.int64)
    start, end = none, none
    for first, last, unit in _ABSOLUTE:
        if (0, first) in columns or (0, last) in columns:
            start = _or(start, _absolute(columns, first, unit, none))
            end = _or(end, _absolute(columns, last, unit, none))
    for number, into in ((158, "start"), (159, "end")):
        ago = _number(columns, number)
        if ago is not None:
            value = export - ago * _MICROSECOND
            start, end = (_or(start, value), end) if into == "start" else (start, _or(end, value))
    first_up, last_up = _number(columns, 22), _number(columns, 21)
    if first_up is not None or last_up is not None:
        up_start, up_end = _from_uptime(block, columns, first_up, last_up, export)
        start, end = _or(start, up_start), _or(end, up_end)
    for number, unit in _OBSERVED:
        if (0, number) in columns:
            end = _or(end, _absolute(columns, number, unit, none))
    return start, end


def _from_uptime(
    block: Block,
    columns: Mapping[tuple[int, int], Column],
    first: Instants | None,
    last: Instants | None,
    export: Instants,
) -> tuple[Instants, Instants]:
    """Uptimes wrap after 49.7 days: one that lies far after the export's uptime belongs to the turn before."""
    none = np.zeros(block.total, np.int64)
    in_record = _number(columns, 160)
    boot = block.per_record(block.set_boot_ns)
    if in_record is not None:
        boot = in_record * _MILLISECOND
    elif (known := block.session.known("boot_ns").get(None)) is not None:
        boot = np.where(boot == NO_BOOT, np.int64(int(str(known))), boot)
    if (boot == NO_BOOT).any():  # no clock for the uptimes: their difference still holds
        if first is None or last is None:
            return none, none
        length = ((last - first) & 0xFFFFFFFF) * _MILLISECOND
        length = np.where(length >= (1 << 31) * _MILLISECOND, 0, length)
        return export - length, export.copy()
    uptime = (export - boot) // _MILLISECOND
    found = []
    for values in (first, last):
        if values is None:
            found.append(none)
            continue
        ago = (uptime - values) & 0xFFFFFFFF
        ago = np.where(ago >= 1 << 31, ago - (1 << 32), ago)  # a little after the export
        found.append(export - ago * _MILLISECOND)
    return found[0], found[1]


def _absolute(columns: Mapping[tuple[int, int], Column], number: int, unit: int, none: Instants) -> Instants:
    values = _unsigned(columns, number)
    if values is None:
        return none
    if number in _NTP or number in (324, 325):
        wide = values
        seconds = (wide >> np.uint64(32)).astype(np.int64) - NTP_TO_1970_S
        fraction = ((wide & np.uint64(0xFFFFFFFF)) * np.uint64(_SECOND)) >> np.uint64(32)
        plain = np.minimum(wide, np.uint64((1 << 62) // unit)).astype(np.int64) * unit
        return np.where(wide >= _NTP_LEAST, seconds * _SECOND + fraction.astype(np.int64), plain)
    most = np.uint64((1 << 62) // unit)
    return np.minimum(values, most).astype(np.int64) * unit


def _duration(columns: Mapping[tuple[int, int], Column], rows: int) -> Instants | None:
    for number, unit in _DURATIONS:
        values = _unsigned(columns, number)
        if values is not None:
            return np.minimum(values, np.uint64(1 << 40)).astype(np.int64) * unit
    return None


def _or(first: Instants, second: Instants) -> Instants:
    return np.where(first != 0, first, second) if first.any() else second


def _number(columns: Mapping[tuple[int, int], Column], number: int) -> Instants | None:
    values = _unsigned(columns, number)
    return None if values is None else values.astype(np.int64)


def _unsigned(columns: Mapping[tuple[int, int], Column], number: int) -> npt.NDArray[np.uint64] | None:
    """An element as numbers; None where it is absent, or where the template gives it a length that no number has."""
    values = columns.get((0, number))
    is_number = isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "ui"
    return cast(npt.NDArray[np.generic], values).astype(np.uint64) if is_number else None
