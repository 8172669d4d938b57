"""`flowlore query`."""

from typing import Annotated

import typer

from . import options


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
    from ..errors import QueryError
    from ..flows.query import query as ask
    from .text import print_json, print_table

    if csv and json:
        raise QueryError("query: `--csv` and `--json` exclude each other", hint="choose one of them")
    answer = ask(sql, lake if len(lake) > 1 else lake[0])
    if json:
        print_json(answer.to_pylist())
    elif csv:
        import sys

        from pyarrow.csv import write_csv

        sys.stdout.flush()
        write_csv(answer, sys.stdout.buffer)
    else:
        numeric = [place for place, field in enumerate(answer.schema) if _is_number(field.type)]
        rows = [["" if value is None else _shown(value) for value in row.values()] for row in answer.to_pylist()]
        print_table(answer.column_names, rows, numbers=numeric)


def _is_number(type_: object) -> bool:
    return str(type_).startswith(("int", "uint", "float", "double", "decimal"))


def _shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
