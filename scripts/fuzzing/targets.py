"""What is fuzzed. A target draws one input from its seeds and reads it; anything but a counted reason is a fault."""

import random
import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import seeds
from .mutation import mutate, mutate_text

FRAMES_IN_CAPTURE = 64
LINKS = (1, 1, 1, 1, 0, 9, 101, 105, 113, 127, 276)
PCAP_HEADER = struct.Struct("<IHHiIII")
PCAP_RECORD = struct.Struct("<IIII")


class Fault(Exception):
    """An invariant does not hold."""


@dataclass
class Target:
    """One reader, how inputs for it are drawn, and what one execution counts."""

    name: str
    sources: tuple[str, ...]  # registry names that may read the input
    seeds: Callable[[], list[bytes]]
    draw: Callable[[Sequence[bytes], random.Random], bytes]
    known: list[bytes] = field(default_factory=list)

    def next_input(self, chance: random.Random) -> bytes:
        return self.draw(self._known(), chance)

    def first_input(self) -> bytes:
        """A seed as it is."""
        return self._known()[0]

    def _known(self) -> list[bytes]:
        if not self.known:
            self.known = [seed for seed in self.seeds() if seed] + grown_corpus(self.name)
        return self.known

    def read(self, path: Path) -> dict[str, int]:
        """Read the file and check its account. Returns what was read."""
        from flowlore.errors import FlowloreError
        from flowlore.sources import SOURCES
        from flowlore.sources.inputs import gather_inputs
        from flowlore.sources.settings import SourceSettings

        try:
            inputs = gather_inputs([path])
            head = inputs[0].head()
            claims = {name: SOURCES.load(name).recognise(head) for name in self.sources}
        except FlowloreError:
            return {"refused": 1}
        counts = {"refused": 0 if any(claims.values()) else 1}
        for name, words in claims.items():
            if not words:
                continue
            source = SOURCES.load(name)(gather_inputs([path]), SourceSettings())
            try:
                rows = sum(batch.num_rows for batch in source.batches())
            except FlowloreError:
                counts["refused"] = 1
                continue
            _check(source.account, rows)
            counts["packets"] = counts.get("packets", 0) + source.account.packets
            counts["records"] = counts.get("records", 0) + source.account.records
        return counts


def grown_corpus(name: str) -> list[bytes]:
    """What a run guided by coverage found to be of interest."""
    folder = seeds.REPOSITORY / "build" / "fuzz" / "corpus" / name
    return [path.read_bytes() for path in sorted(folder.glob("*"))] if folder.is_dir() else []


def _check(account: Any, rows: int) -> None:
    if account.flows != rows:
        raise Fault(f"account says {account.flows} flows, batches had {rows} rows")
    total = account.packets + account.records
    used = account.packets_in_flows + account.records_in_flows + sum(account.skipped.values())
    if total != used:
        raise Fault(f"{total} packets and records came in, {used} are accounted for: {dict(account.skipped)}")


def _draw_file(known: Sequence[bytes], chance: random.Random) -> bytes:
    return mutate(chance.choice(known), known, chance)


def _draw_text(known: Sequence[bytes], chance: random.Random) -> bytes:
    return mutate_text(chance.choice(known), known, chance)


def _draw_frames(known: Sequence[bytes], chance: random.Random) -> bytes:
    """A sound capture of unsound frames: what is below the file format gets the changes."""
    capture = bytearray(PCAP_HEADER.pack(0xA1B2C3D4, 2, 4, 0, 0, 262_144, chance.choice(LINKS)))
    for ordinal in range(FRAMES_IN_CAPTURE):
        frames = _frames(chance.choice(known))
        frame = chance.choice(frames) if frames else b""
        if chance.random() < 0.9:
            frame = mutate(frame, frames, chance, most=3)
        longer = chance.choice((0, 0, 0, 1, 100, 70_000))
        capture += PCAP_RECORD.pack(1_700_000_000 + ordinal, ordinal, len(frame), len(frame) + longer) + frame
    return bytes(capture)


def _frames(capture: bytes) -> list[bytes]:
    """Frames of a little- or big-endian pcap file; of anything else its bytes in pieces."""
    order = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">"}.get(capture[:4])
    if order is None:
        return [capture[at : at + 200] for at in range(0, min(len(capture), 20_000), 200)]
    found, at = [], 24
    while at + 16 <= len(capture) and len(found) < 200:
        size = struct.unpack_from(order + "I", capture, at + 8)[0]
        if size > 70_000:
            break
        found.append(capture[at + 16 : at + 16 + size])
        at += 16 + size
    return found


TARGETS = {
    target.name: target
    for target in (
        Target("captures", ("packets",), seeds.capture_seeds, _draw_file),
        Target("frames", ("packets",), seeds.capture_seeds, _draw_frames),
        Target("exports", ("netflow", "sflow"), seeds.datagram_seeds, _draw_file),
        Target("logs", ("zeek", "suricata", "argus", "nfdump", "tables"), seeds.log_seeds, _draw_text),
    )
}

if __name__ == "__main__":  # read one input again: python -m fuzzing.targets NAME FILE
    print(TARGETS[sys.argv[1]].read(Path(sys.argv[2])))
