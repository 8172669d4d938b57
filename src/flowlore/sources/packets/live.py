"""Packets from an interface of this machine, through the kernel's memory-mapped ring (AF_PACKET, TPACKET_V3).

The ring itself is the buffer of the chunks: nothing is copied. A block goes back to the kernel when its chunk is no
longer valid. Frames are as they were on the wire: the VLAN tag that the kernel takes out is put back.
"""

import contextlib
import errno
import fcntl
import mmap
import select
import socket
import struct
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from ...errors import InputError, MissingDependency
from .captures.chunk import Chunk, Interface, Ring
from .captures.reader import RING_SLOTS
from .layout import FRAME, Bytes
from .live_block import LIVE_NOTES, read_status, walk_block, write_status
from .settings import PacketSettings

ANY_INTERFACE = "any"

_RETIRE_AFTER_MS = 50  # a block with few packets is handed over after this
_LOOK_AGAIN_MS = 5  # poll() cannot wait for packets here: blocks that are lent to chunks look to it like news
_SILENCE_S = 0.25  # without packets for this long, a chunk says that time went on
_CLOCK_MARGIN_NS = 4 * _RETIRE_AFTER_MS * 1_000_000  # packets up to this old may still be on their way
_BLOCK_BYTES = 1 << 18
_SMALLEST_RECORD = 96  # bytes of a block that one frame takes at least
_ETHERNET, _RAW_IP, _COOKED = 1, 101, 113
_LINK_OF_HARDWARE = {1: _ETHERNET, 772: _ETHERNET, 65534: _RAW_IP, 801: 105, 802: 119, 803: 127}
_FRAME_OF_HARDWARE_LOOPBACK = 772

# linux/if_packet.h, linux/sockios.h
_SOL_PACKET = 263
_ADD_MEMBERSHIP, _RX_RING, _STATISTICS, _VERSION, _RESERVE = 1, 5, 6, 10, 12
_TPACKET_V3 = 2
_PROMISCUOUS = 1
_ALL_PROTOCOLS = 0x0003
_GET_HARDWARE, _GET_FLAGS = 0x8927, 0x8913
_IS_UP = 1
_VLAN_TAG_BYTES = 4
_SO_ATTACH_FILTER = 26
_RETURN_CONSTANT = 0x06  # BPF_RET | BPF_K


class LiveCapture:
    """Iterates over chunks as packets arrive, until `stop()` is true, or a number of packets or seconds is reached.

    A chunk without frames comes when the link is silent: its `now_ns` lets time go on. A chunk is overwritten when
    three more were read. `notes` counts what the kernel dropped for want of room (`kernel-drops`).
    """

    def __init__(
        self,
        interface: str,
        settings: PacketSettings,
        stop: Callable[[], bool],
        *,
        snaplen: int | None = None,
        promiscuous: bool = True,
        most_packets: int | None = None,
        duration_s: float | None = None,
    ) -> None:
        self.name = interface
        self.skipped: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.frames_read = 0
        self._stop = stop
        self._most_packets = most_packets
        self._duration_s = duration_s
        hardware = _hardware_of(interface)
        self._link = _LINK_OF_HARDWARE.get(hardware, _COOKED)
        self._skip_outgoing = hardware == _FRAME_OF_HARDWARE_LOOPBACK
        _compile_kernels()
        self._socket = _open_socket(interface, cooked=self._link == _COOKED)
        try:
            self._geometry = _set_up_ring(self._socket, settings.ring_mib << 20)
            if snaplen is not None:
                _cut_at(self._socket, snaplen)
            self._memory = mmap.mmap(self._socket.fileno(), self._geometry.ring_bytes)
            _bind(self._socket, interface, promiscuous=promiscuous)
        except OSError as error:
            self._socket.close()
            raise InputError(
                f"live: the capture ring on `{interface}` cannot be set up: {(error.strerror or str(error)).lower()}",
                hint="a smaller `packets.ring_mib` may fit",
            ) from None
        self.interfaces = {
            interface: [Interface(number=0, link=self._link, snaplen=snaplen or 0, name=interface, ticks="10^-9 s")]
        }

    @property
    def packets(self) -> int:
        """Packets seen so far."""
        return self.frames_read

    def __iter__(self) -> Iterator[Chunk]:
        ring: Bytes = np.frombuffer(self._memory, np.uint8)
        try:
            yield from self._chunks(ring)
        finally:
            self._count_drops()
            self._socket.close()

    def _chunks(self, ring: Bytes) -> Iterator[Chunk]:
        poll = select.poll()
        poll.register(self._socket, 0)  # errors are always told
        block_bytes = self._geometry.block_bytes
        frame_ring = Ring(RING_SLOTS, 0, block_bytes // _SMALLEST_RECORD)
        nothing = np.empty(0, FRAME)
        tallies = np.zeros(len(LIVE_NOTES), np.int64)
        lent: deque[int] = deque()  # blocks whose chunks are still valid
        block = 0
        begin = news_at = time.monotonic()
        leave_at: float | None = None
        while True:
            now = time.monotonic()
            if leave_at is None and (
                self._stop() or (self._duration_s is not None and now - begin >= self._duration_s)
            ):
                leave_at = now + 3 * _RETIRE_AFTER_MS / 1000  # what arrived before is handed over first
            if leave_at is not None and now >= leave_at:
                return
            start = block * block_bytes
            if not read_status(ring, start):
                if poll.poll(_LOOK_AGAIN_MS) and not self._survives_error():
                    return
                if now - news_at >= _SILENCE_S:
                    news_at = now
                    self._count_drops()
                    yield Chunk(ring, nothing, [self.name], now_ns=time.time_ns() - _CLOCK_MARGIN_NS)
                continue
            news_at = now
            frames = frame_ring.take_frames()
            count = walk_block(
                ring,
                start,
                start + block_bytes,
                frames,
                tallies,
                self._link,
                self._link == _COOKED,
                self._skip_outgoing,
            )
            self._count_tallies(tallies)
            if self._most_packets is not None:
                count = min(count, self._most_packets - self.frames_read)
            self.frames_read += count
            block = (block + 1) % self._geometry.blocks
            if count:
                lent.append(start)
                if len(lent) >= RING_SLOTS:
                    write_status(ring, lent.popleft(), 0)
                yield Chunk(ring, frames[:count], [self.name])
            else:
                write_status(ring, start, 0)
            if self.frames_read == self._most_packets:
                return

    def _survives_error(self) -> bool:
        """An interface that went down may come up again; one that is gone ends the capture."""
        failure = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self.notes["interface-down" if failure == errno.ENETDOWN else "interface-error"] += 1
        if self.name == ANY_INTERFACE:
            return True
        try:
            socket.if_nametoindex(self.name)
        except OSError:
            return False
        time.sleep(_RETIRE_AFTER_MS / 1000)
        return True

    def _count_drops(self) -> None:
        """The kernel forgets its counters when they are read."""
        with contextlib.suppress(OSError):
            _, drops, freezes = struct.unpack("III", self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 12))
            if drops:
                self.notes["kernel-drops"] += drops
            if freezes:
                self.notes["ring-full"] += freezes

    def _count_tallies(self, tallies: np.typing.NDArray[np.int64]) -> None:
        if tallies.any():
            self.notes.update({name: count for name, count in zip(LIVE_NOTES, tallies.tolist(), strict=True) if count})
            tallies[:] = 0


def _compile_kernels() -> None:
    """Before the first packet comes, not while the ring fills up."""
    block = np.zeros(_SMALLEST_RECORD, np.uint8)
    write_status(block, 0, 0)
    read_status(block, 0)
    walk_block(block, 0, len(block), np.empty(1, FRAME), np.zeros(len(LIVE_NOTES), np.int64), _ETHERNET, False, False)


class _Geometry(NamedTuple):
    block_bytes: int
    blocks: int

    @property
    def ring_bytes(self) -> int:
        return self.block_bytes * self.blocks


def _hardware_of(interface: str) -> int:
    """ARPHRD_ number of an interface that exists and is up."""
    if not hasattr(socket, "AF_PACKET"):
        raise MissingDependency("live: packets are read from interfaces only on Linux", hint="read a capture file")
    if interface == ANY_INTERFACE:
        return -1
    request = struct.pack("16s24x", interface.encode()[:15])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        try:
            socket.if_nametoindex(interface)
            flags = struct.unpack_from("H", fcntl.ioctl(control, _GET_FLAGS, request), 16)[0]
            hardware: int = struct.unpack_from("H", fcntl.ioctl(control, _GET_HARDWARE, request), 16)[0]
        except OSError:
            known = ", ".join([*(name for _, name in socket.if_nameindex()), ANY_INTERFACE])
            raise InputError(
                f"live: no interface is called `{interface}` (known: {known})", hint="`ip link` lists them"
            ) from None
    if not flags & _IS_UP:
        raise InputError(f"live: interface `{interface}` is down", hint=f"`ip link set {interface} up`")
    return hardware


def _open_socket(interface: str, *, cooked: bool) -> socket.socket:
    """Bound to nothing yet, so that no packet of another interface comes in; all interfaces need no binding."""
    protocol = socket.htons(_ALL_PROTOCOLS) if interface == ANY_INTERFACE else 0
    try:
        return socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM if cooked else socket.SOCK_RAW, protocol)
    except PermissionError:
        raise InputError(
            f"live: capturing on `{interface}` needs the capability `cap_net_raw`",
            hint="run as root, or `sudo setcap cap_net_raw=eip` on the Python program of this environment",
        ) from None


def _set_up_ring(raw: socket.socket, ring_bytes: int) -> _Geometry:
    block_bytes = min(_BLOCK_BYTES, ring_bytes // 8)
    geometry = _Geometry(block_bytes, ring_bytes // block_bytes)
    raw.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V3)
    raw.setsockopt(_SOL_PACKET, _RESERVE, _VLAN_TAG_BYTES)
    frame_bytes = 2048
    raw.setsockopt(
        _SOL_PACKET,
        _RX_RING,
        struct.pack(
            "7I",
            geometry.block_bytes,
            geometry.blocks,
            frame_bytes,
            geometry.ring_bytes // frame_bytes,
            _RETIRE_AFTER_MS,
            0,
            0,
        ),
    )
    return geometry


def _cut_at(raw: socket.socket, snaplen: int) -> None:
    """A filter that keeps the first `snaplen` bytes of every packet."""
    import ctypes

    program = ctypes.create_string_buffer(struct.pack("HBBI", _RETURN_CONSTANT, 0, 0, snaplen))
    raw.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(program)))


def _bind(raw: socket.socket, interface: str, *, promiscuous: bool) -> None:
    if interface == ANY_INTERFACE:
        return
    raw.bind((interface, _ALL_PROTOCOLS))
    if promiscuous:
        index = socket.if_nametoindex(interface)
        raw.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, struct.pack("iHH8s", index, _PROMISCUOUS, 0, b""))
