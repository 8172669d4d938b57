"""The benchmark captures, built from real captures by replication and kept under `build/benchmarks`.

    python -m benchmarks.captures short long tenfold concurrent empty

Each source capture is cut at 900 s and starts at a random time within 600 s; its copies get other addresses (second
IPv4 octet + 7k mod 256, an IPv6 byte) with checksums corrected, so that every copy makes flows of its own. Not a
backbone mix: small captures, many protocols, few long downloads.
"""

import argparse
import hashlib
import json
import os
import struct
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .packets import Packet, read_capture
from .replication import write_copies

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDER = REPOSITORY / "build" / "benchmarks"
FORMAT = 2  # raise it when the same recipe gives other bytes
EPOCH_S = 1_700_000_000
PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1)
LEFT_OUT = ("fuzz", "garbage", "crash", "malformed", "badpackets")  # broken on purpose: another test's business


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Which source captures, by packets per flow, and how often."""

    copies: int
    least_packets: int = 1
    least_packets_per_flow: float = 0.0
    most_packets_per_flow: float = 1e9
    cut_s: int = 900
    spread_s: int = 600
    seed: int = 7


RECIPES = {
    "short": Recipe(copies=36, most_packets_per_flow=10),
    "long": Recipe(copies=78, least_packets=200, least_packets_per_flow=52),
}
REPEATED = {"tenfold": ("short", 10)}
CONCURRENT_FLOWS = 200_000
CONCURRENT_ROUNDS = 6  # packets of each flow
NAMES = (*RECIPES, *REPEATED, "concurrent", "empty")


@dataclass(frozen=True)
class Capture:
    """A built capture and what is in it."""

    name: str
    path: Path
    packets: int
    flows: int  # distinct 5-tuples
    bytes: int
    recipe_hash: str


def build(name: str) -> Capture:
    """The capture, made now or found where it was made before from the same recipe and sources."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    recipe = _recipe(name)
    recipe_hash = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:12]
    path = FOLDER / f"{name}-{recipe_hash}.pcap"
    facts = path.with_suffix(".json")
    if not (path.exists() and facts.exists()):
        for old in FOLDER.glob(f"{name}-*"):
            old.unlink()
        partial = path.with_suffix(".partial")
        packets, flows = _write(name, partial)
        size = partial.stat().st_size
        partial.rename(path)
        facts.write_text(json.dumps({"packets": packets, "flows": flows, "bytes": size, "recipe": recipe}))
    known = json.loads(facts.read_text())
    return Capture(name, path, known["packets"], known["flows"], known["bytes"], recipe_hash)


def first_packets(capture: Capture, packets: int) -> Capture:
    """An extract for rivals that would need hours for the whole."""
    path = capture.path.with_name(f"{capture.path.stem}-first{packets}.pcap")
    if not path.exists():
        with capture.path.open("rb") as file:
            data = file.read(24 + packets * 2_000)
        at = 24
        for _ in range(packets):
            at += 16 + int.from_bytes(data[at + 8 : at + 12], "little")
        path.write_bytes(data[:at])
    kept = min(packets, capture.packets)
    return Capture(f"{capture.name}-first{packets}", path, kept, 0, path.stat().st_size, capture.recipe_hash)


def source_folder() -> Path:
    return Path(os.environ.get("FLOWLORE_DATA", REPOSITORY.parent / "shared" / "data"))


def _recipe(name: str) -> dict[str, Any]:
    if name in RECIPES:
        sources = {str(path.relative_to(source_folder())): path.stat().st_size for path in _source_files()}
        return {"format": FORMAT, **asdict(RECIPES[name]), "sources": sources}
    if name in REPEATED:
        base, times = REPEATED[name]
        return {"times": times, "base": _recipe(base)}
    return {"format": FORMAT, "name": name, "flows": CONCURRENT_FLOWS, "rounds": CONCURRENT_ROUNDS}


def _write(name: str, path: Path) -> tuple[int, int]:
    if name in RECIPES:
        return _replicate(RECIPES[name], path)
    if name in REPEATED:
        return _repeat(*REPEATED[name], path)
    if name == "concurrent":
        return _make_concurrent(path)
    path.write_bytes(PCAP_HEADER)
    return 0, 0


def _source_files() -> list[Path]:
    folder = source_folder()
    files = sorted((folder / "ndpi" / "pcap").iterdir()) + sorted((folder / "iot_sentinel").glob("*/*.pcap"))
    return [path for path in files if not any(word in path.name for word in LEFT_OUT)]


def _replicate(recipe: Recipe, path: Path) -> tuple[int, int]:
    chance = np.random.default_rng(recipe.seed)
    chosen: list[list[Packet]] = []
    flows = 0
    for file in _source_files():
        packets = read_capture(file)
        begin = packets[0].time_ns if packets else 0
        packets = [packet for packet in packets if 0 <= packet.time_ns - begin < recipe.cut_s * 1_000_000_000]
        keys = {packet.key for packet in packets if packet.key is not None}
        if len(packets) < recipe.least_packets or not keys or any(packet.tunnelled for packet in packets):
            continue
        if recipe.least_packets_per_flow <= len(packets) / len(keys) <= recipe.most_packets_per_flow:
            chosen.append(packets)
            flows += len(keys)
    counts = np.array([len(packets) for packets in chosen])
    every = [packet for packets in chosen for packet in packets]
    since_begin_ns = np.concatenate([[packet.time_ns - packets[0].time_ns for packet in packets] for packets in chosen])
    starts_ns = chance.integers(0, recipe.spread_s * 1_000_000_000, (recipe.copies, len(chosen)))
    times_ns = (since_begin_ns + np.repeat(starts_ns, counts, axis=1)).ravel()
    order = np.argsort(times_ns, kind="stable")
    lengths = np.array([len(packet.frame) for packet in every], np.int64)
    out = np.zeros(24 + recipe.copies * int((lengths + 16).sum()), np.uint8)
    out[:24] = np.frombuffer(PCAP_HEADER, np.uint8)
    write_copies(
        out,
        np.frombuffer(b"".join(packet.frame for packet in every), np.uint8),
        np.cumsum(lengths) - lengths,
        lengths,
        np.array([packet.wire for packet in every], np.int64),
        np.array([packet.ip_at for packet in every], np.int64),
        np.array([packet.version for packet in every], np.int64),
        np.array([packet.checksum_at for packet in every], np.int64),
        order,
        times_ns[order] // 1000 + EPOCH_S * 1_000_000,
    )
    out.tofile(path)
    return len(order), flows * recipe.copies


def _repeat(base_name: str, times: int, path: Path) -> tuple[int, int]:
    """The base again and again, each turn after the flows of the one before have gone silent."""
    base = build(base_name)
    records = np.fromfile(base.path, np.uint8)[24:]
    starts = record_starts(records)
    seconds = np.ascontiguousarray(records[starts[:, None] + np.arange(4)]).view("<u4")[:, 0]
    period_s = int(seconds.max() - seconds.min()) + 2_000  # longer than any timeout
    with path.open("wb") as file:
        file.write(PCAP_HEADER)
        for turn in range(times):
            shifted = (seconds + np.uint32(turn * period_s)).astype("<u4")
            records[starts[:, None] + np.arange(4)] = shifted[:, None].view(np.uint8)
            records.tofile(file)
    return base.packets * times, base.flows * times


def record_starts(records: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Where each pcap record begins."""
    from .replication import find_records

    return find_records(records)


def _make_concurrent(path: Path) -> tuple[int, int]:
    """Rounds in which every flow sends one packet: half TCP with a handshake, half UDP; all open at once for 30 s."""
    flows, rounds = CONCURRENT_FLOWS, CONCURRENT_ROUNDS
    number = np.arange(flows)
    is_tcp = number % 2 == 0
    payload = 64
    size = 14 + 20 + 20 + payload  # UDP has twelve more bytes of payload, so that all frames have one size
    record = np.zeros((flows, 16 + size), np.uint8)
    record[:, 8:16] = np.frombuffer(struct.pack("<II", size, size), np.uint8)
    frame = record[:, 16:]
    frame[:, :14] = np.frombuffer(bytes.fromhex("0200000000020200000000010800"), np.uint8)
    ip = frame[:, 14:]
    ip[:, 0:4] = np.frombuffer(struct.pack(">BBH", 0x45, 0, size - 14), np.uint8)
    ip[:, 8] = 64
    ip[:, 9] = np.where(is_tcp, 6, 17)
    client = (0x0A000000 + number).astype(">u4").view(np.uint8).reshape(-1, 4)
    server = (0xC6336400 + number % 250).astype(">u4").view(np.uint8).reshape(-1, 4)
    client_port = (1024 + number % 60_000).astype(">u2").view(np.uint8).reshape(-1, 2)
    server_port = np.where(is_tcp, 443, 53).astype(">u2").view(np.uint8).reshape(-1, 2)
    chance = np.random.default_rng(7)
    ip[:, 40:] = chance.integers(0, 256, (flows, payload), np.uint8)
    with path.open("wb") as file:
        file.write(PCAP_HEADER)
        for turn in range(rounds):
            forward = turn % 2 == 0
            ends = (
                ((client, server), (client_port, server_port))
                if forward
                else ((server, client), (server_port, client_port))
            )
            ip[:, 12:16], ip[:, 16:20] = ends[0]
            ip[:, 20:22], ip[:, 22:24] = ends[1]
            flags = 0x02 if turn == 0 else 0x12 if turn == 1 else 0x18
            ip[:, 24:40] = 0
            ip[is_tcp, 32] = 0x50
            ip[is_tcp, 33] = flags
            ip[is_tcp, 34:36] = 0xFF
            ip[~is_tcp, 24:26] = np.frombuffer(struct.pack(">H", size - 34), np.uint8)
            time_us = EPOCH_S * 1_000_000 + turn * 5_000_000 + number * 20
            record[:, 0:4] = (time_us // 1_000_000).astype("<u4").view(np.uint8).reshape(-1, 4)
            record[:, 4:8] = (time_us % 1_000_000).astype("<u4").view(np.uint8).reshape(-1, 4)
            record.tofile(file)
    return flows * rounds, flows


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.captures", description="Builds the benchmark captures.")
    parser.add_argument("names", nargs="*", default=["short", "long"], choices=NAMES, metavar="NAME")
    for name in parser.parse_args().names:
        begin = time.perf_counter()
        capture = build(name)
        facts = f"{capture.packets:,} packets, {capture.flows:,} flows, {capture.bytes / 1e6:,.0f} MB"
        print(f"{name}: {facts}, {time.perf_counter() - begin:.1f} s, {capture.path}")


if __name__ == "__main__":
    main()
