"""Rows of somebody's table → columns of the flow table, as a column map says."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from ...flows.schema import INSTANT, IP_ADDRESS, MAC_ADDRESS, arrow_schema
from .columnmaps import ColumnMap, ColumnRule, plain
from .columns import (
    as_addresses,
    as_durations,
    as_flags,
    as_floats,
    as_instants,
    as_integers,
    as_macs,
    as_ports,
    as_protocols,
    as_text,
    text_or_null,
)
from .rows import note_unreadable

ICMP = (1, 58)


def mapped_columns(frame: pl.DataFrame, column_map: ColumnMap, notes: Counter[str]) -> dict[str, pl.Series | pa.Array]:
    """The columns of the flow table that the map makes of the frame. Values that cannot be read are null and noted."""
    places = {plain(name): name for name in reversed(frame.columns)}
    found: dict[str, pl.Series | pa.Array] = {}
    for target, rule in column_map.columns.items():
        values = _source_column(frame, rule.column, rule, column_map, places)
        if values is None:
            continue
        if rule.minus or rule.plus or rule.largest:
            made = _combined(frame, target, rule, column_map, places, values)
        else:
            made = _converted(target, values, rule, column_map)
            detail = _source_column(frame, rule.detail, rule, column_map, places)
            if detail is not None and isinstance(made, pl.Series):
                made = _with_detail(made, detail, rule)
            if not (isinstance(made, pl.Series) and made.dtype == pl.String):
                note_unreadable(notes, target, values, made)
        found[target] = made
    for target, constant in column_map.constants.items():
        found.setdefault(target, pa.repeat(pa.scalar(constant, arrow_schema().field(target).type), frame.height))
    _place_icmp(frame, column_map, places, found)
    return found


def rows_without_ip(frame: pl.DataFrame, column_map: ColumnMap) -> pl.Series | None:
    """Which rows are no IP flows (ARP, LLC …), where the map can tell and there are any."""
    places = {plain(name): name for name in reversed(frame.columns)}
    rule = column_map.columns.get("protocol")
    names = [places[plain(name)] for name in rule.column if plain(name) in places] if rule and rule.not_ip else []
    if names and rule:
        other = frame[names[0]].cast(pl.String).str.strip_chars().str.to_lowercase().is_in(list(rule.not_ip))
    elif column_map.ip_rows is not None:
        other = ~frame[places[plain(column_map.ip_rows.column)]].cast(pl.String).is_in(list(column_map.ip_rows.values))
    else:
        return None
    other = other.fill_null(False)
    return other if other.any() else None


def icmp_ports(
    protocol: pl.Series, src_port: pl.Series, dst_port: pl.Series, type_and_code: pl.Series
) -> tuple[pl.Series, pl.Series]:
    """Ports with the type and code of ICMP in the place of ports, from 256 * type + code."""
    is_icmp = protocol.is_in(ICMP).fill_null(False)
    rows = pl.select(
        src=pl.when(is_icmp).then(type_and_code // 256).otherwise(pl.lit(src_port)).cast(pl.UInt16),
        dst=pl.when(is_icmp).then(type_and_code % 256).otherwise(pl.lit(dst_port)).cast(pl.UInt16),
    )
    return rows["src"], rows["dst"]


def _source_column(
    frame: pl.DataFrame, spellings: Sequence[str], rule: ColumnRule, column_map: ColumnMap, places: Mapping[str, str]
) -> pl.Series | None:
    for name in spellings:
        if (place := places.get(plain(name))) is not None:
            values = frame[place]
            if values.dtype in (pl.Categorical, pl.Enum, pl.Boolean):
                values = values.cast(pl.String)
            if values.dtype == pl.String:
                return text_or_null(values, (*column_map.null_values, *rule.null_values))
            if rule.null_values and values.dtype.is_numeric():
                return pl.select(
                    pl.when(~values.cast(pl.String).is_in(list(rule.null_values))).then(values)
                ).to_series()
            return values
    return None


def _converted(target: str, values: pl.Series, rule: ColumnRule, column_map: ColumnMap) -> pl.Series | pa.Array:
    type_ = arrow_schema().field(target).type
    if pa.types.is_list(type_):
        return _list_converted(target, values, rule)
    if type_ == INSTANT:
        return as_instants(values, rule.unit, rule.formats, column_map.timezone).cast(pl.Datetime("ns", "UTC"))
    if target.endswith("_ns") and rule.unit:
        durations = as_durations(values, rule.unit)
        return durations if type_ == pa.int64() else durations.cast(pl.Float64)
    if type_ == IP_ADDRESS and target.endswith("_ip"):
        return as_addresses(values)
    if type_ == MAC_ADDRESS:
        return as_macs(values)
    if target == "protocol":
        return as_protocols(_replaced(values, rule))
    if target.endswith("_port"):
        return as_ports(values)
    if target.startswith("tcp_flags"):
        return as_flags(values)
    if pa.types.is_integer(type_):
        return as_integers(values, type_, rule.scale)
    if pa.types.is_floating(type_):
        return as_floats(values, rule.scale)
    text = as_text(values)
    return _replaced(text.str.to_lowercase() if rule.lower else text, rule)


def _replaced(text: pl.Series, rule: ColumnRule) -> pl.Series:
    if rule.values:
        text = text.cast(pl.String).replace(dict(rule.values))
    if rule.prefix:
        text = pl.select(pl.concat_str(pl.lit(rule.prefix), pl.lit(text))).to_series()
    return text if rule.null_as is None else text.fill_null(rule.null_as)


def _with_detail(text: pl.Series, detail: pl.Series, rule: ColumnRule) -> pl.Series:
    """`text/detail` where there is a detail other than the text."""
    detail = as_text(detail)
    detail = detail.str.to_lowercase() if rule.lower else detail
    more = detail.is_not_null() & detail.ne_missing(text)
    return pl.select(
        pl.when(more)
        .then(pl.concat_str(pl.lit(text), pl.lit(detail), separator="/", ignore_nulls=True))
        .otherwise(text)
    ).to_series()


def _list_converted(target: str, values: pl.Series, rule: ColumnRule) -> pl.Series:
    """Packet series: `take` says what of the list's numbers is wanted; `unit` is that of times."""
    element = pl.element().cast(pl.Int64)
    factor = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}.get(rule.unit or "ns", 1)
    if rule.take == "sign":
        element = element.sign()
    elif rule.take == "absolute":
        element = element.abs()
    elif rule.take == "differences":
        element = element.diff().fill_null(0)
    inner = pl.from_arrow(pa.array([], arrow_schema().field(target).type))
    assert isinstance(inner, pl.Series)
    return values.to_frame("list").select(pl.col("list").list.eval(element * factor).cast(inner.dtype)).to_series()


def _combined(
    frame: pl.DataFrame,
    target: str,
    rule: ColumnRule,
    column_map: ColumnMap,
    places: Mapping[str, str],
    values: pl.Series,
) -> pl.Series:
    """Two columns added, subtracted or compared, in whole numbers (times in ns). A negative difference is null."""
    type_ = arrow_schema().field(target).type

    def read(values: pl.Series) -> pl.Series:
        if rule.formats:
            return as_instants(values, None, rule.formats, column_map.timezone)
        return as_durations(values, rule.unit) if rule.unit else as_integers(values, pa.int64(), rule.scale)

    total = read(values)
    for names, sign in ((rule.minus, -1), (rule.plus, 1), (rule.largest, 0)):
        if not names:
            continue
        other = _source_column(frame, names, rule, column_map, places)
        if other is None:
            return pl.Series(target, [None], dtype=pl.Int64).new_from_index(0, frame.height)
        second = read(other)
        total = pl.select(pl.max_horizontal(total, second)).to_series() if sign == 0 else total + sign * second
    return as_integers(total, pa.int64() if type_ == pa.int64() else type_)


def _place_icmp(
    frame: pl.DataFrame, column_map: ColumnMap, places: Mapping[str, str], found: dict[str, pl.Series | pa.Array]
) -> None:
    names = column_map.icmp_type_code
    place = next((places[plain(name)] for name in names if plain(name) in places), None)
    if place is None or not {"protocol", "src_port", "dst_port"} <= set(found):
        return
    protocol, src, dst = (_series(found[name]) for name in ("protocol", "src_port", "dst_port"))
    codes = as_integers(frame[place], pa.uint16()).cast(pl.Int64)
    found["src_port"], found["dst_port"] = icmp_ports(protocol, src, dst, codes)


def _series(values: Any) -> pl.Series:
    return values if isinstance(values, pl.Series) else pl.Series(pl.from_arrow(values))
