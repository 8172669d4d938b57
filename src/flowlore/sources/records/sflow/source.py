"""sFlow as a source: files of datagrams, and captures whose payloads are datagrams."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import pyarrow as pa

from ...identity import identity_of
from ...source import Account, Head, Input
from .settings import SflowSettings

LEAST_SHARE = 0.5  # of the UDP and TCP packets at the head of a capture that is read as export traffic
_MAGIC = b"\0\0\0\5\0\0\0"  # version 5, and the agent's address is of IPv4 or IPv6


class SflowSource:
    """sFlow v5. The time of a sample is that of the datagram's packet, so captures have times and raw files do not."""

    name: ClassVar[str] = "sflow"

    def __init__(self, inputs: Sequence[Input], settings: Any = None) -> None:
        from ..mappedrows import part_of

        self.account = Account()
        self._inputs = list(inputs)
        self._settings: SflowSettings = part_of(settings, "sflow", SflowSettings)
        self._identity = identity_of(settings)

    @classmethod
    def recognise(cls, head: Head) -> str | None:
        from ...packets.captures.recognise import recognise

        if recognise(head) is None:
            return "sFlow v5 datagrams" if describe_sflow(head.data) else None
        if _MAGIC not in head.data:
            return None
        from ..netflow.captures import share_of_exports

        share = share_of_exports(head.data, head.name, describe_sflow)
        return "sFlow exports in a capture" if share >= LEAST_SHARE else None

    def batches(self) -> Iterator[pa.RecordBatch]:
        from ...packets.captures.recognise import recognise
        from ..netflow.captures import SFLOW_VERSION, datagrams_from_capture
        from ..netflow.datagrams import Datagrams
        from .pipeline import SflowPipeline

        pipeline = SflowPipeline(self._settings, self.account, source=self.name, identity=self._identity)
        for item in self._inputs:
            with item.open() as stream:
                if recognise(item.head()) is None:
                    data = stream.read()
                    yield from pipeline.add(
                        Datagrams.join([data[start : start + length] for start, length in split_sflow(data)]), item.name
                    )
                else:
                    notes: Counter[str] = Counter()
                    for datagrams in datagrams_from_capture(stream, item.name, notes, (SFLOW_VERSION,)):
                        yield from pipeline.add(datagrams, item.name)
                    pipeline.note(notes)
        yield from pipeline.finish()


def describe_sflow(data: bytes) -> str | None:
    """`sFlow v5` where the bytes begin with a datagram whose samples fit."""
    return "sFlow v5" if _sflow_length(data, 0) > 0 else None


def split_sflow(data: bytes) -> Iterator[tuple[int, int]]:
    """(start, length) of each datagram back to back; the rest, where it is none, is the last piece."""
    start = 0
    while start < len(data):
        length = _sflow_length(data, start) or len(data) - start
        yield start, length
        start += length


def _sflow_length(data: bytes, start: int) -> int:
    """Bytes of the datagram at `start`, by walking over its samples; 0 where they do not fit."""
    if data[start : start + len(_MAGIC)] != _MAGIC or len(data) - start < 28:
        return 0
    kind = data[start + 7]
    if kind not in (1, 2):
        return 0
    at = start + 8 + (4 if kind == 1 else 16) + 12
    samples = int.from_bytes(data[at : at + 4], "big")
    at += 4
    if not 0 < samples <= 1024:
        return 0
    for _ in range(samples):
        if len(data) - at < 8:
            return 0
        at += 8 + int.from_bytes(data[at + 4 : at + 8], "big")
        if at > len(data):
            return 0
    return at - start
