"""Traffic matrices, link loads and other numbers over time that come as CSV or Parquet: the table as it lies there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from ..errors import InputError

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet")
NULLS = ["", "NA", "N/A", "nan", "NaN", "null", "None", "-"]


def read_plain_table(path: str | Path) -> pa.Table:
    """The whole file as a table. What stands for nothing is null."""
    file = Path(path)
    if not file.is_file():
        reason = "is a folder; name a file" if file.is_dir() else "does not exist"
        raise InputError(f"reading: `{path}` {reason}", hint="a CSV or Parquet file of numbers over time")
    try:
        if _is_parquet(file):
            from pyarrow.parquet import ParquetFile

            held = ParquetFile(file)
            return held.read().replace_schema_metadata(held.metadata.metadata)
        from pyarrow import csv

        options = csv.ConvertOptions(null_values=NULLS, strings_can_be_null=True)
        return csv.read_csv(file, parse_options=csv.ParseOptions(delimiter=_delimiter(file)), convert_options=options)
    except (pa.ArrowInvalid, OSError) as error:
        words = str(error).splitlines()[0]
        raise InputError(
            f"reading: `{path}` is no table: {words}", hint="CSV with a header line, or Parquet"
        ) from error


def is_plain_series(path: str | Path) -> bool:
    """Whether a file is a table with a time column and without the columns of flows; cheap, and never raises."""
    file = Path(path)
    if not file.is_file() or not (_is_parquet(file) or file.suffix.lower() in SUFFIXES):
        return False
    try:
        names = _column_names(file)
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError):
        return False
    lowered = {name.lower() for name in names}
    return len(names) >= 2 and bool(lowered & TIME_NAMES) and not lowered & FLOW_NAMES


TIME_NAMES = frozenset({"time", "timestamp", "date", "datetime", "ds", "step", "ts"})
FLOW_NAMES = frozenset(
    {"src_ip", "dst_ip", "srcip", "dstip", "sa", "da", "id.orig_h", "src_port", "dst_port", "source ip", "src ip"}
)


def _is_parquet(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(4) == b"PAR1"


def _column_names(file: Path) -> list[str]:
    if _is_parquet(file):
        from pyarrow.parquet import read_schema

        names: list[str] = read_schema(file).names
        return names
    with file.open(encoding="utf-8") as stream:
        line = stream.readline(1 << 16)
    return [word.strip().strip('"') for word in line.split(_delimiter(file))]


def _delimiter(file: Path) -> Any:
    with file.open("rb") as stream:
        line = stream.readline(1 << 16).decode("utf-8", "replace")
    return max(",;\t", key=line.count)
