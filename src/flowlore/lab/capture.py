"""A mirror of one interface as pcapng; a process of its own, inside the namespace of the switch.

`python -m flowlore.lab.capture SPEC.json`; ready when it prints a line, ends with SIGTERM, and then says what it kept
and what the kernel dropped in the file `counts` of the spec.
"""

import json
import os
import signal
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np

from ..flows.compiled import compiled
from ..sources.packets.layout import Bytes, Records
from ..sources.packets.live import LiveCapture
from ..sources.packets.settings import PacketSettings
from .machine import die_with_parent

_NICENESS = -10  # frames are lost when this waits for its turn
_BLOCK_BYTES = 32  # of an enhanced packet block without its frame


@compiled
def pack_blocks(data: Bytes, frames: Records, out: Bytes) -> int:
    """Enhanced packet blocks of interface 0 for all frames, in order; gives the bytes used of `out`.

    `out` must hold 35 bytes and the captured bytes of every frame. A frame that does not lie in `data` is left out.
    """
    words = out[: len(out) // 4 * 4].view(np.uint32)
    at = np.int64(0)
    for frame in frames:
        start, captured = frame.start, np.int64(frame.captured)
        total = _BLOCK_BYTES + (captured + 3) // 4 * 4
        if start < 0 or start + captured > len(data) or at + total > 4 * len(words):
            continue
        word = at // 4
        words[word] = 6
        words[word + 1] = total
        words[word + 2] = 0
        words[word + 3] = frame.time_ns >> 32
        words[word + 4] = frame.time_ns & 0xFFFFFFFF
        words[word + 5] = captured
        words[word + 6] = frame.wire
        for place in range(captured):
            out[at + 28 + place] = data[start + place]
        for place in range(captured, total - _BLOCK_BYTES):
            out[at + 28 + place] = 0
        words[word + total // 4 - 1] = total
        at += total
    return int(at)


def capture(
    interface: str, path: Path, *, name: str, snap_bytes: int, stop: Callable[[], bool], ring_mib: int = 32
) -> dict[str, int]:
    """Keep frames until `stop()`; gives packets, bytes and what was dropped."""
    _compile()
    live = LiveCapture(interface, PacketSettings(ring_mib=ring_mib), stop, snaplen=snap_bytes or None)
    written = 0
    out = np.empty(1 << 22, np.uint8)
    with path.open("wb", buffering=0) as file:
        written += _write_head(file, name, snap_bytes)
        os.write(1, b"ready\n")
        for chunk in live:
            need = len(chunk.frames) * (_BLOCK_BYTES + 3) + int(chunk.frames["captured"].sum(dtype=np.int64))
            if need > len(out):
                out = np.empty(need, np.uint8)
            used = pack_blocks(chunk.data, chunk.frames, out)
            _write(file, out[:used].data)
            written += used
        received = live.frames_read
        dropped = live.notes["kernel-drops"]
        statistics = struct.pack("<III", 0, time.time_ns() >> 32, time.time_ns() & 0xFFFFFFFF)
        statistics += _option(4, struct.pack("<Q", received + dropped)) + _option(5, struct.pack("<Q", dropped))
        written += _write_block(file, 5, statistics + _option(0, b""))
    return {"packets": received, "dropped": dropped, "bytes": written}


def _write(file: IO[bytes], block: memoryview) -> None:
    """All of it: a disk that is nearly full takes a part, and says why only when it is asked for the rest."""
    while block:
        block = block[file.write(block) :]


def _write_head(file: IO[bytes], name: str, snap_bytes: int) -> int:
    section = _write_block(file, 0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    options = _option(2, name.encode()) + _option(9, b"\x09") + _option(0, b"")
    return section + _write_block(file, 1, struct.pack("<HHI", 1, 0, snap_bytes) + options)


def _write_block(file: IO[bytes], kind: int, body: bytes) -> int:
    size = struct.pack("<I", len(body) + 12)
    return file.write(struct.pack("<I", kind) + size + body + size)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def _compile() -> None:
    from ..sources.packets.layout import FRAME

    frames = np.zeros(1, FRAME)
    frames["captured"] = frames["wire"] = 5
    pack_blocks(np.zeros(64, np.uint8), frames, np.empty(64, np.uint8))


def main() -> None:
    die_with_parent()
    os.nice(_NICENESS)
    spec = json.loads(Path(sys.argv[1]).read_text())
    is_over = False

    def end(*_: object) -> None:
        nonlocal is_over
        is_over = True

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    counts = capture(
        spec["interface"], Path(spec["file"]), name=spec["name"], snap_bytes=spec["snap_bytes"], stop=lambda: is_over
    )
    Path(spec["counts"]).write_text(json.dumps(counts))


if __name__ == "__main__":
    main()
