"""What every source must keep, as small checks that run over ours and over those of plug-ins.

A plug-in proves itself in its own tests:

    from flowlore.sources.checks import source_checks

    @pytest.mark.parametrize("check", source_checks(), ids=lambda check: check.__name__)
    def test_my_source(check):
        check(MySource, [Path("example.log").read_bytes()])
"""

import io
import random
import re
from collections.abc import Callable, Sequence
from typing import IO, Any

import pyarrow as pa

from ..errors import InputError
from ..flows.schema import arrow_schema
from .settings import SourceSettings
from .source import Account, Head, Input, Source

SourceCheck = Callable[[type[Source], Sequence[bytes]], None]

NAME = r"[a-z][a-z0-9]*(-[a-z0-9]+)*"
HEAD_BYTES = 64 * 1024
CUTS = 48
DAMAGES = 48
ROWS_AT_MOST = 1 << 20


class MemoryInput:
    """Bytes in memory as an input."""

    def __init__(self, data: bytes, name: str = "memory") -> None:
        self.name = name
        self._data = data

    def head(self) -> Head:
        return Head(name=self.name, data=self._data[:HEAD_BYTES], complete=len(self._data) <= HEAD_BYTES)

    def open(self) -> IO[bytes]:
        return io.BytesIO(self._data)


def source_checks() -> list[SourceCheck]:
    """Every check. Each takes a source class and examples of its input, and fails by `AssertionError`."""
    return [
        check_its_name_has_the_form_of_a_registry_name,
        check_it_recognises_its_examples,
        check_it_refuses_what_is_not_its_own,
        check_batches_have_the_schema_and_are_bounded,
        check_everything_read_is_accounted_for,
        check_reading_again_gives_equal_flows,
        check_examples_read_together_lose_nothing,
        check_a_cut_input_never_raises,
        check_a_damaged_input_never_raises,
    ]


def check_its_name_has_the_form_of_a_registry_name(source: type[Source], examples: Sequence[bytes]) -> None:
    assert re.fullmatch(NAME, source.name), f"`{source.name}`: lower case and hyphens"


def check_it_recognises_its_examples(source: type[Source], examples: Sequence[bytes]) -> None:
    assert examples, "give at least one example"
    for example in examples:
        words = source.recognise(MemoryInput(example).head())
        assert isinstance(words, str) and words, f"{source.name} does not recognise its own example"


def check_it_refuses_what_is_not_its_own(source: type[Source], examples: Sequence[bytes]) -> None:
    chance = random.Random(5)
    strange = [b"", b"\0", bytes(4096), b"\xff" * 4096, b"hello\n", b"<!doctype html><html></html>", b"%PDF-1.7\n"]
    strange += [chance.randbytes(size) for size in (1, 2, 3, 4, 8, 24, 64, 1500, 4096) for _ in range(8)]
    for data in strange:
        words = source.recognise(MemoryInput(data).head())
        assert words is None, f"{source.name} takes {data[:16]!r}… ({len(data)} bytes) for {words}"


def check_batches_have_the_schema_and_are_bounded(source: type[Source], examples: Sequence[bytes]) -> None:
    for example in examples:
        for batch in _read(source, [example])[0]:
            assert batch.schema.equals(arrow_schema()), f"{source.name} gives another schema"
            assert batch.num_rows <= ROWS_AT_MOST, f"{source.name} gives a batch of {batch.num_rows:,} rows"
            batch.validate(full=True)
            for name in batch["source"].unique().to_pylist():
                assert name and re.fullmatch(NAME, name), f"{source.name} writes `source` {name!r}"


def check_everything_read_is_accounted_for(source: type[Source], examples: Sequence[bytes]) -> None:
    for example in examples:
        batches, account = _read(source, [example])
        _assert_adds_up(source, batches, account)
        assert account.packets + account.records > 0, f"{source.name} counts neither packets nor records"


def check_reading_again_gives_equal_flows(source: type[Source], examples: Sequence[bytes]) -> None:
    for example in examples:
        first, again = (pa.Table.from_batches(_read(source, [example])[0], arrow_schema()) for _ in range(2))
        order = [(name, "ascending") for name in ("start", "flow_id", "part")]
        assert first.sort_by(order).equals(again.sort_by(order)), f"{source.name} gives other flows the second time"


def check_examples_read_together_lose_nothing(source: type[Source], examples: Sequence[bytes]) -> None:
    batches, together = _read(source, list(examples))
    _assert_adds_up(source, batches, together)
    alone = [_read(source, [example])[1] for example in examples]
    assert together.packets == sum(account.packets for account in alone)
    assert together.records == sum(account.records for account in alone)


def check_a_cut_input_never_raises(source: type[Source], examples: Sequence[bytes]) -> None:
    for example in examples:
        for place in range(CUTS):
            _try(source, example[: len(example) * place // CUTS], f"cut to {place}/{CUTS}")


def check_a_damaged_input_never_raises(source: type[Source], examples: Sequence[bytes]) -> None:
    chance = random.Random(7)
    for example in examples:
        for turn in range(DAMAGES):
            damaged = bytearray(example)
            for _ in range(1 + turn % 16):
                damaged[chance.randrange(len(damaged))] = chance.choice((0, 0xFF, chance.randrange(256)))
            _try(source, bytes(damaged), f"damage {turn}")


def _try(source: type[Source], data: bytes, what: str) -> None:
    """Read what is still recognised. What can be read is, and accounted for; a file that cannot be opened at all
    (Parquet without its end) may be an `InputError`, and nothing else is ever raised."""
    if source.recognise(MemoryInput(data).head()) is None:
        return
    try:
        batches, account = _read(source, [data])
    except InputError:
        return
    except Exception as error:
        raise AssertionError(f"{source.name} raises on bytes ({what}): {error!r}") from error
    _assert_adds_up(source, batches, account)


def _read(source: type[Source], examples: Sequence[bytes]) -> tuple[list[pa.RecordBatch], Account]:
    inputs: list[Input] = [MemoryInput(data, f"memory-{place}") for place, data in enumerate(examples)]
    reader: Any = source(inputs, SourceSettings())
    return list(reader.batches()), reader.account


def _assert_adds_up(source: type[Source], batches: Sequence[pa.RecordBatch], account: Account) -> None:
    read = account.packets + account.records
    placed = account.packets_in_flows + account.records_in_flows + sum(account.skipped.values())
    assert read == placed, f"{source.name} read {read:,} and accounts for {placed:,}: {account}"
    rows = sum(batch.num_rows for batch in batches)
    assert account.flows == rows, f"{source.name} counts {account.flows:,} flows and gave {rows:,} rows"
