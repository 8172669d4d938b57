"""What compiles kernels ahead: small runs of everything that has some, on as many cores as there are."""

import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .demo import DEMO_CAPTURE

NOW_S = 1_700_000_000


def steps() -> Iterator[tuple[str, Callable[[], None]]]:
    """What is compiled, in words, and a call that does it. The parts of a step compile side by side."""
    yield "the meter and names on the wire; headers, exports, text and maps", lambda: side_by_side("meter", "rest")


def side_by_side(*parts: str) -> None:
    """Each part in a process of its own, for one process compiles on one core. What fails there compiles when used."""
    commands = [
        [sys.executable, "-c", f"from flowlore.cli import warming; warming.PARTS[{part!r}]()"] for part in parts
    ]
    with ThreadPoolExecutor(min(len(commands), len(os.sched_getaffinity(0)))) as pool:
        list(pool.map(_run, commands))


def is_warm() -> bool:
    """Whether the meter, which takes longest, is on the disk."""
    from ..sources.packets.meter.kernel import meter_packets

    stored: Any = meter_packets
    return bool(stored.is_stored())


def warm_up_once() -> None:
    """Compile ahead of the first use, and say so, where that has not been done."""
    if is_warm():
        return
    print("compiling kernels for this machine: once, about half a minute …", file=sys.stderr, flush=True)
    for _, step in steps():
        step()


def meter_captures() -> None:
    """The meter first, while the other part compiles what reads headers."""
    import numpy as np

    from ..sources.packets.layout import PACKET
    from ..sources.packets.meter.meter import Meter
    from ..sources.packets.settings import MeterSettings

    meter = Meter(MeterSettings(), source="packets")
    meter.feed(np.zeros(0, PACKET), np.zeros(1, np.int32), np.zeros(0, np.uint8), 0)
    read_capture()


def read_capture() -> None:
    from ..sources.reading import scan

    for _ in scan(DEMO_CAPTURE):
        pass


def decode_exports() -> None:
    decode_sflow()
    decode_netflow()


def write_text() -> None:
    import pyarrow as pa

    from ..flows.addresses import format_hexadecimal, format_macs, parse_addresses, parse_hexadecimal, parse_macs
    from ..flows.filter import RowFilter
    from ..flows.schema import arrow_schema, flow_batch
    from ..flows.table import Flows

    addresses, _ = parse_addresses(pa.array(["192.0.2.1", "2001:db8::1"]))
    macs, _ = parse_macs(pa.array(["02:00:00:00:00:01", None]))
    identities, _ = parse_hexadecimal(pa.array(["00" * 16, "ff" * 16]), 16)
    format_macs(macs)
    format_hexadecimal(identities)
    batch = flow_batch({"src_ip": addresses, "dst_ip": addresses, "src_mac": macs, "flow_id": identities}, 2)
    with RowFilter("in_prefix(src_ip, '192.0.2.0/24')", arrow_schema()) as keep:
        Flows(keep(batch)).to_polars()


def draw_map() -> None:
    from ..tasks.extra import missing_packages

    if missing_packages():
        return
    import numpy as np

    from ..features.extract import extract
    from ..flows.schema import flow_batch
    from ..tasks.projection import project

    rng = np.random.default_rng(0)
    project(rng.normal(size=(64, 8)), rng=rng).place(rng.normal(size=(4, 8)))
    series = {"packet_direction": [[1]], "packet_bytes": [[40]]}
    extract(flow_batch({"flow_id": [bytes(16)], **series}, 1))


def compile_the_rest() -> None:
    decode_exports()
    write_text()
    draw_map()


PARTS: dict[str, Callable[[], None]] = {"meter": meter_captures, "rest": compile_the_rest}


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def decode_netflow() -> None:
    from ..sources.checks import MemoryInput
    from ..sources.records.netflow.source import NetflowSource

    for datagram in (netflow_v5(), netflow_v9(), ipfix()):
        for _ in NetflowSource([MemoryInput(datagram)]).batches():
            pass


def decode_sflow() -> None:
    from ..sources.checks import MemoryInput
    from ..sources.records.sflow.source import SflowSource

    for _ in SflowSource([MemoryInput(sflow())]).batches():
        pass


def netflow_v5() -> bytes:
    """One record."""
    header = struct.pack(">HHIIIIBBH", 5, 1, 100_000, NOW_S, 0, 0, 0, 0, 0)
    numbers = (1, 2, 10, 1500, 90_000, 95_000, 40_000, 443, 0, 0x1B, 6, 0, 0, 0, 24, 24, 0)
    return header + struct.pack(">4s4s4sHHIIIIHHBBBBHHBBH", b"\x0a\0\0\1", b"\x0a\0\0\2", bytes(4), *numbers)


def netflow_v9() -> bytes:
    """A template and both directions of one flow."""
    sizes = {8: 4, 12: 4, 7: 2, 11: 2, 4: 1, 2: 4, 1: 4, 22: 4, 21: 4}
    template = struct.pack(">HH", 256, len(sizes)) + b"".join(struct.pack(">HH", *one) for one in sizes.items())
    data = _record(b"\x0a\0\0\1", b"\x0a\0\0\2", 40_000, 443) + _record(b"\x0a\0\0\2", b"\x0a\0\0\1", 443, 40_000)
    sets = _set(0, template) + _set(256, data + bytes(-len(data) % 4))
    return struct.pack(">HHIIII", 9, 3, 100_000, NOW_S, 0, 0) + sets


def ipfix() -> bytes:
    """A template with a text of any length, and one record."""
    fields = {8: 4, 12: 4, 7: 2, 11: 2, 4: 1, 2: 8, 1: 8, 152: 8, 153: 8, 96: 65_535}
    template = struct.pack(">HH", 256, len(fields)) + b"".join(struct.pack(">HH", *one) for one in fields.items())
    times = ((NOW_S - 9) * 1000, NOW_S * 1000)
    data = struct.pack(">4s4sHHBQQQQ", b"\x0a\0\0\1", b"\x0a\0\0\2", 40_000, 443, 6, 10, 1500, *times) + b"\x03tls"
    sets = _set(2, template) + _set(256, data)
    return struct.pack(">HHIII", 10, 16 + len(sets), NOW_S, 0, 0) + sets


def sflow() -> bytes:
    """One flow sample: the header of a UDP packet in an Ethernet frame."""
    packet = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28, 1, 0, 64, 17, 0, b"\x0a\0\0\1", b"\x0a\0\0\2")
    frame = bytes(12) + b"\x08\x00" + packet + struct.pack(">HHHH", 40_000, 53, 8, 0)
    raw = struct.pack(">IIII", 1, 100, 4, len(frame)) + frame + bytes(-len(frame) % 4)
    record = struct.pack(">II", 1, len(raw)) + raw
    sample = struct.pack(">IIIIIIII", 1, 1, 256, 256, 0, 1, 2, 1) + record
    header = struct.pack(">II4sIIII", 5, 1, b"\x0a\x09\x09\x09", 0, 1, 100_000, 1)
    return header + struct.pack(">II", 1, len(sample)) + sample


def _record(src: bytes, dst: bytes, src_port: int, dst_port: int) -> bytes:
    return struct.pack(">4s4sHHBIIII", src, dst, src_port, dst_port, 6, 10, 1500, 90_000, 95_000)


def _set(number: int, body: bytes) -> bytes:
    return struct.pack(">HH", number, 4 + len(body)) + body
