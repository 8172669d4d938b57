"""Datagrams in, batches of the flow table out: decode, map, pair, and keep the account."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa

from ...identity import EVERYBODYS, Identity
from ...source import Account
from ..directed import DIRECTED, Paired, Texts, finish_batch
from ..pairing import Pairer
from .datagrams import Datagrams
from .decoder import Decoder
from .mapping import map_block
from .settings import NetflowSettings

MOST_TEXTS = 1 << 18
ROWS_PER_BATCH = 1 << 17


class NetflowPipeline:
    """One decoder and one pairer for everything that comes, from however many files or sockets."""

    def __init__(
        self,
        settings: NetflowSettings,
        account: Account,
        *,
        source: str = "netflow",
        identity: Identity = EVERYBODYS,
    ) -> None:
        self.account = account
        self.decoder = Decoder(settings)
        self._settings = settings
        self._source = source
        self._identity = identity
        self._texts = Texts()
        self._mapped_away: Counter[str] = Counter()
        self._notes: Counter[str] = Counter()
        self._captures: list[str] = []
        self._pairer = Pairer(
            pairing=settings.pairing,
            window_s=settings.pairing_window_s,
            wait_s=settings.pairing_wait_s,
            slice_gap_s=settings.slice_gap_s,
            most_waiting=settings.pairing_records,
            most_flows=settings.pairing_records,
        )

    def add(self, datagrams: Datagrams, capture: str) -> Iterator[pa.RecordBatch]:
        """Rows that are decided once these datagrams are known."""
        if not self._captures or self._captures[-1] != capture:
            self._captures.append(capture)
        step = self._settings.batch_datagrams
        for first in range(0, len(datagrams), step):
            records = []
            for block in self.decoder.blocks(datagrams.part(first, first + step)):
                mapped = map_block(block, self._texts, self._settings, self._mapped_away, self._notes)
                mapped["capture"] = len(self._captures) - 1
                records.append(mapped)
            together = records[0] if len(records) == 1 else np.concatenate([np.empty(0, DIRECTED), *records])
            self.account.records_in_flows += len(together)
            yield from self._rows(self._pairer.add(together))
            self._texts.forget_all_but(self._pairer.waiting, MOST_TEXTS)

    def advance(self, now_ns: int) -> Iterator[pa.RecordBatch]:
        """Time goes on though no datagram came."""
        yield from self._rows(self._pairer.advance(now_ns))

    def finish(self) -> Iterator[pa.RecordBatch]:
        """No more datagrams come."""
        self.decoder.finish()
        yield from self._rows(self._pairer.finish())

    def note(self, notes: Counter[str]) -> None:
        """Things worth knowing that happened before the decoder."""
        self._notes.update(notes)

    def _rows(self, paired: Paired) -> Iterator[pa.RecordBatch]:
        self._close_account()
        for first in range(0, len(paired), ROWS_PER_BATCH):
            part = replace(
                paired,
                forward=paired.forward[first : first + ROWS_PER_BATCH],
                reverse=paired.reverse[first : first + ROWS_PER_BATCH],
                parts=paired.parts[first : first + ROWS_PER_BATCH],
                first_ns=paired.first_ns[first : first + ROWS_PER_BATCH],
                ordinals=paired.ordinals[first : first + ROWS_PER_BATCH],
            )
            exporters = [session.name for session in self.decoder.sessions.values()]
            batch = finish_batch(
                part, self._texts, exporters, self._captures, source=self._source, identity=self._identity
            )
            self.account.flows += batch.num_rows
            yield batch

    def _close_account(self) -> None:
        account = self.account
        account.records = self.decoder.records
        account.skipped = +(self.decoder.skipped + self._mapped_away)
        account.notes = +(self.decoder.notes + self._notes + self._pairer.notes)
        for name, what in (("sequence-gap", "sequence_gaps"), ("sequence-restart", "sequence_restarts")):
            count = sum(int(getattr(session, what)) for session in self.decoder.sessions.values())
            if count:
                account.notes[name] = count
        account.details["exporters"] = self.decoder.exporters()
