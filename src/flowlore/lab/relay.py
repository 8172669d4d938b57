"""Hands frames from one TAP device to another, late, out of order, slowly or not at all; a process of its own.

For kernels without `netem`. `python -m flowlore.lab.relay SPEC.json`; ready when it prints a line, ends with SIGTERM.
"""

import contextlib
import fcntl
import heapq
import json
import os
import random
import select
import struct
import sys
import time
from pathlib import Path

from .machine import call_inside, die_with_parent

_TUNSETIFF = 0x400454CA
_TAP, _NO_PACKET_INFORMATION = 0x0002, 0x1000
_LARGEST_FRAME = 65_536
_AT_ONCE = 64  # frames taken from one device before the others have their turn
_QUEUE_S = 0.2
_NICENESS = -5


def open_tap(space: str, name: str) -> int:
    """A descriptor that gives and takes the frames of a TAP device that exists in a namespace."""

    def attach() -> int:
        descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _TAP | _NO_PACKET_INFORMATION))
        return descriptor

    return call_inside(space, attach)


class Direction:
    """One way of one wire: when the next frame that is given to it comes out."""

    def __init__(self, out: int, link: dict[str, float | None], chance: random.Random) -> None:
        self.out = out
        self._delay_s = (link["delay_ms"] or 0.0) / 1000
        self._jitter_s = (link["jitter_ms"] or 0.0) / 1000
        self._reorder = link["reorder"] or 0.0
        self._loss = link["loss"] or 0.0
        self._bytes_per_s = (link["rate_mbit"] or 0.0) * 125_000
        self._free_at = 0.0
        self._last_due = 0.0
        self._chance = chance

    def due(self, now: float, size: int) -> float | None:
        """When a frame of `size` bytes comes out; None where it is lost."""
        if self._loss and self._chance.random() < self._loss:
            return None
        sent = now
        if self._bytes_per_s:
            if self._free_at - now > _QUEUE_S:
                return None
            sent = self._free_at = max(now, self._free_at) + size / self._bytes_per_s
        due = sent + max(0.0, self._delay_s + self._chance.uniform(-self._jitter_s, self._jitter_s))
        if self._reorder and self._chance.random() < self._reorder:
            return due + self._jitter_s + 0.0005  # those behind it overtake it
        self._last_due = max(due, self._last_due)
        return self._last_due


def relay_frames(directions: dict[int, Direction]) -> None:
    """Forward until the process is ended. Keys are the descriptors on which frames come in."""
    poll = select.epoll()
    for descriptor in directions:
        poll.register(descriptor, select.EPOLLIN)
    waiting: list[tuple[float, int, int, bytes]] = []
    ordinal = 0
    while True:
        pause = max(0.0, waiting[0][0] - time.monotonic()) if waiting else 1.0
        for descriptor, _ in poll.poll(pause):
            direction = directions[descriptor]
            for _ in range(_AT_ONCE):
                try:
                    frame = os.read(descriptor, _LARGEST_FRAME)
                except OSError:
                    break
                due = direction.due(time.monotonic(), len(frame))
                if due is not None:
                    ordinal += 1
                    heapq.heappush(waiting, (due, ordinal, direction.out, frame))
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, out, frame = heapq.heappop(waiting)
            with contextlib.suppress(OSError):  # an interface that is down loses its frames
                os.write(out, frame)


def main() -> None:
    die_with_parent()
    os.nice(_NICENESS)
    spec = json.loads(Path(sys.argv[1]).read_text())
    chance = random.Random(spec["seed"])
    directions: dict[int, Direction] = {}
    for wire in spec["wires"]:
        host, switch = (open_tap(space, name) for space, name in wire["ends"])
        directions[host] = Direction(switch, wire["link"], chance)
        directions[switch] = Direction(host, wire["link"], chance)
    os.write(1, b"ready\n")
    relay_frames(directions)


if __name__ == "__main__":
    main()
