"""SQL over flows: DuckDB in memory, closed in, with one view `flows` in which addresses are text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from duckdb.func import PythonUDFType

from ..errors import QueryError
from ..registry import nearest_name_hint
from .lake import Lake
from .schema import column_names
from .table import Flows
from .text import text_columns, text_formatter

VIEW = "flows"
END = "start::timestamptz + to_microseconds(duration_ns // 1000)"
_ROWS = "flowlore_rows"  # what the view stands on
_FUNCTIONS = {"ip": "ip_text", "mac": "mac_text", "hexadecimal": "hexadecimal_text"}


def query(sql: str, target: Flows | Lake | pa.Table | str | Path | Sequence[str | Path]) -> pa.Table:
    """The answer of one SELECT over the view `flows`: flows in memory, Parquet files, or a lake that is read in place.

    Addresses, MACs and flow ids are text; `in_prefix(src_ip, '10.0.0.0/8')` tells whether an address is in a prefix.

    >>> query("select count(*) as rows from flows", pa.table({"dst_port": [443, 53]})).to_pylist()
    [{'rows': 2}]
    """
    with FlowDatabase() as database:
        database.show(_rows(target))
        return _plain_integers(database.ask(sql))


class FlowDatabase:
    """A DuckDB in memory that sees nothing but what it is shown: no files, no network, no Python names."""

    def __init__(self, threads: int | None = None) -> None:
        self._connection = closed_connection(threads)
        self._columns: list[tuple[str, pa.DataType]] | None = None
        for kind, name in _FUNCTIONS.items():
            self._define(name, text_formatter(kind), ["BLOB"], "VARCHAR")
        self._define("in_prefix", addresses_in_prefixes, ["VARCHAR", "VARCHAR"], "BOOLEAN")

    def show(self, rows: Any) -> None:
        """Make these rows (an Arrow table, batch or dataset) the view `flows`, in place of what it was."""
        if isinstance(rows, pa.RecordBatch):
            rows = pa.Table.from_batches([rows])
        self._connection.register(_ROWS, rows)
        columns = [(field.name, field.type) for field in rows.schema]
        if columns != self._columns:
            texts = [
                f"{_FUNCTIONS[text_columns()[name]]}({_quoted(name)}) as {_quoted(name)}"
                for name, kind in columns
                if name in text_columns() and pa.types.is_fixed_size_binary(kind)
            ]
            replaced = f" replace ({', '.join(texts)})" if texts else ""
            self._connection.execute(f"create or replace temp view {VIEW} as select *{replaced} from {_ROWS}")
            self._columns = columns

    def ask(self, sql: str, *, what: str = "query", written: str | None = None) -> pa.Table:
        """The answer of one SELECT. `what` begins the message where it is not valid, `written` is the part of it that
        the user wrote: no other is shown.
        """
        names = [name for name, _ in self._columns or []]
        written = sql if written is None else written
        try:
            statements = self._connection.extract_statements(sql)
            if len(statements) != 1 or statements[0].type not in (
                duckdb.StatementType.SELECT,
                duckdb.StatementType.EXPLAIN,
            ):
                raise QueryError(
                    f"{what}: only one statement that reads is allowed: `{' '.join(written.split())[:80]}`",
                    hint=f"begin with `select … from {VIEW}`",
                )
            answer = self._connection.sql(sql)
            if answer is None:
                raise QueryError(f"{what}: the statement gives no rows", hint=f"begin with `select … from {VIEW}`")
            return answer.to_arrow_table()
        except duckdb.Error as error:
            raise _query_error(error, what, names, written) from error

    def columns_of(self, sql: str) -> list[str]:
        """Columns of the view that a SELECT can touch: all where it says so with a star, or is not understood."""
        names = [name for name, _ in self._columns or []]
        try:
            rows = self._connection.execute("select json_serialize_sql(?)", [sql]).fetchall()
        except duckdb.Error:
            return names
        tree = json.loads(rows[0][0])
        found, is_star = _columns_in(tree)
        if is_star or tree.get("error"):
            return names
        return [name for name in names if name.lower() in found]

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> FlowDatabase:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _define(self, name: str, function: Callable[..., Any], takes: list[Any], gives: str) -> None:
        self._connection.create_function(name, function, takes, gives, type=PythonUDFType.ARROW)


def closed_connection(threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """DuckDB in memory, with no way to files, the network or Python's names. Close it after use."""
    config: dict[str, Any] = {
        "TimeZone": "UTC",
        "enable_external_access": False,
        "python_enable_replacements": False,
        "autoinstall_known_extensions": False,
    }
    if threads is not None:
        config["threads"] = threads
    return duckdb.connect(":memory:", config=config)


def addresses_in_prefixes(addresses: pa.Array, prefixes: pa.Array) -> pa.Array:
    """For each row whether the address (text) is in the prefix (text). Null where either is null or no address."""
    from .addresses import parse_addresses, prefix_range

    values, _ = parse_addresses(addresses)
    if isinstance(prefixes, pa.ChunkedArray):
        prefixes = prefixes.combine_chunks()
    answer = np.zeros(len(values), np.bool_)
    words = np.frombuffer(values.buffers()[1], ">u8")[: 2 * len(values)]
    high, low = words[0::2], words[1::2]
    known = pc.and_(values.is_valid(), prefixes.is_valid())
    for prefix in pc.unique(prefixes).drop_null().to_pylist():
        first, last = (np.frombuffer(end, ">u8") for end in prefix_range(prefix))
        inside = ((high > first[0]) | ((high == first[0]) & (low >= first[1]))) & (
            (high < last[0]) | ((high == last[0]) & (low <= last[1]))
        )
        asked = pc.fill_null(pc.equal(prefixes, prefix), False).to_numpy(zero_copy_only=False)
        answer |= inside & asked
    return pc.if_else(known, pa.array(answer), pa.scalar(None, pa.bool_()))


def _columns_in(node: Any) -> tuple[set[str], bool]:
    """Names of columns in DuckDB's syntax tree, in lower case, and whether a star stands in it."""
    if isinstance(node, list):
        node = dict(enumerate(node))
    if not isinstance(node, dict):
        return set(), False
    found, is_star = set[str](), node.get("class") == "STAR"
    if node.get("class") == "COLUMN_REF":
        found = {name.lower() for name in node.get("column_names", [])}
    for child in node.values():
        below, has_star = _columns_in(child)
        found, is_star = found | below, is_star or has_star
    return found, is_star


def _rows(target: Flows | Lake | pa.Table | str | Path | Sequence[str | Path]) -> Any:
    """What DuckDB can scan: a table, or a dataset that is read in place."""
    if isinstance(target, Flows):
        return target.to_arrow()
    if isinstance(target, pa.Table):
        return target
    paths = [target] if isinstance(target, str | Path | Lake) else target
    lakes = [path if isinstance(path, Lake) else Lake(path) for path in paths]
    if len(lakes) == 1:
        return lakes[0].dataset()
    schema = pa.unify_schemas([lake.schema() for lake in lakes], promote_options="permissive")
    return ds.dataset([lake.dataset(schema) for lake in lakes])


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _query_error(error: duckdb.Error, what: str, names: Sequence[str], written: str) -> QueryError:
    """DuckDB's own words and a pointer to the place in what the user wrote, without its name for the kind of error."""
    inner = re.search(r"QueryError: (.*)(?:\s+hint: (.*))?", str(error))
    if inner:  # raised by one of our functions inside DuckDB
        return QueryError(f"{what}: {inner.group(1)}", hint=inner.group(2))
    message, _, place = str(error).partition("\n\nLINE ")
    message, _, candidates = message.partition("\n")
    message = re.sub(r"^[A-Z][A-Za-z ]+ Error: ", "", message).rstrip("!").strip()
    message = message[:1].lower() + message[1:]
    column = re.search(r'column "([^"]+)"', str(error))
    near = re.search(r'syntax error at or near "([^"]*)"', message)
    is_select = written.lstrip().lower().startswith(("select", "with", "from"))
    hint = None
    if "end" in (column and column.group(1).lower(), near and near.group(1).lower()):
        hint = f"when a flow ends is not a column: write `{END}`"
    elif column:
        hint = _nearest_columns_hint(column.group(1), [*dict.fromkeys([*names, *column_names()])])
    elif "does not exist" in message and "Table" in str(error):
        hint = f"the flows are in the view `{VIEW}`"
    elif "disabled by configuration" in message:
        hint = f"a query sees nothing but the view `{VIEW}`"
    elif candidates.startswith("Did you mean"):
        hint = candidates[:1].lower() + candidates[1:]
    elif near and what == "query" and not is_select:
        hint = f"begin with `select … from {VIEW}`"
    elif near and what == "where":
        hint = "write a condition such as `dst_port = 443 and bytes_rev > 1000`"
    pointed, shown = _pointed_at(place, written, column.group(1) if column else None)
    if near and not shown and what == "where":
        message = "the condition ends too early"
    return QueryError(f"{what}: {message}{pointed}", hint=hint)


def _pointed_at(place: str, written: str, name: str | None) -> tuple[str, bool]:
    """The line that the user wrote with a caret below the place, and whether DuckDB pointed into it."""
    lines = place.splitlines()
    number, _, shown = lines[0].partition(": ") if lines else ("", "", "")
    if len(lines) > 1 and shown.strip(". ") and shown.strip(".").strip() in written:
        pointer = lines[1][len(f"LINE {number}: ") :]
        return f"\n\n    {shown}\n    {pointer}".rstrip(), True
    for line in written.strip().splitlines():
        found = re.search(rf"\b{re.escape(name)}\b", line, re.IGNORECASE) if name else None
        if found:
            return f"\n\n    {line}\n    {' ' * found.start()}{'^' * len(found.group())}", True
    if place and written.strip():
        last = written.strip().splitlines()[-1]
        return f"\n\n    {last}\n    {' ' * len(last)}^", False
    return "", bool(not place)


def _nearest_columns_hint(name: str, known: list[str]) -> str:
    """One name where it is near; else those that share a word with it, else where all of them are told."""
    near = nearest_name_hint(name, known)
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if len(word) > 2]
    alike = [one for one in known if any(word in one for word in words)]
    if near and (not alike or any(f"`{one}`" in near for one in alike)):
        return near
    return f"columns like it: {', '.join(alike[:5])}" if alike else "`flowlore columns` lists the columns"


def _plain_integers(answer: pa.Table) -> pa.Table:
    """DuckDB's sums of integers are 128 bits wide; 64 where they fit, so that every tool can read them."""
    for index, field in enumerate(answer.schema):
        if pa.types.is_decimal(field.type) and field.type.scale == 0:
            try:
                answer = answer.set_column(index, field.name, answer.column(index).cast(pa.int64()))
            except pa.ArrowInvalid:
                continue
    return answer
