"""A file of labels as a table: what each row says, which flows it says it of, and from when to when."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import InputError
from ..registry import nearest_name_hint
from .addresses import parse_addresses, parse_hexadecimal, parse_macs
from .lake import Lake
from .protocols import PROTOCOL_NAMES
from .schema import FLOW_ID, IP_ADDRESS, MAC_ADDRESS

How = Literal["flow-id", "five-tuple", "host", "mac", "capture"]

ALIASES: Mapping[str, tuple[str, ...]] = {
    "label": ("label", "verdict", "class", "category"),
    "label_source": ("label_source", "labelled_by"),
    "flow_id": ("flow_id",),
    "src_ip": ("src_ip", "source_ip", "srcip", "saddr", "id.orig_h", "src"),
    "dst_ip": ("dst_ip", "destination_ip", "dest_ip", "dstip", "daddr", "id.resp_h", "dst"),
    "src_port": ("src_port", "source_port", "sport", "id.orig_p"),
    "dst_port": ("dst_port", "destination_port", "dest_port", "dsport", "dport", "id.resp_p"),
    "protocol": ("protocol", "proto"),
    "host": ("host", "ip", "address"),
    "mac": ("mac", "mac_address"),
    "capture": ("capture", "file", "pcap"),
    "from": ("from", "since", "start", "start_time", "begin"),
    "to": ("to", "until", "end", "end_time", "stop"),
}
ZEROS_WITHIN_BYTES = 1 << 16
ALWAYS_NS = (-(2**63), 2**63 - 1)

_KEYS: Mapping[How, tuple[str, ...]] = {
    "flow-id": ("flow_id",),
    "five-tuple": ("src_ip", "dst_ip", "src_port", "dst_port", "protocol"),
    "host": ("host",),
    "mac": ("mac",),
    "capture": ("capture",),
}
_PROTOCOL_NUMBERS = {name: number for number, name in reversed(PROTOCOL_NAMES.items())}
_PORTLESS = (1, 58)  # ICMP: other tools put anything in the place of its ports


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Rows of a label file that can be used. A key that is null in a row stands for any value."""

    how: How
    names: pa.Array  # the label of each row
    sources: pa.Array  # who says so, null where the file does not
    keys: dict[str, pa.Array]  # by column of the flow table, `host` and `mac` standing for either side
    first_ns: npt.NDArray[np.int64]  # of a flow's start, both ends included
    last_ns: npt.NDArray[np.int64]
    lines: npt.NDArray[np.int64]  # number of the row in the file, from 1
    skipped: Counter[str] = field(default_factory=Counter)  # rows that cannot be used, by reason

    def __len__(self) -> int:
        return len(self.names)


def read_labels(labels: str | Path | pa.Table, how: How | None = None) -> Labels:
    """Labels from CSV, JSON lines, Parquet or a table; `how` they are joined is told by their columns unless given."""
    shown = "the table of labels" if isinstance(labels, pa.Table) else f"`{labels}`"
    table = labels if isinstance(labels, pa.Table) else _read_table(Path(labels))
    columns = _known_columns(table)
    if "label" not in columns:
        raise InputError(
            f"annotate: {shown} has no column `label` (it has: {', '.join(table.column_names) or 'none'})",
            hint="name the column with the answers `label`",
        )
    chosen = _choose_how(columns, how, shown)
    return _usable(table.num_rows, columns, chosen)


def _read_table(path: Path) -> pa.Table:
    name = path.name.lower().removesuffix(".gz").removesuffix(".zst")
    try:
        _refuse_zeros(path)
        if name.endswith((".jsonl", ".ndjson", ".json")):
            return pl.read_ndjson(path, infer_schema_length=None).to_arrow()
        if name.endswith((".csv", ".tsv", ".txt")):
            separator = "\t" if name.endswith(".tsv") else ","
            return pl.read_csv(path, infer_schema_length=0, separator=separator, null_values=["", "-"]).to_arrow()
    except pl.exceptions.NoDataError as error:
        raise InputError(
            f"annotate: `{path}` is empty", hint="a header such as `src_ip,dst_port,label` comes first"
        ) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    except (pl.exceptions.PolarsError, ValueError) as error:
        form = "one JSON object" if name.endswith((".jsonl", ".ndjson", ".json")) else "as many values as the header"
        raise InputError(
            f"annotate: the labels `{path}` cannot be read: {_bad_line(path, name)}",
            hint=f"each line holds {form}",
        ) from error
    if not path.exists():
        raise _unreadable(path, FileNotFoundError())
    if name.endswith(".parquet") or path.is_dir():
        return Lake(path).read().to_arrow()
    raise InputError(
        f"annotate: what `{path}` holds is not known from its name",
        hint="labels are read from `.csv`, `.tsv`, `.jsonl` and `.parquet`",
    )


def _refuse_zeros(path: Path) -> None:
    """Zero bytes are no text, and parsers of text fail in odd ways on them."""
    if not path.name.lower().endswith((".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json")):
        return
    with path.open("rb") as file:
        beginning = file.read(ZEROS_WITHIN_BYTES)
    if b"\0" in beginning:
        what = "UTF-16 text" if beginning[:2] in (b"\xff\xfe", b"\xfe\xff") else "no text: it holds zero bytes"
        raise InputError(
            f"annotate: the labels `{path}` cannot be read: they are {what}",
            hint=f"save them as UTF-8: `iconv -f UTF-16 -t UTF-8 {path.name}`" if what.startswith("UTF") else None,
        )


def _unreadable(path: Path, error: OSError) -> InputError:
    if isinstance(error, FileNotFoundError):
        near = path.parent.is_dir() and nearest_name_hint(
            path.name, sorted(item.name for item in path.parent.iterdir())
        )
        return InputError(f"annotate: there is no file `{path}`", hint=near or "check the name of the file of labels")
    hint = f"`ls -ld {path}` shows who may read it" if isinstance(error, PermissionError) else None
    return InputError(
        f"annotate: the labels `{path}` cannot be read: {(error.strerror or str(error)).lower()}", hint=hint
    )


def _bad_line(path: Path, name: str) -> str:
    """Where a file of lines stops being what its name says, as far as it can be told."""
    if path.name.lower() != name:  # compressed
        return "its content does not fit its name"
    is_json = name.endswith((".jsonl", ".ndjson", ".json"))
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                text = line.decode()
            except UnicodeDecodeError:
                return f"line {number} is not UTF-8 text"
            if is_json and text.strip() and not _is_object(text):
                return f"line {number} is not a JSON object: `{text.strip()[:60]}`"
    return "its lines do not fit together"


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _known_columns(table: pa.Table) -> dict[str, pa.Array]:
    plain = {name.strip().lower().replace(" ", "_").replace("-", "_"): name for name in reversed(table.column_names)}
    found = {}
    for known, aliases in ALIASES.items():
        alias = next((alias for alias in aliases if alias in plain), None)
        if alias is not None:
            column = table.column(plain[alias])
            found[known] = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    return found


def _choose_how(columns: Mapping[str, Any], how: How | None, shown: str) -> How:
    """What was asked, or the way whose keys are all there; a part of a 5-tuple is the last choice."""
    if how is not None and how not in get_args(How):
        raise InputError(f"annotate: labels cannot be joined by `{how}` (known: {', '.join(get_args(How))})")
    if how is not None:
        if any(_has_values(columns, name) for name in _KEYS[how]):
            return how
        raise InputError(
            f"annotate: {shown} cannot be joined by {how}: {_what_is_missing(columns, _KEYS[how])}",
            hint="leave `--how` out to join as the columns allow",
        )
    if _has_values(columns, "flow_id"):
        return "flow-id"
    if _has_values(columns, "src_ip") and _has_values(columns, "dst_ip"):
        return "five-tuple"
    for way in ("host", "mac", "capture", "five-tuple"):
        if any(_has_values(columns, name) for name in _KEYS[way]):
            return way
    raise InputError(
        f"annotate: nothing in {shown} says which flows it labels",
        hint="give it a column `flow_id`, `src_ip` and `dst_ip` (or other parts of a 5-tuple), `host`, `mac` or "
        "`capture`, with `from` and `to` where time matters",
    )


def _what_is_missing(columns: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    empty = [f"`{name}`" for name in keys if name in columns]
    if empty:
        return f"every row is empty in {' and '.join(empty)}"
    names = [f"`{name}`" for name in keys]
    return f"it has no column {names[0]}" if len(names) == 1 else f"it has none of the columns {', '.join(names)}"


def _has_values(columns: Mapping[str, Any], name: str) -> bool:
    return name in columns and (columns[name].null_count < len(columns[name]) or not len(columns[name]))


def _usable(rows: int, columns: dict[str, Any], how: How) -> Labels:
    skipped: Counter[str] = Counter()
    usable = np.ones(rows, np.bool_)

    def skip(bad: npt.NDArray[np.bool_], reason: str) -> None:
        nonlocal usable
        skipped[reason] += int((bad & usable).sum())
        usable &= ~bad

    names = columns["label"].cast(pa.string())
    skip(_nulls(names) | pc.fill_null(pc.equal(names, ""), True).to_numpy(zero_copy_only=False), "no-label")
    keys = {}
    for name in _KEYS[how]:
        if name in columns:
            keys[name], bad = _parse_key(name, columns[name])
            skip(bad, f"bad-{name.replace('_', '-')}")
    if how == "five-tuple" and "protocol" in keys:
        portless = pc.fill_null(pc.is_in(keys["protocol"], pa.array(_PORTLESS, pa.uint8())), False)
        for port in ("src_port", "dst_port"):
            if port in keys:
                keys[port] = pc.if_else(portless, pa.scalar(None, pa.uint16()), keys[port])
    any_key = np.zeros(rows, np.bool_)
    for key in keys.values():
        any_key |= ~_nulls(key)
    skip(~any_key, "no-key")
    ends = []
    for name, always in zip(("from", "to"), ALWAYS_NS, strict=True):
        if name in columns and how != "flow-id":
            times, bad = _parse_times(columns[name])
            skip(bad, "bad-time")
            ends.append(pc.fill_null(times, always).to_numpy(zero_copy_only=False))
        else:
            ends.append(np.full(rows, always, np.int64))
    skip(ends[0] > ends[1], "ends-before-it-begins")
    chosen = pa.array(usable)
    source = columns["label_source"].cast(pa.string()) if "label_source" in columns else pa.nulls(rows, pa.string())
    return Labels(
        how=how,
        names=names.filter(chosen),
        sources=source.filter(chosen),
        keys={name: key.filter(chosen) for name, key in keys.items()},
        first_ns=ends[0][usable],
        last_ns=ends[1][usable],
        lines=np.flatnonzero(usable) + 1,
        skipped=+skipped,
    )


def _parse_key(name: str, column: Any) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """A key as the flow table has it, and which rows hold something else."""
    none_bad = np.zeros(len(column), np.bool_)
    if name in ("src_ip", "dst_ip", "host"):
        return (column, none_bad) if column.type == IP_ADDRESS else parse_addresses(column.cast(pa.string()))
    if name == "mac":
        return (column, none_bad) if column.type == MAC_ADDRESS else parse_macs(column.cast(pa.string()))
    if name == "flow_id":
        return (column, none_bad) if column.type == FLOW_ID else parse_hexadecimal(column.cast(pa.string()), 16)
    if name == "capture":
        return column.cast(pa.string()), none_bad
    kind, highest = (pl.UInt8, 255) if name == "protocol" else (pl.UInt16, 65_535)
    text = pl.Series(column.cast(pa.string())).str.strip_chars().str.to_lowercase()
    if name == "protocol":
        text = text.replace({protocol: str(number) for protocol, number in _PROTOCOL_NUMBERS.items()})
    numbers = text.cast(pl.Float64, strict=False)
    numbers = numbers.set(((numbers < 0) | (numbers > highest) | (numbers % 1 != 0)).fill_null(True), None)
    parsed = numbers.cast(kind).to_arrow()
    return parsed, _nulls(parsed) & ~_nulls(column)


def _parse_times(column: Any) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """Times as ns since 1970: ISO 8601 (UTC unless it says otherwise), or numbers in s, ms, µs or ns by their size."""
    if pa.types.is_timestamp(column.type):
        times = column.cast(pa.timestamp("ns", column.type.tz), safe=False).cast(pa.int64())
        return times, np.zeros(len(column), np.bool_)
    text = pl.Series(column.cast(pa.string())).str.strip_chars()
    numbers = text.cast(pl.Float64, strict=False)
    size = numbers.abs().max()
    unit = next((ns for limit, ns in ((1e11, 10**9), (1e14, 10**6), (1e17, 10**3)) if float(str(size or 0)) < limit), 1)
    if numbers.null_count() < len(numbers):
        whole = text.cast(pl.Int64, strict=False) * unit  # exact where there is no fraction
        times = whole.fill_null((numbers * unit).round().cast(pl.Int64, strict=False))
    else:
        iso = text.str.replace(r"(Z|[+-]00:?00)$", "").str.replace(" ", "T", literal=True)
        frame = pl.DataFrame({"t": iso})
        naive = [
            pl.col("t").str.to_datetime(form, time_unit="ns", strict=False)
            for form in ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d")
        ]
        zoned = pl.col("t").str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="ns", strict=False)
        times = frame.select(
            pl.coalesce(*(time.dt.timestamp("ns") for time in naive), zoned.dt.timestamp("ns"))
        ).to_series()
    parsed = times.to_arrow()
    return parsed, _nulls(parsed) & ~_nulls(column)


def _nulls(column: Any) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = column.is_null().to_numpy(zero_copy_only=False)
    return found
