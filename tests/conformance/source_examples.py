"""For every source in the registry, small inputs that it reads. A new source adds its own here."""

import struct
from pathlib import Path

import flowlore

DEMO_CAPTURE = Path(flowlore.__file__).parent / "data" / "demo" / "office.pcapng"


def tiny_pcap() -> bytes:
    """Two packets of one UDP flow, one ARP frame, one packet cut by the snap length."""
    frames = [
        (1, _ethernet(_udp("10.0.0.1", "10.0.0.2", 5000, 53, b"question"))),
        (2, _ethernet(_udp("10.0.0.2", "10.0.0.1", 53, 5000, b"a longer answer"))),
        (3, bytes(12) + b"\x08\x06" + bytes(28)),
        (4, _ethernet(_udp("10.0.0.1", "10.0.0.3", 5001, 123, bytes(48)))),
    ]
    data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1)
    for second, frame in frames:
        kept = frame[:30] if second == 4 else frame
        data += struct.pack("<IIII", 1_700_000_000 + second, 0, len(kept), len(frame)) + kept
    return data


def _ethernet(packet: bytes) -> bytes:
    return bytes(range(12)) + b"\x08\x00" + packet


def _udp(src: str, dst: str, src_port: int, dst_port: int, payload: bytes) -> bytes:
    segment = struct.pack(">HHHH", src_port, dst_port, 8 + len(payload), 0) + payload
    addresses = bytes(int(part) for part in f"{src}.{dst}".split("."))
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(segment), 1, 0, 64, 17, 0) + addresses + segment


EXAMPLES: dict[str, list[bytes]] = {
    "packets": [tiny_pcap(), DEMO_CAPTURE.read_bytes()[:60_000]],
}
