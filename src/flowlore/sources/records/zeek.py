"""Zeek: `conn.log`, with the names that `ssl`, `quic`, `dns`, `http`, `dhcp` and `ssh` logs give the connections."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import IO, Any, ClassVar

import polars as pl
import pyarrow as pa

from ..compressed import break_reason
from ..source import Account, Head, Input
from .columnmaps import SENSOR_COLUMNS, load_map
from .mappedrows import MappedRows, part_of
from .settings import ZeekSettings
from .zeeklogs import LogHead, read_head, read_log
from .zeeknames import NAME_LOGS, ConnectionNames

NO_CONNECTION = "no-connection"  # a line of another log whose connection is in none of the files


class ZeekSource:
    """Zeek logs. Each connection of `conn.log` is a flow; the other logs beside it name it."""

    name: ClassVar[str] = "zeek"

    def __init__(self, inputs: Sequence[Input], settings: Any = None) -> None:
        self.account = Account()
        self._inputs = list(inputs)
        self._all_settings = settings
        self._settings: ZeekSettings = part_of(settings, "zeek", ZeekSettings)
        self._map = replace(load_map("zeek-conn"), null_values=())  # the logs' own nulls are nulls already
        self._wanted = [
            *dict.fromkeys(
                name for rule in self._map.columns.values() for name in rule.all_spellings if name != "capture"
            ),
            *SENSOR_COLUMNS["zeek"],
            "uid",
        ]

    @classmethod
    def recognise(cls, head: Head) -> str | None:
        found = read_head(head.data)
        return None if found is None else _in_words(found)

    def batches(self) -> Iterator[pa.RecordBatch]:
        names = ConnectionNames()
        for folder in self._folders():
            for item, head in folder:
                if head is not None and head.kind in NAME_LOGS and self._settings.names:
                    self._read_names(item, head, names)
            for item, head in folder:
                if head is not None and head.kind == "conn":
                    yield from self._read_connections(item, head, names)
            names.forget_used()
        if left := names.unused_lines:
            self.account.skipped[NO_CONNECTION] += left

    def _folders(self) -> list[list[tuple[Input, LogHead | None]]]:
        """Inputs with what they are, those of a folder together."""
        folders: dict[str, list[tuple[Input, LogHead | None]]] = {}
        for item in self._inputs:
            head = read_head(item.head().data)
            if head is not None:
                self.account.recognised[item.name] = _in_words(head)
            if head is None or head.kind not in ("conn", *NAME_LOGS):
                self.account.details.setdefault("zeek", {}).setdefault("not_read", []).append(item.name)
                self.account.notes["logs-without-flows"] += 1
            folders.setdefault(str(PurePath(item.name).parent), []).append((item, head))
        return list(folders.values())

    def _read_names(self, item: Input, head: LogHead, names: ConnectionNames) -> None:
        left_out: Counter[str] = Counter()
        with item.open() as stream:
            for frame in read_log(stream, head.kind, head.form, NAME_LOGS[head.kind].fields, left_out):
                self.account.records += frame.height
                if without_uid := names.add(head.kind, frame):
                    self.account.skipped[NO_CONNECTION] += without_uid
            self._finish(stream, left_out)

    def _read_connections(self, item: Input, head: LogHead, names: ConnectionNames) -> Iterator[pa.RecordBatch]:
        rows = MappedRows(
            self._map, self._wanted, self.account, source=self.name, capture=item.name, settings=self._all_settings
        )
        self.account.details.pop("tables", None)

        def complete(frame: pl.DataFrame, columns: dict[str, Any]) -> None:
            self.account.records_in_flows += names.complete(frame["uid"], columns)

        left_out: Counter[str] = Counter()
        with item.open() as stream:
            for frame in read_log(stream, "conn", head.form, self._wanted, left_out):
                made = rows.batch(frame, complete)
                if made is not None:
                    yield made
            self._finish(stream, left_out)

    def _finish(self, stream: IO[bytes], left_out: Counter[str]) -> None:
        """Account for lines that could not be read, and for a compressed stream that ended too early."""
        self.account.records += left_out.total()
        self.account.skipped.update(left_out)
        if reason := break_reason(stream):
            self.account.notes[reason] += 1


def _in_words(head: LogHead) -> str:
    words = f"Zeek {head.kind}.log, {head.form}, {len(head.fields)} fields"
    return words if head.kind in ("conn", *NAME_LOGS) else f"{words} (holds no flows)"
