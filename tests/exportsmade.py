"""NetFlow by hand, sent to a port of this machine."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator


def netflow_v5(flows: int) -> bytes:
    """One datagram with so many records, each a flow of its own."""
    now = int(time.time())
    data = struct.pack(">HHIIIIBBH", 5, flows, 100_000, now, 0, 0, 0, 0, 0)
    for number in range(flows):
        data += struct.pack(
            ">4s4s4sHHIIIIHHBBBBHHBBH",
            bytes((10, 0, 0, 1 + number)),
            bytes((10, 9, 9, 9)),
            bytes(4),
            *(1, 2, 10, 1500, 90_000, 95_000, 40_000 + number, 443, 0, 0x1B, 6, 0, 0, 0, 24, 24, 0),
        )
    return data


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def sending(port: int, data: bytes) -> Iterator[None]:
    """Sends again and again, whoever listens, until the block ends: a port may soon be another test's."""
    done = threading.Event()

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            while not done.wait(0.05):
                one.sendto(data, ("127.0.0.1", port))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
