"""Many datagrams with one call of the system, on Linux; one by one elsewhere."""

import ctypes
import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ....errors import InputError

SLOT_BYTES = 65_536  # no datagram is larger
LEAST_OVERHEAD_BYTES = 256  # of the buffer, that a datagram takes beside its payload
_SLOTS = 512
_NAME_BYTES = 32
_MSG_DONTWAIT = 0x40

# struct mmsghdr on 64-bit Linux.
_MESSAGE = np.dtype(
    [
        ("name", np.uint64),
        ("name_bytes", np.uint32),
        ("_pad0", np.uint32),
        ("vector", np.uint64),
        ("vectors", np.uint64),
        ("control", np.uint64),
        ("control_bytes", np.uint64),
        ("flags", np.int32),
        ("_pad1", np.uint32),
        ("length", np.uint32),
        ("_pad2", np.uint32),
    ]
)


_BIND_HINTS = {
    errno.EADDRINUSE: "choose another port, or stop the program that uses it (`ss -lunp` shows which)",
    errno.EADDRNOTAVAIL: "the address is not of this machine: `ip address` shows its own; `:2055` listens on all",
    errno.EACCES: "ports below 1024 are for those with rights: choose a higher one such as 2055, or run as root",
}


class DatagramSocket:
    """A UDP socket with a large buffer. `receive` fills slots; `dropped` is what the system threw away."""

    def __init__(self, host: str, port: int, buffer_bytes: int) -> None:
        host = _resolved(host)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self.socket.bind((host, port))
        except OSError as error:
            self.socket.close()
            raise InputError(
                f"netflow: cannot listen on {host} port {port}: {error.strerror or error}",
                hint=_BIND_HINTS.get(error.errno or 0),
            ) from None
        _ask_for_buffer(self.socket, buffer_bytes)
        self.socket.setblocking(False)
        self.host, self.port = host, int(self.socket.getsockname()[1])
        self.slots = np.empty((_SLOTS, SLOT_BYTES), np.uint8)
        self.lengths = np.zeros(_SLOTS, np.int64)
        self.names = np.zeros((_SLOTS, _NAME_BYTES), np.uint8)
        self._is_ipv6 = family == socket.AF_INET6
        self._call = _recvmmsg() if np.dtype(np.uintp).itemsize == 8 else None
        self._messages = np.zeros(_SLOTS, _MESSAGE)
        self._vectors = np.zeros((_SLOTS, 2), np.uint64)
        self._vectors[:, 0] = self.slots.ctypes.data + np.arange(_SLOTS, dtype=np.uint64) * np.uint64(SLOT_BYTES)
        self._vectors[:, 1] = SLOT_BYTES
        self._messages["vector"] = self._vectors.ctypes.data + np.arange(_SLOTS, dtype=np.uint64) * np.uint64(16)
        self._messages["vectors"] = 1
        self._messages["name"] = self.names.ctypes.data + np.arange(_SLOTS, dtype=np.uint64) * np.uint64(_NAME_BYTES)

    def receive(self) -> int:
        """Take what is there, without waiting, into the first slots; how many that were."""
        if self._call is None:
            return self._receive_singly()
        self._messages["name_bytes"] = _NAME_BYTES
        count = int(self._call(self.socket.fileno(), self._messages.ctypes.data, _SLOTS, _MSG_DONTWAIT, None))
        if count <= 0:
            return 0
        self.lengths[:count] = self._messages["length"][:count]
        return count

    def addresses(self, count: int) -> npt.NDArray[np.uint64]:
        """Senders of the first slots as two halves of an IPv6 address; IPv4 in the low half, the high being 0."""
        found = np.zeros((count, 2), np.uint64)
        if self._is_ipv6:
            found[:] = np.ascontiguousarray(self.names[:count, 8:24]).view(">u8")
        else:
            found[:, 1] = np.ascontiguousarray(self.names[:count, 4:8]).view(">u4")[:, 0]
        return found

    def buffer_bytes(self) -> int:
        """What can wait in the system at a time, each datagram counted with `LEAST_OVERHEAD_BYTES` at least."""
        return self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    def dropped(self) -> int:
        """Datagrams that the system dropped for want of buffer so far; 0 where it does not say."""
        table = Path("/proc/net/udp6" if self._is_ipv6 else "/proc/net/udp")
        try:
            inode = str(os.fstat(self.socket.fileno()).st_ino)
            for line in table.read_text().splitlines()[1:]:
                words = line.split()
                if len(words) > 12 and words[9] == inode:
                    return int(words[12])
        except (OSError, ValueError):
            return 0
        return 0

    def close(self) -> None:
        self.socket.close()

    def _receive_singly(self) -> int:
        for slot in range(_SLOTS):
            try:
                length, sender = self.socket.recvfrom_into(self.slots[slot])
            except (BlockingIOError, InterruptedError):
                return slot
            self.lengths[slot] = length
            packed = socket.inet_pton(self.socket.family, sender[0].partition("%")[0])
            first = 8 if self._is_ipv6 else 4
            self.names[slot, first : first + len(packed)] = np.frombuffer(packed, np.uint8)
        return _SLOTS


def _recvmmsg() -> Callable[..., Any] | None:
    try:
        call = ctypes.CDLL(None, use_errno=True).recvmmsg
    except (OSError, AttributeError):
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
    call.restype = ctypes.c_int
    return call


def _resolved(host: str) -> str:
    """An address for a name of a host; addresses stay."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except (socket.gaierror, UnicodeError):
        raise InputError(
            f"netflow: cannot listen on `{host}`: no such host is known",
            hint="give an address of this machine, or `:2055` for all of them",
        ) from None
    return str(found[0][4][0])


def _ask_for_buffer(udp: socket.socket, buffer_bytes: int) -> None:
    """As much as asked where the user may, else as much as the system gives."""
    force = getattr(socket, "SO_RCVBUFFORCE", 33)
    try:
        udp.setsockopt(socket.SOL_SOCKET, force, buffer_bytes)
    except OSError:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
