"""Exports as they come over UDP: one socket for NetFlow, IPFIX and sFlow, told apart by their version."""

import ipaddress
import queue
import select
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ....flows.compiled import borrowing
from ...identity import EVERYBODYS, Identity
from ...source import Account
from ..sflow.pipeline import SflowPipeline
from ..sflow.settings import SflowSettings
from .datagrams import Datagrams
from .pipeline import NetflowPipeline
from .receiving import LEAST_OVERHEAD_BYTES, SLOT_BYTES, DatagramSocket
from .settings import NetflowSettings

LOOPBACK = "127.0.0.1"
MOST_EXPORTERS = 1 << 16  # told apart by their address; senders may be made up
_QUEUED_BATCHES = 16
_POLL_S = 0.05


class UdpCollector:
    """Listens from the moment it is made. A thread receives, so that decoding does not make the system drop.

    `batches` ends after `duration_s`, after `most_datagrams`, or once `stop()` is true. What waits in the socket by
    then is still read, and what waits to be decided is handed out.
    """

    def __init__(
        self,
        host: str = LOOPBACK,
        port: int = 2055,
        settings: NetflowSettings | None = None,
        sflow_settings: SflowSettings | None = None,
        identity: Identity = EVERYBODYS,
    ) -> None:
        self._settings = settings or NetflowSettings()
        self._socket = DatagramSocket(host, port, self._settings.receive_buffer_bytes)
        self.host, self.port = self._socket.host, self._socket.port
        self._records, self._samples = Account(), Account()
        self._netflow = NetflowPipeline(self._settings, self._records, identity=identity)
        self._sflow = SflowPipeline(sflow_settings or SflowSettings(), self._samples, identity=identity)
        self._queue: queue.Queue[Datagrams | None] = queue.Queue(_QUEUED_BATCHES)
        self._names: dict[tuple[int, int], int] = {}
        self._exporter_names = [""]  # those beyond the most have no name
        self._received = 0
        self._dropped = 0
        self._unnamed = 0  # datagrams of exporters beyond the most
        self._failure: BaseException | None = None
        self.account = Account()  # both protocols together; the thread that receives writes only `datagrams`
        self.account.details["datagrams"] = 0

    def batches(
        self,
        *,
        duration_s: float | None = None,
        most_datagrams: int | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[pa.RecordBatch]:
        """Batches of the flow table as flows are decided."""
        ended = threading.Event()
        end = None if duration_s is None else time.monotonic() + duration_s

        def is_enough() -> bool:
            return ended.is_set() or (most_datagrams is not None and self._received >= most_datagrams)

        def is_over() -> bool:
            return is_enough() or stop() or (end is not None and time.monotonic() >= end)

        receiver = threading.Thread(target=self._receive, args=(is_over, is_enough), name="flowlore-udp", daemon=True)
        receiver.start()
        try:
            while (datagrams := self._queue.get()) is not None:
                yield from self._counted(self._decode(datagrams))
            if self._failure is not None:
                raise self._failure
            for pipeline in (self._netflow, self._sflow):
                yield from self._counted(pipeline.finish())
        finally:
            ended.set()
            while receiver.is_alive():
                self._drain()
                receiver.join(_POLL_S)
            self._dropped = self._socket.dropped()
            self._socket.close()
            self._close_account()

    def _counted(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            self._close_account()
            yield batch
        self._close_account()

    def _close_account(self) -> None:
        """Bring the account up to date; what the system dropped was never a record, and is a note."""
        total, accounts = self.account, (self._records, self._samples)
        total.records = sum(one.records for one in accounts)
        total.records_in_flows = sum(one.records_in_flows for one in accounts)
        total.flows = sum(one.flows for one in accounts)
        total.skipped = sum((one.skipped for one in accounts), Counter())
        own = Counter({"dropped-by-kernel": self._dropped, "too-many-exporters": self._unnamed})
        total.notes = sum((one.notes for one in accounts), own)
        total.details["exporters"] = [item for one in accounts for item in one.details.get("exporters", ())]

    def _decode(self, datagrams: Datagrams) -> Iterator[pa.RecordBatch]:
        name = f"udp {self.host}:{self.port}"
        if not len(datagrams):
            now_ns = time.time_ns()
            for pipeline in (self._netflow, self._sflow):
                yield from pipeline.advance(now_ns)
            return
        is_sflow = _first_words(datagrams.buffer, datagrams.starts, datagrams.lengths) == 5
        if is_sflow.any():
            yield from self._sflow.add(_chosen(datagrams, is_sflow), name)
        if not is_sflow.all():
            yield from self._netflow.add(_chosen(datagrams, ~is_sflow) if is_sflow.any() else datagrams, name)

    def _receive(self, is_over: Callable[[], bool], is_enough: Callable[[], bool]) -> None:
        """The receiving thread. However it ends, who waits for datagrams hears of it."""
        try:
            self._receive_until(is_over, is_enough)
        except BaseException as error:
            self._failure = error
        finally:
            self._queue.put(None)

    def _receive_until(self, is_over: Callable[[], bool], is_enough: Callable[[], bool]) -> None:
        """Batches by number of datagrams, or by time when they are few.

        Once it is over, what waits is taken too, unless it is enough: no more bytes than the socket can have held, so
        that exporters which go on sending do not keep it from ending.
        """
        most = self._settings.batch_datagrams
        poll = select.poll()
        poll.register(self._socket.socket, select.POLLIN)
        batch = _GrowingBatch()
        since = time.monotonic()
        left_bytes: int | None = None  # to take at most, once it is over
        while not is_enough():
            if left_bytes is None and is_over():
                left_bytes = self._socket.buffer_bytes()
            count = self._socket.receive()
            if count:
                self._received += count
                self.account.details["datagrams"] = self._received
                batch.add(self._socket, count, self._exporters_of(count), time.time_ns())
            if left_bytes is not None:
                left_bytes -= int(self._socket.lengths[:count].sum()) + count * LEAST_OVERHEAD_BYTES
                if not count or left_bytes <= 0:
                    break
            elif not count:
                poll.poll(_POLL_S * 1000)
            now = time.monotonic()
            if len(batch) >= most or now - since >= self._settings.batch_wait_s:
                self._queue.put(batch.take(self._exporter_names))
                since = now
        self._dropped = self._socket.dropped()
        if len(batch):
            self._queue.put(batch.take(self._exporter_names))

    def _exporters_of(self, count: int) -> npt.NDArray[np.int32]:
        addresses = self._socket.addresses(count)
        distinct, inverse = np.unique(addresses, axis=0, return_inverse=True)
        places = np.empty(len(distinct), np.int32)
        for row, (high, low) in enumerate(distinct.tolist()):
            key = (high, low)
            if key not in self._names and len(self._names) < MOST_EXPORTERS:
                self._names[key] = len(self._exporter_names)
                address = ipaddress.IPv6Address(high << 64 | low) if high or low >> 32 else ipaddress.IPv4Address(low)
                mapped = getattr(address, "ipv4_mapped", None)
                self._exporter_names.append(str(mapped or address))
            places[row] = self._names.get(key, 0)
        found = places[inverse.reshape(-1)]
        self._unnamed += int((found == 0).sum())
        return found

    def _drain(self) -> None:
        try:
            while True:
                self._queue.get_nowait()
        except queue.Empty:
            return


class _GrowingBatch:
    """Datagrams copied out of the socket's slots, back to back."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._parts: list[npt.NDArray[np.uint8]] = []
        self._lengths: list[npt.NDArray[np.int64]] = []
        self._exporters: list[npt.NDArray[np.int32]] = []
        self._times: list[npt.NDArray[np.int64]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, source: DatagramSocket, count: int, exporters: npt.NDArray[np.int32], now_ns: int) -> None:
        lengths = source.lengths[:count].copy()
        packed = np.empty(int(lengths.sum()), np.uint8)
        _pack(source.slots.reshape(-1), SLOT_BYTES, lengths, packed)
        self._parts.append(packed)
        self._lengths.append(lengths)
        self._exporters.append(exporters)
        self._times.append(np.full(count, now_ns, np.int64))
        self._count += count

    def take(self, exporter_names: list[str]) -> Datagrams:
        """Everything so far; the batch is empty again."""
        none = np.zeros(0, np.int64)
        lengths = np.concatenate([none, *self._lengths])
        starts = np.zeros(len(lengths), np.int64)
        np.cumsum(lengths[:-1], out=starts[1:])
        buffer = np.concatenate([np.zeros(0, np.uint8), *self._parts])
        buffer.flags.writeable = False
        exporters = np.concatenate([none.astype(np.int32), *self._exporters])
        times = np.concatenate([none, *self._times])
        self._clear()
        return Datagrams(buffer, starts, lengths, exporters, times, exporter_names)


def _chosen(datagrams: Datagrams, keep: npt.NDArray[np.bool_]) -> Datagrams:
    return Datagrams(
        datagrams.buffer,
        datagrams.starts[keep],
        datagrams.lengths[keep],
        datagrams.exporters[keep],
        datagrams.received_ns[keep],
        datagrams.exporter_names,
    )


def _first_words(
    buffer: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """The first four bytes of each datagram as a number; -1 for shorter ones."""
    words = np.full(len(starts), -1, np.int64)
    enough = lengths >= 4
    at = starts[enough]
    words[enough] = sum(buffer[at + step].astype(np.int64) << (24 - 8 * step) for step in range(4))
    return words


@borrowing
def _pack(
    slots: npt.NDArray[np.uint8], slot_bytes: int, lengths: npt.NDArray[np.int64], packed: npt.NDArray[np.uint8]
) -> None:
    done = 0
    for slot in range(lengths.shape[0]):
        length = lengths[slot]
        for byte in range(length):
            packed[done + byte] = slots[slot * slot_bytes + byte]
        done += length
