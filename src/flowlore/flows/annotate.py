"""Labels joined to flows: by flow id, 5-tuple and time, host and time, MAC, or capture, and every row accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import TaskError
from .addresses import format_addresses, format_hexadecimal, format_macs
from .labels import ALWAYS_NS, How, Labels, read_labels
from .query import closed_connection
from .table import Flows

SHOWN = 5  # examples of each thing that went wrong
SHORT_ID = 8  # characters of a flow id that are shown

_KEY_COLUMNS = ("flow_id", "src_ip", "dst_ip", "src_port", "dst_port", "protocol", "src_mac", "dst_mac", "capture")
_OTHER_SIDE = {name: name.replace("src", "*").replace("dst", "src").replace("*", "dst") for name in _KEY_COLUMNS}


@dataclass(kw_only=True)
class AnnotateReport:
    """Where every label and every flow went. A conflict is a flow for which the file has several different labels."""

    how: str
    flows: int = 0
    labels: int = 0  # rows of the label file
    labelled: int = 0  # flows that have a label from this file now
    kept: int = 0  # flows that matched and had a label already, which stays
    disagreeing: int = 0  # of them, flows whose label is another
    conflicts: int = 0
    conflict_examples: list[tuple[str, list[str]]] = field(default_factory=list)  # flow id and its labels
    unmatched_labels: int = 0  # usable rows of the label file that fit no flow
    unmatched_examples: list[int] = field(default_factory=list)  # their numbers in the file, from 1
    unlabelled: int = 0  # flows without any label at the end
    skipped: dict[str, int] = field(default_factory=dict)  # rows of the label file that cannot be used, by reason
    by_label: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)

    def lines(self) -> list[tuple[str, str]]:
        """A name and its value for each line worth showing to a person."""
        shown = [
            ("joined by", self.how),
            ("labelled", f"{self.labelled:,} of {self.flows:,} flows"),
            (
                "labels",
                f"{self.labels:,} rows, {self.unmatched_labels:,} fit no flow"
                f"{_examples(self.unmatched_examples, self.unmatched_labels)}",
            ),
        ]
        if self.skipped:
            shown.append(("skipped", ", ".join(f"{reason} {count:,}" for reason, count in self.skipped.items())))
        if self.kept:
            shown.append(("kept", f"{self.kept:,} flows had a label already, {self.disagreeing:,} of them another"))
        if self.conflicts:
            shown.append(("conflicts", f"{self.conflicts:,} flows have several labels, for example"))
            for flow, labels in self.conflict_examples:
                short = flow if len(flow) <= SHORT_ID else f"{flow[:SHORT_ID]}…"
                shown.append(("", f"{short} {', '.join(labels)}"))
        shown.append(("unlabelled", f"{self.unlabelled:,} flows"))
        shown += [(f"  {label}", f"{count:,}") for label, count in self.by_label.items()]
        return shown

    def losses(self) -> list[str]:
        """What of the labels did not reach a flow as it stands in the file; empty where all did."""
        lost = []
        if self.unmatched_labels:
            rows = _examples(self.unmatched_examples, self.unmatched_labels)
            lost.append(f"{self.unmatched_labels:,} of {self.labels:,} rows fit no flow{rows}")
        if self.skipped:
            reasons = ", ".join(f"{reason} {count:,}" for reason, count in self.skipped.items())
            lost.append(f"rows that cannot be used: {reasons}")
        if self.disagreeing:
            lost.append(f"{self.disagreeing:,} flows keep another label, which they had")
        if self.conflicts:
            lost.append(f"{self.conflicts:,} flows have several labels, of which the row that says most gives one")
        return lost

    def __str__(self) -> str:
        return "\n".join(f"{name:>13}  {value}" for name, value in self.lines())


def annotate(
    flows: Flows,
    labels: str | Path | pa.Table,
    *,
    how: How | None = None,
    overwrite: bool = False,
    source: str | None = None,
    allow_no_match: bool = False,
) -> tuple[Flows, AnnotateReport]:
    """Flows with `label` and `label_source` from a file, and the account of it.

    Where several labels fit a flow, the row that says most wins: fewest open keys, then the shortest time, then the
    first in the file. A label that a flow has already stays unless `overwrite`. `source` is written as `label_source`
    where the file has none; it is the file's name unless given. No label, or labels of which none fits any flow, are a
    `TaskError` unless `allow_no_match`.
    """
    with Annotator(labels, how=how, overwrite=overwrite, source=source) as annotator:
        table = flows.to_arrow()
        batches = [annotator(batch) for batch in table.to_batches()]
        if not allow_no_match:
            annotator.require_match()
        schema = batches[0].schema if batches else table.schema
        return Flows(pa.Table.from_batches(batches, schema=schema), flows.account), annotator.report()


class Annotator:
    """The same over any number of batches; `report` accounts for all of them."""

    def __init__(
        self,
        labels: str | Path | pa.Table,
        *,
        how: How | None = None,
        overwrite: bool = False,
        source: str | None = None,
    ) -> None:
        self._labels = read_labels(labels, how)
        self._overwrite = overwrite
        if source is None:
            source = "annotate" if isinstance(labels, pa.Table) else Path(labels).name
        self._sources = pc.fill_null(self._labels.sources, source)
        self._codes = self._labels.names.dictionary_encode()
        self._is_matched = np.zeros(len(self._labels), np.bool_)
        self._by_label: Counter[str] = Counter()
        self._flow_times: tuple[int, int] | None = None  # first and last start of a flow
        self._shown = "the table of labels" if isinstance(labels, pa.Table) else f"`{labels}`"
        self._report = AnnotateReport(
            how=self._labels.how,
            labels=len(self._labels) + self._labels.skipped.total(),
            skipped=dict(self._labels.skipped),
        )
        self._captures = _capture_numbers(self._labels)
        self._patterns = _patterns(self._labels, self._captures)
        self._connection = closed_connection()
        for number, (_, table) in enumerate(self._patterns):
            self._connection.register(f"labels_{number}", table)

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        best, conflicting = self._join(batch)
        fits = best >= 0
        had = _column(batch, "label", pa.string())
        has_label = had.is_valid().to_numpy(zero_copy_only=False)
        places = pa.array(best, mask=~fits)
        offered = self._labels.names.take(places)
        takes = fits if self._overwrite else fits & ~has_label
        kept = fits & ~takes
        takes_mask = pa.array(takes)
        label = pc.if_else(takes_mask, offered, had)
        said_by = pc.if_else(takes_mask, self._sources.take(places), _column(batch, "label_source", pa.string()))
        differs = pc.fill_null(pc.not_equal(had, offered), False).to_numpy(zero_copy_only=False)
        report = self._report
        self._add_times(batch)
        report.flows += batch.num_rows
        report.labelled += int(takes.sum())
        report.kept += int(kept.sum())
        report.disagreeing += int((kept & differs).sum())
        report.unlabelled += label.null_count
        report.conflicts += len(conflicting)
        self._add_examples(batch, conflicting)
        for count in pc.value_counts(offered.filter(takes_mask)).to_pylist():
            self._by_label[count["values"]] += count["counts"]
        return _with_column(_with_column(batch, "label", label), "label_source", said_by)

    def report(self) -> AnnotateReport:
        report = self._report
        unmatched = self._labels.lines[~self._is_matched]
        report.unmatched_labels = len(unmatched)
        report.unmatched_examples = unmatched[:SHOWN].tolist()
        report.by_label = dict(sorted(self._by_label.items(), key=lambda item: (-item[1], item[0])))
        return report

    def require_match(self) -> None:
        """After the last batch: no label, or none that fits any flow, is a `TaskError` that says what was compared."""
        report = self._report
        if report.labelled or report.kept:
            return
        if not report.labels:
            raise TaskError(
                f"annotate: no label is in {self._shown}",
                hint="a file with a row for each label and the flows that it is of, such as `host,label`",
            )
        raise TaskError(
            f"annotate: none of {report.labels:,} labels of {self._shown} fits any of {report.flows:,} flows"
            + "".join(f"\n  {line}" for line in self._comparison()),
            hint="check the keys, the clock and the time zone (times without one are UTC); where no match is right, "
            "`--allow-no-match` (`allow_no_match=True` in Python)",
        )

    def _comparison(self) -> Iterator[str]:
        """What labels and flows say, side by side."""
        labels = self._labels
        for reason, count in labels.skipped.items():
            yield f"{count:,} labels cannot be used: {reason}"
        if len(labels):
            keys = ", ".join(f"{name} {value}" for name, value in _key_words(labels, 0) if value is not None)
            yield f"the first label that fits no flow, row {labels.lines[0]:,}: {keys}"
            first, last = int(labels.first_ns.min()), int(labels.last_ns.max())
            yield f"labels: {_instant(first)} to {_instant(last)}"
        if self._flow_times is not None:
            yield f"flows:  {_instant(self._flow_times[0])} to {_instant(self._flow_times[1])}"

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Annotator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _join(self, batch: pa.RecordBatch) -> tuple[npt.NDArray[np.int64], dict[int, list[int]]]:
        """Row of the label that wins for each flow (-1 for none), and the codes of all labels of some conflicts."""
        best = np.full(batch.num_rows, -1, np.int64)
        if not batch.num_rows or not self._patterns:
            return best, {}
        self._connection.register("rows", self._flow_keys(batch))
        joins = []
        for number, (keys, _) in enumerate(self._patterns):
            equal = " and ".join(f"r.{key} = l.{key}" for key in keys)
            joins.append(
                f"select r.i, l.label, l.code, l.rank from rows r join labels_{number} l on {equal}"
                " and (l.always or (r.t >= l.first and r.t <= l.last))"
            )
        self._connection.execute(f"create or replace temp table pairs as {' union all '.join(joins)}")
        won = self._connection.sql(
            "select i, arg_min(label, rank) as label, count(distinct code) as labels from pairs group by i"
        ).to_arrow_table()
        rows = won["i"].to_numpy()
        best[rows] = won["label"].to_numpy()
        matched = self._connection.sql("select distinct label from pairs").to_arrow_table()["label"].to_numpy()
        self._is_matched[matched] = True
        contested = np.sort(rows[won["labels"].to_numpy() > 1])
        conflicting: dict[int, list[int]] = {int(row): [] for row in contested}
        if conflicting:
            shown = ", ".join(str(row) for row in contested[:SHOWN].tolist())
            found = self._connection.execute(f"select distinct i, code from pairs where i in ({shown}) order by all")
            for row, code in found.fetchall():
                conflicting[row].append(code)
        return best, conflicting

    def _flow_keys(self, batch: pa.RecordBatch) -> pa.Table:
        wanted = {key for keys, _ in self._patterns for key in keys}
        columns = {"i": pa.array(np.arange(batch.num_rows)), "t": _column(batch, "start", pa.int64())}
        for name in sorted(wanted):
            if name == "capture":
                columns[name] = _longest_known_suffix(_column(batch, "capture", pa.string()), self._captures)
            else:
                columns[name] = _column(batch, name, None)
        return pa.table(columns)

    def _add_times(self, batch: pa.RecordBatch) -> None:
        ends = pc.min_max(_column(batch, "start", pa.int64())).as_py()
        if ends["min"] is not None:
            first, last = self._flow_times or (ends["min"], ends["max"])
            self._flow_times = min(first, ends["min"]), max(last, ends["max"])

    def _add_examples(self, batch: pa.RecordBatch, conflicting: dict[int, list[int]]) -> None:
        for row, codes in conflicting.items():
            if len(self._report.conflict_examples) >= SHOWN:
                return
            flow_id = format_hexadecimal(_column(batch, "flow_id", pa.binary(16)).slice(row, 1))[0].as_py()
            labels = [self._codes.dictionary[code].as_py() for code in codes]
            self._report.conflict_examples.append((flow_id or f"row {row}", labels))


def _key_words(labels: Labels, row: int) -> Iterator[tuple[str, Any]]:
    """Each key of a label as a person writes it."""
    for name, column in labels.keys.items():
        value = column.slice(row, 1)
        if pa.types.is_fixed_size_binary(value.type):
            write = format_macs if name == "mac" else format_hexadecimal if name == "flow_id" else format_addresses
            value = write(value)
        yield name, value[0].as_py()


def _instant(time_ns: int) -> str:
    return "any time" if time_ns in ALWAYS_NS else f"{str(np.datetime64(time_ns, 'ns'))[:19]}Z"


def _patterns(labels: Labels, captures: dict[str, int]) -> list[tuple[list[str], pa.Table]]:
    """Labels grouped by which keys they give, so that each group is one hash join; each label in both directions."""
    names = {"host": "src_ip", "mac": "src_mac"}
    keys = {names.get(name, name): key for name, key in labels.keys.items()}
    if "capture" in keys:
        keys["capture"] = pa.array([captures.get(_path_of(name)) for name in keys["capture"].to_pylist()], pa.int64())
    rank = np.empty(len(labels), np.int64)
    given = sum(
        (key.is_valid().to_numpy(zero_copy_only=False).astype(np.int64) for key in keys.values()), start=np.int64(0)
    )
    length = labels.last_ns.astype(np.float64) - labels.first_ns.astype(np.float64)
    rank[np.lexsort((labels.lines, length, -given * np.ones(len(labels), np.int64)))] = np.arange(len(labels))
    table = pa.table(
        {
            "label": pa.array(np.arange(len(labels))),
            "code": labels.names.dictionary_encode().indices,
            "rank": pa.array(rank),
            "first": pa.array(labels.first_ns),
            "last": pa.array(labels.last_ns),
            "always": pa.array((labels.first_ns == ALWAYS_NS[0]) & (labels.last_ns == ALWAYS_NS[1])),
            **keys,
        }
    )
    swapped = table.rename_columns([_OTHER_SIDE.get(name, name) for name in table.column_names])
    sides = [table, swapped] if any(_OTHER_SIDE[name] != name for name in keys) else [table]
    found = []
    for side in sides:
        present = [name for name in side.column_names if name in _KEY_COLUMNS]
        masks = sum(
            side[name].is_valid().to_numpy(zero_copy_only=False).astype(np.int64) << bit
            for bit, name in enumerate(present)
        )
        for mask in np.unique(masks).tolist():
            given_keys = [name for bit, name in enumerate(present) if mask >> bit & 1]
            if given_keys:
                found.append((given_keys, side.filter(pa.array(masks == mask))))
    return found


def _capture_numbers(labels: Labels) -> dict[str, int]:
    if "capture" not in labels.keys:
        return {}
    paths = dict.fromkeys(_path_of(name) for name in labels.keys["capture"].to_pylist())
    return {path: number for number, path in enumerate(paths)}


def _path_of(name: str | None) -> str:
    return (name or "").strip().replace("\\", "/").removeprefix("./").strip("/")


def _longest_known_suffix(captures: pa.Array, known: dict[str, int]) -> pa.Array:
    """For each flow the number of the label's path that its capture ends with, whole names only; the longest wins."""
    encoded = captures.dictionary_encode()
    numbers = []
    for capture in encoded.dictionary.to_pylist():
        parts = _path_of(capture).split("/")
        suffixes = ("/".join(parts[first:]) for first in range(len(parts)))
        numbers.append(next((known[suffix] for suffix in suffixes if suffix in known), None))
    return pa.array(numbers, pa.int64()).take(encoded.indices)


def _column(batch: pa.RecordBatch, name: str, kind: pa.DataType | None) -> pa.Array:
    if name not in batch.schema.names:
        from .schema import arrow_schema

        return pa.nulls(batch.num_rows, kind or arrow_schema().field(name).type)
    column = batch[name]
    return column if kind is None or column.type == kind else column.cast(kind)


def _with_column(batch: pa.RecordBatch, name: str, column: pa.Array) -> pa.RecordBatch:
    if name in batch.schema.names:
        place = batch.schema.get_field_index(name)
        return batch.set_column(place, batch.schema.field(place), column)
    return batch.append_column(name, column)


def _examples(numbers: list[int], of: int) -> str:
    """` (row 3)`, ` (rows 3, 5)`, ` (rows 3, 5, …)` where there are more."""
    if not numbers:
        return ""
    shown = ", ".join(f"{number:,}" for number in numbers)
    return f" ({'row' if of == 1 else 'rows'} {shown}{', …' if of > len(numbers) else ''})"
