"""Live readings: an interface, or a socket that exporters send to, until something says stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .stopping import stop_on_signal

if TYPE_CHECKING:
    import pyarrow as pa

    from ..config import PipelineConfig
    from .metering import Request

DEFAULT_PORT = 2055


@contextmanager
def live_scan(request: Request, settings: PipelineConfig) -> Iterator[LiveScan]:
    """Flows as they end. The first Ctrl-C, `--duration` and `--count` end the reading, and what was seen is kept."""
    with stop_on_signal() as stop:
        scan = LiveScan(request, settings, stop.is_set)
        try:
            yield scan
        finally:
            stop.set()


class LiveScan:
    """Batches of one live source, enriched and filtered as files are."""

    def __init__(self, request: Request, settings: PipelineConfig, stop: Callable[[], bool]) -> None:
        self._request = request
        self._stop = stop
        self._until = None if request.duration_s is None else time.monotonic() + request.duration_s
        self._filtered = 0
        if request.interface is not None:
            from ..sources.packets.source import LiveSource

            self._source: Any = LiveSource(request.interface, settings, stop=self._is_over)
        else:
            host, port = address_of(request.listen or "")
            from ..sources.records.netflow.live import ListeningSource

            self._source = ListeningSource(host, port, settings, stop=self._is_over)

    @property
    def account(self) -> Any:
        account = self._source.account
        if self._filtered:
            account.notes["rows-filtered"] = self._filtered
        return account

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        from ..flows.schema import arrow_schema

        batches: Iterator[pa.RecordBatch] = self._source.batches()
        if self._request.asn is not None or self._request.geo is not None:
            from ..flows.enrich import Enricher

            enricher = Enricher(asn=self._request.asn, geo=self._request.geo)
            batches = (enricher(batch) for batch in batches)
        if self._request.where is None:
            yield from batches
            return
        from ..flows.filter import RowFilter

        with RowFilter(self._request.where, arrow_schema()) as keep:
            yield from keep.over(batches)
            self._filtered = keep.filtered

    def _is_over(self) -> bool:
        account, count = self._source.account, self._request.count
        return (
            self._stop()
            or (self._until is not None and time.monotonic() >= self._until)
            or (count is not None and max(account.packets, account.details.get("datagrams", 0)) >= count)
        )


def address_of(text: str) -> tuple[str, int]:
    """HOST:PORT, :PORT, PORT or HOST; without a host every address, without a port 2055.

    >>> address_of(":9995"), address_of("6343"), address_of("[::1]:2055"), address_of("127.0.0.1")
    (('', 9995), ('', 6343), ('::1', 2055), ('127.0.0.1', 2055))
    """
    host, colon, port = text.rpartition(":")
    if text.isdecimal():
        host, port = "", text
    elif not colon or text.endswith("]") or (host.count(":") and not host.endswith("]")):
        host, port = text, str(DEFAULT_PORT)
    if not port.isdecimal() or not 0 <= int(port) <= 65_535:
        raise InputError(
            f"flows: `{text}` is not HOST:PORT", hint="for example `--listen :2055` or `--listen [::1]:2055`"
        )
    return host.strip("[]"), int(port)
