"""A socket that exporters send to, as a source."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pyarrow as pa

from ...source import Account
from ..mappedrows import part_of
from ..sflow.settings import SflowSettings
from .collector import UdpCollector
from .settings import NetflowSettings


class ListeningSource:
    """NetFlow, IPFIX and sFlow from one UDP socket, until `stop` says so. No host is every address.

    `account.details["datagrams"]` counts what was received, before it is decoded.
    """

    name: ClassVar[str] = "netflow"

    def __init__(self, host: str, port: int, settings: Any, *, stop: Callable[[], bool]) -> None:
        self._collector = UdpCollector(
            host,
            port,
            part_of(settings, "netflow", NetflowSettings),
            part_of(settings, "sflow", SflowSettings),
        )
        self._stop = stop

    @property
    def account(self) -> Account:
        return self._collector.account

    @property
    def port(self) -> int:
        """The port listened on, also where 0 left the choice to the system."""
        return self._collector.port

    def batches(self) -> Iterator[pa.RecordBatch]:
        yield from self._collector.batches(stop=self._stop)
