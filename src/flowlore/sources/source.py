"""What a source is: how it is recognised, what it yields, and how it accounts for everything that it read."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, ClassVar, Protocol

import pyarrow as pa


@dataclass(slots=True)
class Account:
    """What came in and where it went. Nothing that was read is missing here.

    `packets == packets_in_flows + sum(skipped)` for captures, and the same with `records` for records.
    """

    packets: int = 0
    packets_in_flows: int = 0
    records: int = 0
    records_in_flows: int = 0
    flows: int = 0
    skipped: Counter[str] = field(default_factory=Counter)  # packets or records that are in no flow, by reason
    notes: Counter[str] = field(default_factory=Counter)  # things worth knowing about what *is* in flows
    recognised: dict[str, str] = field(default_factory=dict)  # input's name → what it was recognised as
    details: dict[str, Any] = field(default_factory=dict)  # what one source alone knows (exporters, interfaces …)


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of an input after decompression, enough to recognise it."""

    name: str
    data: bytes
    complete: bool  # True where `data` is the whole input


class Input(Protocol):
    """Something to read: a file, standard input. Opened once for each reading, already decompressed."""

    name: str

    def head(self) -> Head: ...

    def open(self) -> IO[bytes]: ...


class Source(Protocol):
    """Yields batches of the flow table in order of arrival, bounded in size. Bad bytes are counted, never raised."""

    name: ClassVar[str]
    account: Account

    @classmethod
    def recognise(cls, head: Head) -> str | None:
        """What `head` is, in words for a person ("Zeek conn.log, JSON"), or None where it is not ours."""

    def __init__(self, inputs: Sequence[Input], settings: Any) -> None:
        """`settings` is the whole `SourceSettings`; a source takes its own part."""

    def batches(self) -> Iterator[pa.RecordBatch]: ...
