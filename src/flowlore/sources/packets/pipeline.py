"""Chunks of frames → batches of the flow table: parse, meter, hand out; on several cores the next chunk is parsed
while the last one is metered."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pyarrow as pa

from ..source import Account
from .captures.chunk import Chunk
from .headers.frames import NOTES, new_fragment_table, parse_frames
from .layout import PACKET, REASONS, Bytes, Links, Records
from .meter.meter import Meter
from .meter.state import load_state, save_state
from .meter.tables import MAX_PACKETS
from .settings import MeterSettings, PacketSettings

FRAGMENTS_REMEMBERED = 8192
MOST_SHARDS = 16
FRAMES_AT_ONCE = 8192  # on one core: as many packets as stay in its cache


class PacketPipeline:
    """Owns a meter and everything before it. `account` is kept up to date after every chunk."""

    def __init__(
        self,
        packets: PacketSettings,
        meter: MeterSettings,
        account: Account,
        *,
        source: str,
        state: Path | None = None,
        last: bool = False,
    ) -> None:
        self.account = account
        self._settings = packets
        self._state = state
        self._is_last = last
        threads = packets.threads or len(os.sched_getaffinity(0))
        self._is_beside = threads > 1
        saved = load_state(state, meter, beside=self._is_beside) if state is not None and state.exists() else None
        shards = max(1, min(threads - 1, MOST_SHARDS))  # one thread reads, parses and makes batches
        self.meter = saved.meter if saved else Meter(meter, source=source, shards=shards, beside=self._is_beside)
        self._fragments = saved.fragments if saved else new_fragment_table(FRAGMENTS_REMEMBERED)
        self._already_metered = self.meter.packets_in_flows
        self._header_notes = np.zeros(len(NOTES), np.int64)
        self._verdicts = np.zeros(len(REASONS), np.int64)
        self._rings = [np.zeros(MAX_PACKETS, PACKET) for _ in range(2 if self._is_beside else 1)]
        self._turn = 0
        self._captures_of_state = len(self.meter.captures) if saved else 0

    def batches(self, chunks: Iterable[Chunk]) -> Iterator[pa.RecordBatch]:
        """Every batch, as flows end. Open ones go to the state file; without it, or in the last call, they end."""
        try:
            yield from self._overlapped(chunks) if self._is_beside else self._in_turn(chunks)
            if self._state is None or self._is_last:
                yield from self._counted(self.meter.finish())
                if self._state is not None:
                    self._state.unlink(missing_ok=True)
            else:
                yield from self._counted(self.meter.drain_finished())
                save_state(self._state, self.meter, self._fragments)
        finally:
            self._update_account()
            self.meter.close()

    def _in_turn(self, chunks: Iterable[Chunk]) -> Iterator[pa.RecordBatch]:
        for chunk in chunks:
            names = self._know_captures(chunk)
            for start in range(0, len(chunk.frames), FRAMES_AT_ONCE):
                packets = self._parse(chunk.data, chunk.frames[start : start + FRAMES_AT_ONCE])
                captures = names if len(names) == 1 else names[start : start + FRAMES_AT_ONCE]
                for first, stop, opening_ns, closing_ns in self.meter.pieces(packets["time_ns"]):
                    yield from self._counted(self.meter.advance(opening_ns))
                    piece = _part(captures, first, stop)
                    self.meter.feed(packets[first:stop], piece, chunk.data, closing_ns)
                    self.meter.settle([])
                    yield from self._counted(self.meter.hand_out())
            yield from self._after(chunk)

    def _overlapped(self, chunks: Iterable[Chunk]) -> Iterator[pa.RecordBatch]:
        """While the shards meter one chunk, this thread makes batches of what has ended, and parses the next chunk."""
        running: list[Future[None]] = []
        for chunk in chunks:
            names = self._know_captures(chunk)
            for start in range(0, max(len(chunk.frames), 1), MAX_PACKETS):
                packets = self._parse(chunk.data, chunk.frames[start : start + MAX_PACKETS])
                captures = names if len(names) == 1 else names[start : start + MAX_PACKETS]
                for first, stop, opening_ns, closing_ns in self.meter.pieces(packets["time_ns"]):
                    self.meter.settle(running)
                    yield from self._counted(self.meter.advance(opening_ns))
                    piece = _part(captures, first, stop)
                    running = self.meter.feed(packets[first:stop], piece, chunk.data, closing_ns)
                    yield from self._counted(self.meter.hand_out())
            if chunk.now_ns is not None:  # live: nothing may wait for the next chunk
                self.meter.settle(running)
                running = []
            yield from self._after(chunk)
        self.meter.settle(running)

    def _parse(self, data: Bytes, frames: Records) -> Records:
        packets = self._rings[self._turn][: len(frames)]
        self._turn = (self._turn + 1) % len(self._rings)
        parse_frames(
            data,
            frames,
            packets,
            self._fragments,
            self._header_notes,
            self._settings.max_nesting,
            self._settings.tunnels == "inner",
        )
        self._verdicts += np.bincount(packets["verdict"], minlength=len(REASONS))
        return packets

    def _after(self, chunk: Chunk) -> Iterator[pa.RecordBatch]:
        if chunk.now_ns is not None:
            yield from self._counted(self.meter.advance(chunk.now_ns))
            yield from self._counted(self.meter.drain_finished())
        self._update_account()

    def _counted(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            self.account.flows += batch.num_rows
            yield batch

    def _know_captures(self, chunk: Chunk) -> Links:
        """The capture's number for each frame, or one number for all, after those that a saved state knew."""
        if len(self.meter.captures) - self._captures_of_state != len(chunk.capture_names):
            self.meter.captures = self.meter.captures[: self._captures_of_state] + chunk.capture_names
        numbers = np.atleast_1d(np.asarray(chunk.frame_capture)).astype(np.int32)
        return numbers + np.int32(self._captures_of_state)

    def _update_account(self) -> None:
        account = self.account
        account.packets_in_flows = self.meter.packets_in_flows - self._already_metered
        skipped = {REASONS[code]: int(self._verdicts[code]) for code in np.flatnonzero(self._verdicts) if code}
        account.skipped = Counter(skipped)
        account.notes = Counter(
            {name: int(count) for name, count in zip(NOTES, self._header_notes, strict=True) if count}
        )
        account.notes.update(self.meter.notes())
        account.packets = int(self._verdicts.sum())
        account.details["open_flows"] = self.meter.open_flows


def _part(captures: Links, first: int, stop: int) -> Links:
    return captures if len(captures) == 1 else captures[first:stop]
