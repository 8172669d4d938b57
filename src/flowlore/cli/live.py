"""Live readings: an interface, or a socket that exporters send to, until something says stop."""

from __future__ import annotations

import sys
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
EVERY_ADDRESS = "0.0.0.0"


@contextmanager
def live_scan(request: Request, settings: PipelineConfig) -> Iterator[LiveScan]:
    """Flows as they end. The first Ctrl-C, `--duration` and `--count` end the reading, and what was seen is kept."""
    with stop_on_signal() as stop:
        scan = LiveScan(request, settings, stop.is_set)
        try:
            scan.announce()
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
        self._source: Any = self._interface(settings) if request.interface else None
        self._collector: Any = _collector(request, settings) if request.listen is not None else None

    def announce(self) -> None:
        """Say on a terminal that datagrams are received from now on; an interface says so itself, once it is open."""
        if self._collector is not None:
            host = f"[{self._collector.host}]" if ":" in self._collector.host else self._collector.host
            self._say(f"listening on {host}:{self._collector.port}")

    def _say(self, begun: str) -> None:
        wanted = self._request.progress
        if sys.stderr.isatty() if wanted is None else wanted:
            ends = "Ctrl-C ends it" if self._request.duration_s is None else f"for {self._request.duration_s:g} s"
            print(f"{begun}; {ends}, and what came is kept", file=sys.stderr, flush=True)

    @property
    def account(self) -> Any:
        from .metering import LIVE_INTERFACE

        account = (self._source or self._collector).account
        if self._collector is not None:
            account.recognised = {f"udp {self._collector.host}:{self._collector.port}": "exports over UDP"}
        else:
            account.recognised = {self._request.interface: LIVE_INTERFACE}
        if self._filtered:
            account.notes["rows-filtered"] = self._filtered
        return account

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        from ..flows.schema import arrow_schema

        batches: Iterator[pa.RecordBatch] = self._batches()
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

    def _batches(self) -> Iterator[pa.RecordBatch]:
        if self._source is not None:
            yield from self._source.batches()
            return
        request = self._request
        yield from self._collector.batches(duration_s=request.duration_s, most_datagrams=request.count, stop=self._stop)

    def _interface(self, settings: PipelineConfig) -> Any:
        from ..sources.packets.source import LiveSource

        name = self._request.interface or ""
        return LiveSource(name, settings, stop=self._is_over, opened=lambda: self._say(f"listening on {name}"))

    def _is_over(self) -> bool:
        count = self._request.count
        return (
            self._stop()
            or (self._until is not None and time.monotonic() >= self._until)
            or (count is not None and self._source.account.packets >= count)
        )


def _collector(request: Request, settings: PipelineConfig) -> Any:
    host, port = address_of(request.listen or "")
    from ..sources.identity import identity_of
    from ..sources.records.netflow.collector import UdpCollector

    return UdpCollector(host or EVERY_ADDRESS, port, settings.netflow, settings.sflow, identity_of(settings))


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
            f"live: `{text}` is not HOST:PORT", hint="for example `--listen :2055` or `--listen [::1]:2055`"
        )
    return host.strip("[]"), int(port)
