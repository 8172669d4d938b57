"""A table of numbers over time → `Series`: wide (a column an entity) or long (a row an entity and time)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ...errors import InputError, QueryError
from ...flows.arrays import plain_array
from ...registry import nearest_name_hint
from .series import MOST_NUMBERS, Series, flagged

TIME_NAMES = ("time", "timestamp", "datetime", "date", "ds", "step", "ts")
CLOCKS = ("%H:%M:%S", "%H:%M")
ORDERS = (  # of day, month and year; a column keeps to one of them, but may leave out digits here and there
    ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M", "%Y-%m-%d"),
    tuple(f"{day} {clock}" for day in ("%m/%d/%Y", "%m/%d/%y") for clock in CLOCKS),
    tuple(f"{day} {clock}" for day in ("%d/%m/%Y", "%d/%m/%y") for clock in CLOCKS),
    tuple(f"{day} {clock}" for day in ("%d.%m.%Y", "%d.%m.%y") for clock in CLOCKS),
)
EPOCH_UNITS = ((1e17, 1), (1e14, 1_000), (1e11, 1_000_000), (0.0, 1_000_000_000))  # from about 1973: ns, µs, ms, s
ROW_NUMBERS = frozenset({"", "order", "index", "id", "row", "no", "nr", "number", "__index_level_0__"})
WRAPS = (2.0**32, 2.0**64)
OFF_GRID = 0.05  # of a step


def plain_series(
    table: pa.Table,
    *,
    time: str | None = None,
    entity: Sequence[str] = (),
    value: str | None = None,
    counters: bool = False,
    absent_is_zero: bool = False,
) -> Series:
    """A series from a table that has a column of times.

    Without `entity` every other numeric column is one entity; with it each row is one entity's, named by these columns,
    and `value` is its number. `counters` says that numbers only ever grow, as those of SNMP: their growth is taken,
    a wrap at 32 or 64 bits is mended, and a reset is a gap. Anything else that is negative counts as unknown.
    `absent_is_zero` says that what is not in the table was nothing.
    """
    notes: Counter[str] = Counter()
    time = _time_column(table, time)
    times = _times_ns(table[time], time)
    if entity:
        names, places, numbers = _long(table, time, entity, value)
    else:
        names, places, numbers = _wide(table, time)
    known = times != np.iinfo(np.int64).min
    notes["rows-without-time"] = int((~known).sum())
    if not known.any():
        raise InputError(f"rates: no row has a time in `{time}`", hint="name another column with `--time`")
    rows = np.flatnonzero(known)
    notes["clock-steps"] = int((np.diff(times[rows]) < 0).sum())
    rows = rows[np.argsort(times[rows], kind="stable")]
    step = _step(times[rows])
    first = int(times[rows[0]])
    offsets = (times[rows] - first) / step
    steps = np.rint(offsets).astype(np.int64)
    notes["times-off-the-grid"] = int((np.abs(offsets - steps) > OFF_GRID).sum())
    width = int(steps[-1]) + 1
    if width * len(names) > MOST_NUMBERS:
        raise InputError(
            f"rates: {len(names):,} series over {width:,} steps are more than a matrix should hold",
            hint="the times may hold one that is far off; `--time` names another column",
        )
    values = np.full((len(names), width), np.nan)
    if entity:
        codes = places[rows] * width + steps
        notes["repeated-times"] = len(codes) - len(np.unique(codes))
        values[places[rows], steps] = numbers[rows]
    else:
        notes["repeated-times"] = len(steps) - len(np.unique(steps))
        values[:, steps] = numbers[rows].T
    flags: dict[str, list[str]] = {name: [] for name in names}
    values[np.isinf(values)] = np.nan
    if counters:
        values = _growth(values, names, flags, notes)
    negative = values < 0
    for place in np.flatnonzero(negative.any(axis=1)).tolist():
        flags[names[place]].append(f"negative-{int(negative[place].sum())}")
    notes["negative-values"] = int(negative.sum())
    values[negative] = np.nan
    if absent_is_zero:
        values = np.where(np.isnan(values) & ~negative, 0.0, values)
    series = Series(
        names=tuple(names),
        start_ns=first,
        step_ns=step,
        values=values,
        flags={name: tuple(found) for name, found in flags.items() if found},
        notes={name: count for name, count in notes.items() if count},
    )
    return flagged(replace(series))


def plain_batch(series: Series) -> pa.RecordBatch:
    """A row for each entity and step: step, entity, value. What is not known is null, and so told from 0."""
    steps = np.tile(series.times_ns(), len(series))
    values = series.values.ravel()
    places = np.repeat(np.arange(len(series), dtype=np.int32), series.steps)
    names = pa.DictionaryArray.from_arrays(pa.array(places), pa.array(series.names, pa.string()))
    return pa.RecordBatch.from_arrays(
        [
            plain_array(steps).cast(pa.timestamp("ns", tz="UTC")),
            names.dictionary_decode(),
            plain_array(values, is_null=np.isnan(values)),
        ],
        names=["step", "entity", "value"],
    )


def _time_column(table: pa.Table, wanted: str | None) -> str:
    if wanted is not None:
        _check(table, wanted)
        return wanted
    for name in TIME_NAMES:
        for column in table.column_names:
            if str(column).lower() == name:
                return str(column)
    for field in table.schema:
        if pa.types.is_temporal(field.type):
            return str(field.name)
    raise InputError(
        f"rates: none of the columns is known to be the time ({', '.join(map(str, table.column_names[:6]))} …)",
        hint="name it with `--time COLUMN`",
    )


def _times_ns(column: pa.ChunkedArray, name: str) -> npt.NDArray[np.int64]:
    missing = np.iinfo(np.int64).min
    if pa.types.is_temporal(column.type):
        instants = column.cast(pa.timestamp("ns"), safe=False).cast(pa.int64())
        return np.array(pc.fill_null(instants, int(missing)).to_numpy(), np.int64)
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        numbers = np.asarray(pc.fill_null(column.cast(pa.float64()), np.nan).to_numpy())
        known = np.isfinite(numbers)
        largest = float(np.abs(numbers[known]).max()) if known.any() else 0.0
        unit = next(unit for least, unit in EPOCH_UNITS if largest >= least)
        known &= np.abs(np.where(known, numbers, 0)) * unit < 2.0**62
        return np.where(known, (np.where(known, numbers, 0) * unit).astype(np.int64), missing)
    text = column.cast(pa.string())
    best, bad = None, 2 * len(text) + 1
    for order in ORDERS:
        seconds = np.full(len(text), missing)
        for form in order:
            parsed = pc.strptime(text, format=form, unit="s", error_is_null=True).cast(pa.int64())
            found = np.array(pc.fill_null(parsed, int(missing)).to_numpy(), np.int64)
            seconds = np.where((seconds == missing) & (found >= 0), found, seconds)  # a short year is none before 1970
        wrong = int((np.diff(seconds) < 0).sum()) + int((seconds == missing).sum())
        if wrong < bad:
            best, bad = seconds, wrong
    assert best is not None
    if (best == missing).all():
        example = next((one for one in text.to_pylist() if one is not None), "")
        raise InputError(
            f"rates: `{example}` in column `{name}` is no time that is known",
            hint="ISO 8601 (2026-05-01 12:00:00), or seconds since 1970",
        )
    return np.where(best == missing, missing, best * 1_000_000_000)


def _wide(table: pa.Table, time: str) -> tuple[list[str], Any, npt.NDArray[np.float64]]:
    names, columns = [], []
    for field in table.schema:
        if field.name == time or not (pa.types.is_integer(field.type) or pa.types.is_floating(field.type)):
            continue
        numbers = np.asarray(table[field.name].cast(pa.float64()).to_numpy(), np.float64)
        if str(field.name).lower() in ROW_NUMBERS and np.array_equal(np.diff(numbers), np.ones(len(numbers) - 1)):
            continue
        names.append(str(field.name))
        columns.append(numbers)
    if not names:
        raise InputError("rates: the table has no column of numbers beside the time", hint="`--entity` and `--value`")
    return names, None, np.stack(columns, axis=1)


def _long(
    table: pa.Table, time: str, entity: Sequence[str], value: str | None
) -> tuple[list[str], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    for name in (*entity, *([value] if value else [])):
        _check(table, name)
    if value is None:
        rest = [
            field.name
            for field in table.schema
            if field.name not in (*entity, time)
            and (pa.types.is_integer(field.type) or pa.types.is_floating(field.type))
        ]
        if len(rest) != 1:
            raise QueryError(
                f"rates: which column holds the numbers is not said ({', '.join(rest) or 'none'} could)",
                hint="name it with `--value COLUMN`",
            )
        value = str(rest[0])
    parts = [pc.fill_null(table[name].cast(pa.string()), "") for name in entity]
    words = parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, "/")
    encoded = words.combine_chunks().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    numbers = np.asarray(table[value].cast(pa.float64()).to_numpy(), np.float64)
    return names, np.asarray(encoded.indices.to_numpy(), np.int64), numbers


def _step(times: npt.NDArray[np.int64]) -> int:
    apart = np.diff(np.unique(times))
    if not len(apart):
        raise InputError("rates: all rows have the same time", hint="a series needs at least two steps")
    return int(np.median(apart))


def _growth(
    values: npt.NDArray[np.float64], names: Sequence[str], flags: dict[str, list[str]], notes: Counter[str]
) -> npt.NDArray[np.float64]:
    """What a counter grew by in each step; unknown in the first, and where it was set back."""
    grown = np.diff(values, axis=1, prepend=np.nan)
    before = np.concatenate([np.full((len(values), 1), np.nan), values[:, :-1]], axis=1)
    wraps = np.zeros(len(values), np.int64)
    for most in WRAPS:
        wrapped = (grown < 0) & (before < most) & (before > 0.9 * most) & (values < 0.1 * most)
        grown[wrapped] += most
        wraps += wrapped.sum(axis=1)
    reset = grown < 0
    for word, counts in (("wraps", wraps), ("resets", reset.sum(axis=1))):
        notes[f"counter-{word}"] += int(counts.sum())
        for place in np.flatnonzero(counts).tolist():
            flags[names[place]].append(f"{word}-{int(counts[place])}")
    grown[reset] = np.nan
    return grown


def _check(table: pa.Table, name: str) -> None:
    if name not in table.column_names:
        raise QueryError(
            f"rates: the table has no column `{name}`", hint=nearest_name_hint(name, list(table.column_names))
        )
