"""Flow table → flow table: changed copies of flows, whose counters say the same as their packets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ...errors import SettingError, TaskError
from ...flows.arrays import plain_array, repeated_word
from ...flows.ids import fixed_binary
from ...flows.splitmix import STEP, finished
from .mixing import draw_partners
from .packets import PacketSeries, sizes_and_headers
from .policy import Augmenter
from .statistics import NOT_KNOWN_AFTERWARDS, Numbers, changed_statistics, flow_statistics

SOURCE = "augment"
ROWS_AT_ONCE = 65_536
LARGEST_BYTES = np.iinfo(np.uint16).max  # of a packet, as its columns hold them
LARGEST_WHOLE = 2.0**62  # that floats and 64-bit integers both hold
USUAL_PACKETS = 32  # what series are cut to, or to the longest that is there
LISTS = (
    "packet_direction",
    "packet_bytes",
    "packet_payload_bytes",
    "packet_gap_ns",
    "packet_tcp_flags",
    "packet_window",
)
FLOW_ID_BYTES = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Copying:
    """What became of the flows of a table."""

    flows: int
    copied: int  # flows that were copied, each so many times
    without_packets: int
    too_short: int  # for every transform that was asked for
    unlabelled: int  # where transforms mix flows of a class
    unchanged: int  # copies that their transforms left as the original is
    written: int


def augment_table(
    table: pa.Table, augmenter: Augmenter, rng: np.random.Generator, *, keep_originals: bool = True
) -> tuple[list[pa.RecordBatch], Copying]:
    """The flows, then `copies` changed copies of each that has packets, in batches.

    Copies keep capture, start and label, so that splits by capture or time leave them on the side of their original;
    they get ids of their own, and `source` says `augment`. An augmenter without transforms is refused: its copies would
    be as their originals.
    """
    if not augmenter.transforms:
        raise SettingError(
            "augment: no transform was named, so that every copy would be as its original",
            hint='for example `AugmentSettings(transforms=("packet-loss",))`',
        )
    table = table.combine_chunks()
    lengths = _lengths(table)
    longest = int(lengths.max(initial=0))
    has = lengths > 0
    labelled = _labelled(table)
    wanted = has & labelled if augmenter.needs_partners else has
    fewest = min((transform.fewest_packets for transform, _ in augmenter.transforms), default=1)
    long_enough = lengths >= fewest
    _refuse_nothing(len(table), has, long_enough, labelled, augmenter, fewest)
    rows = np.flatnonzero(wanted & long_enough)
    codes, names = _codes(table, rows) if augmenter.needs_partners else (None, ())
    batches = list(table.to_batches(max_chunksize=ROWS_AT_ONCE)) if keep_originals else []
    unchanged = 0
    for copy in range(augmenter.settings.copies):
        partners = None if codes is None else rows[draw_partners(codes, rng, names=names)]
        for first in range(0, len(rows), ROWS_AT_ONCE):
            part = slice(first, first + ROWS_AT_ONCE)
            theirs = None if partners is None else table.take(pa.array(partners[part]))
            made, same = _copies(table.take(pa.array(rows[part])), theirs, augmenter, rng, longest, copy)
            batches.append(made)
            unchanged += same
    return batches, Copying(
        flows=len(table),
        copied=len(rows),
        without_packets=int((~has).sum()),
        too_short=int((wanted & ~long_enough).sum()),
        unlabelled=int((has & ~labelled).sum()) if augmenter.needs_partners else 0,
        unchanged=unchanged,
        written=sum(batch.num_rows for batch in batches),
    )


def series_of_table(table: pa.Table | pa.RecordBatch, width: int) -> PacketSeries:
    """The first `width` packets of each flow."""
    direction = padded(table, "packet_direction", width)
    size, payload = padded(table, "packet_bytes", width), padded(table, "packet_payload_bytes", width)
    has_size, has_payload = (_is_known(table, name)[:, None] for name in ("packet_bytes", "packet_payload_bytes"))
    counted, header = sizes_and_headers(size, payload, has_size, has_payload)
    return PacketSeries(
        direction=direction.astype(np.int32),
        size=counted,
        header=header,
        gap_ns=padded(table, "packet_gap_ns", width),
        flags=padded(table, "packet_tcp_flags", width).astype(np.int32),
        window=padded(table, "packet_window", width).astype(np.int32),
        hidden=np.zeros(direction.shape, np.bool_),
    )


def series_lists(series: PacketSeries, most: int) -> dict[str, pa.Array]:
    """The packet columns of a flow table, at most so many packets a flow; hidden packets are not in it."""
    seen = series.seen().cut(most)
    offsets = plain_array(np.concatenate([[0], np.cumsum(seen.lengths)]).astype(np.int32))
    values: dict[str, npt.NDArray[Any]] = {
        "packet_direction": seen.direction.astype(np.int8),
        "packet_bytes": np.minimum(seen.size, LARGEST_BYTES).astype(np.uint16),
        "packet_payload_bytes": np.minimum(seen.payload, LARGEST_BYTES).astype(np.uint16),
        "packet_gap_ns": seen.gap_ns,
        "packet_tcp_flags": seen.flags.astype(np.uint8),
        "packet_window": seen.window.astype(np.uint16),
    }
    mask = seen.is_packet
    return {name: pa.ListArray.from_arrays(offsets, plain_array(array[mask])) for name, array in values.items()}


def padded(table: pa.Table | pa.RecordBatch, column: str, width: int) -> npt.NDArray[np.int64]:
    """A list column as rows of equal width, zeros behind its end and where it is null."""
    out = np.zeros((table.num_rows, width), np.int64)
    row = 0
    for chunk in _chunks(table, column):
        held = chunk.cast(pa.large_list(chunk.type.value_type))
        offsets = held.offsets.to_numpy(zero_copy_only=False)
        lengths = np.where(held.is_valid().to_numpy(zero_copy_only=False), np.diff(offsets), 0)
        values = held.values.fill_null(0).to_numpy(zero_copy_only=False)
        flow = np.repeat(np.arange(len(held)), lengths)
        place = np.arange(len(flow)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        fits = place < width
        out[row + flow[fits], place[fits]] = values[(offsets[:-1][flow] + place)[fits]]
        row += len(chunk)
    return out


def column_of_numbers(values: Numbers, type_: pa.DataType) -> pa.Array:
    """Numbers as a column of the flow table: NaN is null, whole numbers are rounded and kept in the type's range."""
    is_null = np.isnan(values)
    if pa.types.is_floating(type_):
        return plain_array(np.where(is_null, 0.0, values), is_null=is_null).cast(type_)
    limits = np.iinfo(type_.to_pandas_dtype())
    whole = np.clip(np.rint(np.where(is_null, 0.0, values)), limits.min, min(float(limits.max), LARGEST_WHOLE))
    return plain_array(whole.astype(type_.to_pandas_dtype()), is_null=is_null)


def _copies(
    table: pa.Table,
    partners: pa.Table | None,
    augmenter: Augmenter,
    rng: np.random.Generator,
    longest: int,
    copy: int,
) -> tuple[pa.RecordBatch, int]:
    """The copies, and how many are as they were.

    Packets are counted before the series are cut, so there is room for twice as many.
    """
    before = series_of_table(table, 2 * longest)
    theirs = None if partners is None else series_of_table(partners, 2 * longest)
    after = augmenter.changed(before, rng, theirs)
    known = _statistics_columns(table)
    new: dict[str, pa.Array] = {
        name: array
        for name, array in series_lists(after, max(longest, USUAL_PACKETS)).items()
        if name in table.column_names and _has_values(table, name)
    }
    for name in new:
        new[name] = _with_nulls_of(table.column(name), new[name])
    for name, values in changed_statistics(known, before, after).items():
        new[name] = column_of_numbers(values, table.schema.field(name).type)
    if "flow_id" in table.column_names:
        new["flow_id"] = _other_ids(table.column("flow_id"), copy, int(rng.integers(2**62)))
    if "source" in table.column_names:
        new["source"] = repeated_word(SOURCE, len(table))
    arrays = [_in_one(new.get(field.name, table.column(field.name))) for field in table.schema]
    made = pa.RecordBatch.from_arrays(
        [array.cast(field.type) for array, field in zip(arrays, table.schema, strict=True)], schema=table.schema
    )
    return made, int(_is_same(before, after).sum())


def _is_same(before: PacketSeries, after: PacketSeries) -> npt.NDArray[np.bool_]:
    width = max(before.width, after.width)
    same = np.ones(len(before), np.bool_)
    for name in ("direction", "size", "gap_ns", "hidden"):
        one, other = (
            np.pad(values, ((0, 0), (0, width - values.shape[1])))
            for values in (getattr(before, name), getattr(after, name))
        )
        same &= (one == other).all(axis=1)
    return same


def _statistics_columns(table: pa.Table) -> Mapping[str, Numbers]:
    """Every column of the table that packets tell something about, where it holds anything."""
    told = set(flow_statistics(series_of_table(table.slice(0, 0), 0)))
    told |= {f"{name}_{side}" for name in NOT_KNOWN_AFTERWARDS for side in ("fwd", "rev")}
    return {
        name: pc.cast(table.column(name), pa.float64(), safe=False).to_numpy().astype(np.float64)
        for name in table.column_names
        if name in told and _has_values(table, name)
    }


def _other_ids(ids: pa.ChunkedArray, copy: int, salt: int) -> pa.Array:
    """Ids made from the originals', the number of the copy and a draw; null stays null."""
    held = _in_one(ids)
    is_null = held.is_null().to_numpy(zero_copy_only=False)
    raw = np.zeros((len(held), FLOW_ID_BYTES), np.uint8)
    if not is_null.all():
        raw = np.frombuffer(held.buffers()[1], np.uint8)[held.offset * FLOW_ID_BYTES :][: len(held) * FLOW_ID_BYTES]
        raw = raw.reshape(-1, FLOW_ID_BYTES)
    words = raw.copy().view(np.uint64)
    mixed = np.empty_like(words)
    with np.errstate(over="ignore"):
        second = finished(words[:, 1] + np.uint64(copy + 1) + STEP)
        mixed[:, 0] = finished((words[:, 0] ^ np.uint64(salt) ^ second) + STEP)
        mixed[:, 1] = finished((mixed[:, 0] ^ words[:, 1]) + STEP)
    made = fixed_binary(mixed.view(np.uint8).reshape(-1, FLOW_ID_BYTES))
    return pc.if_else(pa.array(is_null), pa.scalar(None, made.type), made) if is_null.any() else made


def _refuse_nothing(
    flows: int,
    has: npt.NDArray[np.bool_],
    long_enough: npt.NDArray[np.bool_],
    labelled: npt.NDArray[np.bool_],
    augmenter: Augmenter,
    fewest: int,
) -> None:
    """A request that could not change a single flow is a mistake, and is told as one."""
    names = ", ".join(f"`{transform.name}`" for transform, _ in augmenter.transforms)
    if flows and not has.any():
        raise TaskError(
            f"augment: none of the {flows:,} flows has a packet series, and {names} changes packets",
            hint="meter captures (`flowlore flows capture.pcap -o flows.parquet`); exports and logs hold totals only",
        )
    if flows and not long_enough.any():
        raise TaskError(
            f"augment: {names} needs flows of at least {fewest} packets, and none of these is so long",
            hint="choose another transform, or give flows with more packets",
        )
    if flows and augmenter.needs_partners and not (has & labelled).any():
        raise TaskError(
            f"augment: {names} mixes each flow with another of its class, but no flow has a label",
            hint="`flowlore annotate FLOWS LABELS -o labelled.parquet` joins labels to flows",
        )


def _codes(table: pa.Table, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    encoded = _in_one(table.column("label").take(pa.array(rows))).dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), tuple(encoded.dictionary.to_pylist())


def _lengths(table: pa.Table) -> npt.NDArray[np.int64]:
    if "packet_direction" not in table.column_names:
        return np.zeros(len(table), np.int64)
    known = pc.fill_null(pc.list_value_length(table.column("packet_direction")), 0).to_numpy().astype(np.int64)
    has_size = _is_known(table, "packet_bytes") | _is_known(table, "packet_payload_bytes")
    return np.where(has_size, known, 0)


def _labelled(table: pa.Table) -> npt.NDArray[np.bool_]:
    if "label" not in table.column_names:
        return np.zeros(len(table), np.bool_)
    return ~np.asarray(pc.fill_null(pc.equal(table.column("label"), ""), True).to_numpy(), np.bool_)


def _is_known(table: pa.Table | pa.RecordBatch, column: str) -> npt.NDArray[np.bool_]:
    if column not in table.schema.names:
        return np.zeros(table.num_rows, np.bool_)
    known: npt.NDArray[np.bool_] = pc.is_valid(table.column(column)).to_numpy(zero_copy_only=False)
    return known


def _has_values(table: pa.Table, column: str) -> bool:
    return bool(table.column(column).null_count < len(table))


def _with_nulls_of(before: pa.ChunkedArray, after: pa.Array) -> pa.Array:
    """Null where the original is."""
    if not before.null_count:
        return after
    return pc.if_else(_in_one(pc.is_valid(before)), after, pa.scalar(None, after.type))


def _chunks(table: pa.Table | pa.RecordBatch, column: str) -> Iterator[pa.Array]:
    if column not in table.schema.names:
        return
    held = table.column(column)
    yield from (held.chunks if isinstance(held, pa.ChunkedArray) else [held])


def _in_one(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    if isinstance(column, pa.Array):
        return column
    if not column.num_chunks:
        return pa.array([], column.type)
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
