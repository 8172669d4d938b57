"""`Series`: one number of every entity over time as a matrix, in which a gap is told from a zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ...errors import InputError, QueryError
from ...registry import nearest_name_hint
from .settings import NS_PER_S, step_words

MOST_NUMBERS = 1 << 28  # steps times entities of a matrix (2 GiB)


@dataclass(frozen=True, kw_only=True, eq=False)
class Series:
    """`values` is [entities, steps], NaN where nothing is known. The first step begins at `start_ns`, UTC."""

    names: tuple[str, ...]
    start_ns: int
    step_ns: int
    values: npt.NDArray[np.float64]
    feature: str = "value"
    flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # what is odd about an entity, by its name
    notes: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.values.shape[:1] != (len(self.names),):
            raise ValueError(f"{len(self.names)} names for {self.values.shape[0]} series")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def steps(self) -> int:
        return int(self.values.shape[1])

    def times_ns(self, more: int = 0) -> npt.NDArray[np.int64]:
        """When each step begins; `more` steps follow the last."""
        return self.start_ns + self.step_ns * np.arange(self.steps + more, dtype=np.int64)

    def of(self, names: Sequence[str]) -> Series:
        """These entities only, in this order."""
        places = {name: place for place, name in enumerate(self.names)}
        for name in names:
            if name not in places:
                raise QueryError(f"rates: there is no entity `{name}`", hint=nearest_name_hint(name, list(self.names)))
        return self._with(self.values[[places[name] for name in names]], tuple(names))

    def between(self, begin_ns: int, end_ns: int) -> Series:
        """Steps that begin in a span of time."""
        first = min(max(-(-(begin_ns - self.start_ns) // self.step_ns), 0), self.steps)
        last = min(max(-(-(end_ns - self.start_ns) // self.step_ns), first), self.steps)
        cut = self._with(self.values[:, first:last], self.names)
        return Series(**(vars_of(cut) | {"start_ns": self.start_ns + first * self.step_ns}))

    def coarser(self, step: int) -> Series:
        """Means over a longer step; a step of which less than half is known is a gap."""
        if step == self.step_ns:
            return self
        if step % self.step_ns:
            raise InputError(
                f"rates: a step of {step_words(step)} is no multiple of the series' own, {step_words(self.step_ns)}",
                hint="give a coarser step, or leave it out",
            )
        factor = step // self.step_ns
        lead = (self.start_ns // self.step_ns) % factor if self.start_ns % self.step_ns == 0 else 0
        trail = -(lead + self.steps) % factor
        padded = np.pad(self.values, ((0, 0), (lead, trail)), constant_values=np.nan)
        parts = padded.reshape(len(self), -1, factor)
        known = ~np.isnan(parts)
        counts = known.sum(axis=2)
        sums = np.where(known, parts, 0).sum(axis=2)
        means = np.where(2 * counts >= factor, sums / np.maximum(counts, 1), np.nan)
        coarse = self._with(means, self.names)
        return Series(**(vars_of(coarse) | {"step_ns": step, "start_ns": self.start_ns - lead * self.step_ns}))

    def _with(self, values: npt.NDArray[np.float64], names: tuple[str, ...]) -> Series:
        kept = {name: flags for name, flags in self.flags.items() if name in set(names)}
        return Series(**(vars_of(self) | {"values": values, "names": names, "flags": kept}))


def vars_of(series: Series) -> dict[str, Any]:
    """The fields of a series by name."""
    return {name: getattr(series, name) for name in Series.__dataclass_fields__}


def series_of_rates(
    rates: pa.Table,
    step_ns: int,
    feature: str = "in_bytes",
    *,
    gaps: Sequence[tuple[int, int]] = (),
    entities: int | None = None,
) -> Series:
    """A column of the table of rates as a matrix: where an entity has no row it was silent, except in a gap.

    `entities` keeps so many of the largest sums.
    """
    if feature not in rates.column_names[2:]:
        raise QueryError(
            f"rates: there is no column `{feature}`", hint=nearest_name_hint(feature, rates.column_names[2:])
        )
    if not rates.num_rows:
        return Series(names=(), start_ns=0, step_ns=step_ns, values=np.zeros((0, 0)), feature=feature)
    steps = rates["step"].cast(pa.int64()).to_numpy() // step_ns
    encoded = rates["entity"].combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
    places = encoded.indices.to_numpy(zero_copy_only=False)
    names = np.array(encoded.dictionary.to_pylist(), object)
    numbers = np.asarray(rates[feature].to_numpy(), np.float64)
    totals = np.bincount(places, weights=np.nan_to_num(numbers), minlength=len(names))
    ranked = np.lexsort((names.astype(str), -totals))[:entities]
    place_of = np.full(len(names), -1, np.int64)
    place_of[ranked] = np.arange(len(ranked))
    first, last = int(steps.min()), int(steps.max())
    width = last - first + 1
    if width * len(ranked) > MOST_NUMBERS:
        raise InputError(
            f"rates: {len(ranked):,} entities over {width:,} steps are more than a matrix should hold",
            hint="a longer `--step`, or fewer entities",
        )
    values = np.full((len(ranked), width), _nothing(feature))
    kept = place_of[places] >= 0
    values[place_of[places[kept]], steps[kept] - first] = numbers[kept]
    for begin, end in gaps:
        values[:, max(begin // step_ns - first, 0) : max(end // step_ns - first, 0)] = np.nan
    series = Series(
        names=tuple(names[ranked].tolist()), start_ns=first * step_ns, step_ns=step_ns, values=values, feature=feature
    )
    return flagged(series)


def matrices_of_rates(
    rates: pa.Table,
    step_ns: int,
    features: Sequence[str],
    names: Sequence[str],
    *,
    gaps: Sequence[tuple[int, int]] = (),
) -> tuple[int, dict[str, npt.NDArray[np.float64]]]:
    """When the first step begins, and several columns as matrices [names, steps], with zeros and gaps as in series."""
    steps = rates["step"].cast(pa.int64()).to_numpy() // step_ns
    first = int(steps.min())
    width = int(steps.max()) - first + 1
    if width * len(names) * len(features) > MOST_NUMBERS:
        raise InputError(
            f"rates: {len(features)} columns of {len(names):,} entities over {width:,} steps are more than memory "
            "should hold",
            hint="a longer `--step`, fewer entities, or a shorter record",
        )
    found = pc.index_in(rates["entity"], value_set=pa.array(names, pa.string())).combine_chunks()
    known = np.flatnonzero(found.is_valid().to_numpy(zero_copy_only=False))
    places = np.asarray(found.drop_null().to_numpy(), np.int64)
    made = {}
    for name in features:
        values = np.full((len(names), width), _nothing(name))
        values[places, steps[known] - first] = np.asarray(rates[name].to_numpy(), np.float64)[known]
        for begin, end in gaps:
            values[:, max(begin // step_ns - first, 0) : max(end // step_ns - first, 0)] = np.nan
        made[name] = values
    return first * step_ns, made


def flagged(series: Series) -> Series:
    """The same with what is odd about each entity: constant, mostly unknown, has gaps."""
    flags: dict[str, tuple[str, ...]] = {}
    for name, row in zip(series.names, series.values, strict=True):
        known = row[~np.isnan(row)]
        found = list(series.flags.get(name, ()))
        if not len(known):
            found.append("nothing-known")
        elif len(known) > 1 and known.min() == known.max():
            found.append("constant")
        if len(known) and len(known) < len(row):
            longest = longest_run(np.isnan(row))
            found.append(f"gap-of-{duration_words(longest * series.step_ns)}")
        if found:
            flags[name] = tuple(dict.fromkeys(found))
    return Series(**(vars_of(series) | {"flags": flags}))


def _nothing(feature: str) -> float:
    """What stands in steps without traffic: a share or a mean of nothing is unknown."""
    return np.nan if feature.endswith(("_share", "_mean_packet_bytes")) else 0.0


def longest_run(mask: npt.NDArray[np.bool_]) -> int:
    """Length of the longest run of true.

    >>> longest_run(np.array([True, False, True, True]))
    2
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]])))
    return int((edges[1::2] - edges[::2]).max()) if len(edges) else 0


def duration_words(ns: int) -> str:
    """A length of time in its two largest units.

    >>> duration_words(90_000_000_000)
    '1m30s'
    """
    seconds = ns // NS_PER_S
    words = []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            words.append(f"{count}{unit}")
    return "".join(words[:2]) or "0s"
