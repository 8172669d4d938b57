"""Exports of routers and probes as a source: files of datagrams, and captures whose payloads are datagrams."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import IO, Any, ClassVar

import pyarrow as pa

from ...identity import identity_of
from ...source import Account, Head, Input
from .datagrams import describe_datagram
from .settings import NetflowSettings

FILE_BYTES = 1 << 26  # of a file of datagrams taken at once
LEAST_SHARE = 0.5  # of the UDP and TCP packets at the head of a capture that is read as export traffic


class NetflowSource:
    """NetFlow v5, v7, v9 and IPFIX. Templates and flows go on from one input to the next, in the order given.

    In a file of raw datagrams nobody says who the exporter was: its name is empty, and all such files are of one.
    """

    name: ClassVar[str] = "netflow"

    def __init__(self, inputs: Sequence[Input], settings: Any = None) -> None:
        from ..mappedrows import part_of

        self.account = Account()
        self._inputs = list(inputs)
        self._settings: NetflowSettings = part_of(settings, "netflow", NetflowSettings)
        self._identity = identity_of(settings)

    @classmethod
    def recognise(cls, head: Head) -> str | None:
        from ...packets.captures.recognise import recognise

        if recognise(head) is None:
            words = describe_datagram(head.data, complete=head.complete)
            return f"{words} datagrams" if words else None
        if not _may_hold_exports(head.data):
            return None
        from .captures import share_of_exports

        share = share_of_exports(head.data, head.name, describe_datagram)
        return "NetFlow or IPFIX exports in a capture" if share >= LEAST_SHARE else None

    def batches(self) -> Iterator[pa.RecordBatch]:
        from .pipeline import NetflowPipeline

        pipeline = NetflowPipeline(self._settings, self.account, source=self.name, identity=self._identity)
        for item in self._inputs:
            from ...packets.captures.recognise import recognise
            from .captures import datagrams_from_capture

            with item.open() as stream:
                if recognise(item.head()) is None:
                    for datagrams in datagrams_of_file(stream):
                        yield from pipeline.add(datagrams, item.name)
                else:
                    notes: Counter[str] = Counter()
                    for datagrams in datagrams_from_capture(stream, item.name, notes, (5, 7, 9, 10)):
                        yield from pipeline.add(datagrams, item.name)
                    pipeline.note(notes)
        yield from pipeline.finish()


def datagrams_of_file(stream: IO[bytes]) -> "Iterator[Any]":
    """Datagrams back to back, in pieces of bounded size."""
    from .datagrams import LARGEST_DATAGRAM, Datagrams, split_datagrams

    rest = b""
    while piece := stream.read(FILE_BYTES):
        data = rest + piece
        places = list(split_datagrams(data))
        # The last ones may be cut by the end of the piece, unless that is the end of the file.
        safe = (
            [place for place in places if place[0] + LARGEST_DATAGRAM < len(data)]
            if len(piece) == FILE_BYTES
            else places
        )
        end = safe[-1][0] + safe[-1][1] if safe else 0
        rest = data[end:]
        if safe:
            yield Datagrams.join([data[start : start + length] for start, length in safe])
    if rest:
        yield Datagrams.join([rest[start : start + length] for start, length in split_datagrams(rest)])


def _may_hold_exports(data: bytes) -> bool:
    """Quick refusal of captures in which no version number of an export stands anywhere."""
    return any(version in data for version in (b"\0\x05\0", b"\0\x07\0", b"\0\x09\0", b"\0\x0a"))
