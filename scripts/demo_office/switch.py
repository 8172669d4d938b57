"""The switch: learns addresses per VLAN, delays and loses frames by seed, and writes its mirror port as pcapng."""

import heapq
import random
import select
import socket
import struct
import sys
import time
from pathlib import Path
from typing import IO

from .plan import OUTSIDE, PORTS, Port

ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_IGNORE_OUTGOING = 23
WHOLE_PACKETS = 8  # of each flow; later ones are cut to HEADER_BYTES, as an operator with little disk would
HEADER_BYTES = 96
OVERTAKEN = 0.01  # share of frames that come out after the frame behind them


class Mirror:
    """A pcapng file of one interface with nanosecond times."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._seen: dict[bytes, int] = {}
        self._block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
        options = _option(2, b"mirror") + _option(9, b"\x09") + _option(0, b"")
        self._block(1, struct.pack("<HHI", 1, 0, 0) + options)

    def write(self, time_ns: int, vlan: int, frame: bytes) -> None:
        if vlan:
            frame = frame[:12] + struct.pack(">HH", 0x8100, vlan) + frame[12:]
        key = _flow(frame)
        self._seen[key] = self._seen.get(key, 0) + 1
        kept = frame if self._seen[key] <= WHOLE_PACKETS else frame[:HEADER_BYTES]
        head = struct.pack("<IIIII", 0, time_ns >> 32, time_ns & 0xFFFFFFFF, len(kept), len(frame))
        self._block(6, head + kept + bytes(-len(kept) % 4))

    def _block(self, kind: int, body: bytes) -> None:
        size = struct.pack("<I", len(body) + 12)
        self._file.write(struct.pack("<I", kind) + size + body + size)


def switch_frames(capture: Path, seed: int) -> None:
    """Forward until the process is ended. Only the office's own VLANs are mirrored, each frame once."""
    chance = random.Random(seed)
    sockets = {_open(port): port for port in PORTS}
    learned: dict[tuple[int, bytes], socket.socket] = {}
    waiting: list[tuple[float, int, socket.socket, bytes]] = []
    last_out: dict[socket.socket, float] = {}
    ordinal = 0
    with capture.open("wb", buffering=0) as file:
        mirror = Mirror(file)
        while True:
            now = time.monotonic()
            while waiting and waiting[0][0] <= now:
                _, _, out, frame = heapq.heappop(waiting)
                out.send(frame)
            pause = max(0.0, waiting[0][0] - now) if waiting else 1.0
            for ready in select.select(list(sockets), [], [], pause)[0]:
                frame = ready.recv(65_535)
                port = sockets[ready]
                if port.vlan != OUTSIDE:
                    mirror.write(time.time_ns(), port.vlan, frame)
                learned[port.vlan, frame[6:12]] = ready
                for out in _ways_out(sockets, learned, ready, frame):
                    to = sockets[out]
                    if chance.random() < to.loss:
                        continue
                    due = time.monotonic() + chance.uniform(*to.delay_s)
                    if chance.random() < OVERTAKEN:
                        due += to.delay_s[1]
                    else:
                        due = last_out[out] = max(due, last_out.get(out, 0.0))
                    ordinal += 1
                    heapq.heappush(waiting, (due, ordinal, out, frame))


def _ways_out(
    sockets: dict[socket.socket, Port],
    learned: dict[tuple[int, bytes], socket.socket],
    ready: socket.socket,
    frame: bytes,
) -> list[socket.socket]:
    vlan = sockets[ready].vlan
    known = learned.get((vlan, frame[:6]))
    if known is not None:
        return [known]
    return [out for out, port in sockets.items() if port.vlan == vlan and out is not ready]


def _open(port: Port) -> socket.socket:
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    opened.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    opened.bind((port.name, 0))
    return opened


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def _flow(frame: bytes) -> bytes:
    """Addresses and ports without direction; enough to count packets by."""
    at = 18 if frame[12:14] == b"\x81\x00" else 14
    kind = frame[at - 2 : at]
    if kind == b"\x08\x00":
        ends = (
            frame[at + 12 : at + 16] + frame[at + 20 : at + 22],
            frame[at + 16 : at + 20] + frame[at + 22 : at + 24],
        )
    elif kind == b"\x86\xdd":
        ends = (frame[at + 8 : at + 24] + frame[at + 40 : at + 42], frame[at + 24 : at + 40] + frame[at + 42 : at + 44])
    else:
        return kind
    return b"".join(sorted(ends))


if __name__ == "__main__":
    switch_frames(Path(sys.argv[1]), int(sys.argv[2]))
