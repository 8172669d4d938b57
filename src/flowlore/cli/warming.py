"""What compiles kernels: small runs of everything that has some, on what ships with the package."""

import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from .demo import DEMO_CAPTURE

NOW_S = 1_700_000_000


def steps() -> Iterator[tuple[str, Callable[[], None]]]:
    """What is compiled, in words, and a call that does it."""
    yield "packets, the meter and names on the wire", read_capture
    yield "addresses as text", write_text
    yield "NetFlow and IPFIX", decode_netflow
    yield "sFlow", decode_sflow


def read_capture() -> None:
    from ..sources.reading import scan

    for _ in scan(DEMO_CAPTURE):
        pass


def write_text() -> None:
    from ..flows.write import open_writer
    from ..sources.reading import scan

    with tempfile.TemporaryDirectory(prefix="flowlore-warm-") as folder:
        for name in ("flows.csv", "flows.parquet"):
            with open_writer(Path(folder) / name) as writer:
                for batch in scan(DEMO_CAPTURE, where="in_prefix(src_ip, '192.0.2.0/24')"):
                    writer.write(batch)


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
