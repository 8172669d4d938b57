"""The way in: any paths → the flow table, each input read by the source that recognises its content."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..errors import OutputError, SettingError, UnrecognisedInput
from ..flows.table import Flows
from ..settings import settings_given
from . import SOURCES
from .inputs import PathLike, gather_inputs
from .metering import CountedInput
from .settings import SourceSettings
from .source import Account, Head, Input

PREFERENCE = ("netflow", "sflow")  # where two recognise one input (export traffic in a capture), these come first
READING_ORDER = ("packets", "netflow", "sflow")  # the rest follow by name


def read(
    paths: PathLike | Sequence[PathLike],
    *,
    settings: SourceSettings | Mapping[str, Any] | None = None,
    where: str | None = None,
    asn: str | Path | None = None,
    geo: str | Path | None = None,
    state: str | Path | None = None,
    last: bool = False,
) -> Flows:
    """All flows of all paths, in order of start. What was recognised and skipped is in `.account`."""
    running = scan(paths, settings=settings, where=where, asn=asn, geo=geo, state=state, last=last)
    batches = list(running)
    return Flows.from_batches(batches, running.account).sort()


def scan(
    paths: PathLike | Sequence[PathLike],
    *,
    settings: SourceSettings | Mapping[str, Any] | None = None,
    where: str | None = None,
    asn: str | Path | None = None,
    geo: str | Path | None = None,
    state: str | Path | None = None,
    last: bool = False,
) -> "Scan":
    """The same in bounded memory: iterate over the batches, in the order in which flows end.

    `settings` may be values by name, `{"meter.idle_timeout_s": 30}`. `where` is a DuckDB expression on one row. `asn`
    and `geo` are MMDB files that fill in AS numbers and countries.
    `state` is a file that holds the flows still open: it is taken up where it exists, and written at the end in place
    of ending them, so that a capture that is cut in two gives the same flows in two calls. In the `last` call they end
    as ever, and the file is removed.
    """
    settings = settings_given(SourceSettings, settings)
    state = None if state is None else Path(state)
    inputs = [CountedInput(item) for item in gather_inputs(paths)]
    asked = [paths] if isinstance(paths, str | os.PathLike) else paths
    chosen, passed_over = recognise_inputs(inputs, settings, named={os.fspath(path) for path in asked})
    if state is not None and set(chosen) != {"packets"}:
        raise SettingError("reading: a meter state goes with capture files only", hint="leave `--state` out")
    if state is not None and not state.parent.is_dir():
        raise OutputError(
            f"reading: the state `{state}` cannot be written: its folder does not exist", hint="make the folder first"
        )
    return Scan(chosen, passed_over, settings, where=where, asn=asn, geo=geo, state=state, last=last)


class Scan:
    """Iterates, once, over batches of the flow table. `account` is right after each batch, and whole at the end."""

    def __init__(
        self,
        chosen: "dict[str, list[Recognised]]",
        passed_over: dict[str, str],
        settings: SourceSettings,
        *,
        where: str | None,
        asn: str | Path | None,
        geo: str | Path | None,
        state: Path | None,
        last: bool,
    ) -> None:
        self.recognised = {item.input.name: item.words for items in chosen.values() for item in items}
        self._inputs = [item.input for items in chosen.values() for item in items]
        self._sources = [_open_source(name, items, settings, state, last) for name, items in chosen.items()]
        self.passed_over = passed_over
        self.needs_kernels = bool({"packets", *PREFERENCE} & set(chosen))  # whose first use compiles for long
        self._where = where
        self._asn = asn
        self._geo = geo
        self._filtered = 0

    @property
    def account(self) -> Account:
        """What was read so far and where it went, over all sources."""
        total = merged_account([source.account for source in self._sources])
        total.recognised = dict(self.recognised)
        if self.passed_over:
            total.notes["unrecognised-files"] = len(self.passed_over)
            total.details["unrecognised"] = dict(self.passed_over)
        if self._filtered:
            total.notes["rows-filtered"] = self._filtered
        return total

    @property
    def bytes_read(self) -> int:
        """Bytes taken from the inputs so far, as they lie on the disk."""
        return sum(item.bytes_read for item in self._inputs)

    @property
    def bytes_total(self) -> int | None:
        """Bytes to be taken in all, or None where an input has no known end."""
        sizes = [item.size_bytes for item in self._inputs]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        batches = (batch for source in self._sources for batch in source.batches())
        yield from self._filtered_batches(self._enriched(batches))

    def _enriched(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        if self._asn is None and self._geo is None:
            return batches
        from ..flows.enrich import Enricher

        enricher = Enricher(asn=self._asn, geo=self._geo)
        return (enricher(batch) for batch in batches)

    def _filtered_batches(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        if self._where is None:
            yield from batches
            return
        from ..flows.filter import RowFilter
        from ..flows.schema import arrow_schema

        with RowFilter(self._where, arrow_schema()) as keep:
            for batch in keep.over(batches):
                self._filtered = keep.filtered
                yield batch
            self._filtered = keep.filtered


class Recognised:
    """One input, and what it was recognised as."""

    def __init__(self, item: CountedInput, words: str) -> None:
        self.input = item
        self.words = words


def recognise_inputs(
    inputs: Sequence[CountedInput], settings: SourceSettings, *, named: set[str]
) -> tuple[dict[str, list[Recognised]], dict[str, str]]:
    """Inputs by the name of the source that reads them, and what nobody reads with what it looks like.

    That is an error for an input that was named; what a folder holds beside its records is passed over, and counted.
    """
    found: dict[str, list[Recognised]] = {}
    passed_over: dict[str, str] = {}
    for item in inputs:
        head = item.head()
        claims = _claims(head, settings)
        if not claims and settings.tables.map:
            claims = {"tables": f"a table, by the column map `{settings.tables.map}`"}
        if item.name not in named and len(inputs) > 1:
            looks = _foreign_parquet(item, head, settings) if set(claims) == {"tables"} else None
            if not claims or looks:
                passed_over[item.name] = looks or _what_it_looks_like(head.data)
                continue
        if not claims:
            raise UnrecognisedInput(
                f"reading: `{item.name}` is nothing that Flowlore reads ({_what_it_looks_like(head.data)})",
                hint="`flowlore plugins` lists the sources; for your own CSV or Parquet give a column map with "
                "`--set tables.map=FILE.toml`",
            )
        name = min(claims, key=lambda name: (name not in PREFERENCE, name))
        found.setdefault(name, []).append(Recognised(item, claims[name]))
    if not found:
        first = inputs[0].name
        raise UnrecognisedInput(
            f"reading: none of {len(inputs)} files is anything that Flowlore reads",
            hint=f"the first is `{first}` ({passed_over[first]}); `flowlore plugins` lists the sources",
        )
    order = [name for name in READING_ORDER if name in found]
    return {name: found[name] for name in [*order, *sorted(set(found) - set(order))]}, passed_over


def merged_account(accounts: Sequence[Account]) -> Account:
    """The sum of all accounts."""
    total = Account()
    for account in accounts:
        total.packets += account.packets
        total.packets_in_flows += account.packets_in_flows
        total.records += account.records
        total.records_in_flows += account.records_in_flows
        total.flows += account.flows
        total.skipped.update(account.skipped)
        total.notes.update(account.notes)
        for name, value in account.details.items():
            mine = total.details.get(name)
            if isinstance(mine, list) and isinstance(value, list):
                total.details[name] = mine + value
            elif isinstance(mine, dict) and isinstance(value, dict):
                total.details[name] = mine | value
            else:
                total.details[name] = value
    return total


def _open_source(name: str, items: list[Recognised], settings: SourceSettings, state: Path | None, last: bool) -> Any:
    inputs: list[Input] = [item.input for item in items]
    source = SOURCES.load(name)
    return source(inputs, settings, state=state, last=last) if state is not None else source(inputs, settings)


def _claims(head: Head, settings: SourceSettings) -> dict[str, str]:
    """Sources that want the input, and in which words. Of a capture only those are asked that read it as records."""
    claims: dict[str, str] = {}
    names = SOURCES.names()
    for name in sorted(names, key=lambda name: name != "packets"):
        if "packets" in claims and name not in PREFERENCE:
            continue
        words = SOURCES.load(name).recognise(head)
        if words:
            claims[name] = words
    return {name: words for name, words in claims.items() if _is_wanted(name, claims, settings)}


def _foreign_parquet(item: CountedInput, head: Head, settings: SourceSettings) -> str | None:
    """Every Parquet file begins alike: what it is says its end."""
    from .records.tables import PARQUET_MAGIC, why_not_parquet

    return why_not_parquet(item.item, settings.tables) if head.data.startswith(PARQUET_MAGIC) else None


def _is_wanted(name: str, claims: dict[str, str], settings: SourceSettings) -> bool:
    """Export traffic in a capture is read as records unless the settings say that it is traffic like any other."""
    if "packets" not in claims or name not in ("packets", *PREFERENCE):
        return True
    exported = settings.netflow.from_captures != "never" and any(other in claims for other in PREFERENCE)
    return (name == "packets") != exported


def _what_it_looks_like(data: bytes) -> str:
    if not data:
        return "it is empty"
    if data.startswith(b"%PDF"):
        return "it begins like a PDF"
    printable = sum(32 <= byte < 127 or byte in (9, 10, 13) for byte in data[:512])
    if printable > 0.95 * len(data[:512]):
        line = data[:200].decode("ascii", "replace").splitlines()[0]
        return f"text that begins with `{line[:60]}`"
    return f"bytes that begin with {data[:8].hex(' ')}"
