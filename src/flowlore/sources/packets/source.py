"""Capture files and live interfaces as sources."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from ..settings import SourceSettings
from ..source import Account, Head, Input


class PacketSource:
    """Capture files (pcap, pcapng), in order of time; flows go on across files."""

    name: ClassVar[str] = "packets"

    @classmethod
    def recognise(cls, head: Head) -> str | None:
        from .captures.recognise import recognise

        return recognise(head)

    def __init__(
        self, inputs: Sequence[Input], settings: SourceSettings, *, state: Path | None = None, last: bool = False
    ) -> None:
        self.account = Account()
        self._inputs = inputs
        self._settings = settings
        self._state = state
        self._is_last = last

    def batches(self) -> Iterator[pa.RecordBatch]:
        from .captures.merge import merge_captures
        from .pipeline import PacketPipeline

        captures = merge_captures(self._inputs, read_ahead=False)
        pipeline = PacketPipeline(
            self._settings.packets,
            self._settings.meter,
            self.account,
            source=self.name,
            state=self._state,
            last=self._is_last,
        )
        yield from pipeline.batches(captures)
        self.account.packets += captures.skipped.total()
        self.account.skipped.update(captures.skipped)
        self.account.notes.update(captures.notes)
        self.account.details["interfaces"] = {
            name: [asdict(interface) for interface in interfaces] for name, interfaces in captures.interfaces.items()
        }


class LiveSource:
    """One interface, until `stop` says so. `opened` is called once packets are kept."""

    name: ClassVar[str] = "packets"

    def __init__(
        self,
        interface: str,
        settings: SourceSettings,
        *,
        stop: Callable[[], bool],
        opened: Callable[[], None] = lambda: None,
    ) -> None:
        self.account = Account()
        self._interface = interface
        self._settings = settings
        self._stop = stop
        self._opened = opened

    def batches(self) -> Iterator[pa.RecordBatch]:
        from .live import LiveCapture
        from .pipeline import PacketPipeline

        capture = LiveCapture(self._interface, self._settings.packets, self._stop)
        self._opened()
        pipeline = PacketPipeline(self._settings.packets, self._settings.meter, self.account, source=self.name)
        yield from pipeline.batches(capture)
        self.account.notes.update(capture.notes)
