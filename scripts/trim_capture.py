"""Makes a capture small enough to ship: later packets of each flow are cut, and the whole is compressed.

    trim_capture.py IN.pcapng OUT.pcapng.zst

The first frames of each flow stay whole, as names and hellos are in them; of later ones the headers stay.
"""

import struct
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import zstandard

WHOLE_FRAMES = 6
HEADER_BYTES = 86  # Ethernet, IPv6, TCP with times
PACKET_BLOCK = 6
LEVEL = 19


def blocks(capture: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and bytes of each block of a little-endian pcapng."""
    place = 0
    while place + 12 <= len(capture):
        kind, size = struct.unpack_from("<II", capture, place)
        yield kind, capture[place : place + size]
        place += size


def trimmed(capture: bytes) -> Iterator[bytes]:
    seen: Counter[bytes] = Counter()
    for kind, block in blocks(capture):
        if kind != PACKET_BLOCK:
            yield block
            continue
        interface, high, low, held, length = struct.unpack_from("<IIIII", block, 8)
        frame = block[28 : 28 + held]
        key = flow_key(frame)
        seen[key] += 1
        kept = frame if seen[key] <= WHOLE_FRAMES else frame[:HEADER_BYTES]
        body = struct.pack("<IIIII", interface, high, low, len(kept), length) + kept + bytes(-len(kept) % 4)
        size = struct.pack("<I", len(body) + 12)
        yield struct.pack("<I", PACKET_BLOCK) + size + body + size


def flow_key(frame: bytes) -> bytes:
    """The same bytes for both directions of a TCP or UDP flow over Ethernet; else the frame's kind."""
    kind = frame[12:14]
    if kind == b"\x08\x00" and len(frame) >= 38:
        header, protocol, ends = 14 + 4 * (frame[14] & 15), frame[23], (frame[26:30], frame[30:34])
    elif kind == b"\x86\xdd" and len(frame) >= 58:
        header, protocol, ends = 54, frame[20], (frame[22:38], frame[38:54])
    else:
        return kind
    if protocol not in (6, 17):
        return kind + bytes([protocol])
    ports = frame[header : header + 2], frame[header + 2 : header + 4]
    return bytes([protocol]) + b"".join(sorted((ends[0] + ports[0], ends[1] + ports[1])))


def main() -> None:
    given, made = Path(sys.argv[1]), Path(sys.argv[2])
    whole = given.read_bytes()
    made.write_bytes(zstandard.ZstdCompressor(level=LEVEL).compress(b"".join(trimmed(whole))))
    print(f"{given}: {len(whole):,} bytes → {made}: {made.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
