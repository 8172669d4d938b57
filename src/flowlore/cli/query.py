"""`flowlore query`."""

from typing import TYPE_CHECKING, Annotated

import typer

from . import options

if TYPE_CHECKING:
    import pyarrow as pa


def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One SELECT over the view `flows`, in DuckDB's SQL.")],
    lake: Annotated[list[str], typer.Argument(metavar="LAKE...", help="A lake folder, or Parquet files of flows.")],
    csv: Annotated[bool, typer.Option("--csv", help="Print the answer as CSV.")] = False,
    json: options.Json = False,
) -> None:
    """Ask a lake a question in SQL.

    \b
    flowlore query "select dst_port, count(*) from flows group by all" lake/
    """
    import sys

    from ..errors import QueryError
    from ..flows.lake import Lake
    from ..flows.query import query as ask
    from .text import print_json, print_table

    if csv and json:
        raise QueryError("query: `--csv` and `--json` exclude each other", hint="choose one of them")
    for path in lake:
        if not Lake(path).parts():  # right for a lake that is about to grow, and else a wrong name
            print(f"query: the folder `{path}` holds no flows", file=sys.stderr)
    answer = ask(sql, lake if len(lake) > 1 else lake[0])
    if json:
        twice = {name for name in answer.column_names if answer.column_names.count(name) > 1}
        if twice:
            raise QueryError(
                f"query: two columns are called `{min(twice)}`, which an object of JSON cannot hold",
                hint="name them apart: `select … as first, … as second`",
            )
        print_json(answer.to_pylist())
    elif csv:
        import pyarrow as pa
        from pyarrow.csv import write_csv

        from ..flows.lines import StandardOutput
        from ..flows.place import output_errors

        sys.stdout.flush()
        text, place = pa.BufferOutputStream(), StandardOutput()
        write_csv(_plain_columns(answer), text)
        with output_errors(place.path):
            place.stream.write(text.getvalue())
        place.commit()
    else:
        numeric = [place for place, field in enumerate(answer.schema) if _is_number(field.type)]
        columns = [column.to_pylist() for column in answer.columns]
        rows = [["" if value is None else _shown(value) for value in row] for row in zip(*columns, strict=True)]
        print_table(answer.column_names, rows, numbers=numeric)


def _plain_columns(answer: "pa.Table") -> "pa.Table":
    """Columns that CSV cannot hold as text: lists and structs as JSON, spans of time as ISO 8601, bytes in hex."""
    import pyarrow as pa

    for place, field in enumerate(answer.schema):
        kind = field.type
        is_bytes = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
        is_span = pa.types.is_interval(kind) or pa.types.is_duration(kind)
        if not (is_bytes or is_span or pa.types.is_nested(kind)):
            continue
        column = answer.column(place).to_pylist()
        texts = pa.array([None if value is None else _text(value) for value in column], pa.string())
        answer = answer.set_column(place, field.name, texts)
    return answer


def _text(value: object) -> str:
    import json

    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):  # Arrow's months, days and ns
        months, days, ns = value
        return f"P{months}M{days}DT{ns / 1e9:.9g}S"
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return str(value)


def _is_number(type_: object) -> bool:
    return str(type_).startswith(("int", "uint", "float", "double", "decimal"))


def _shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
