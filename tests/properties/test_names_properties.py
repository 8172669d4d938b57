"""Whatever the bytes: the sniffer returns, writes nothing past its buffers, and what it wrote can be read."""

import struct

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flowlore.sources.packets.names.notes import MEMORY_USED
from flowlore.sources.packets.names.read import decode_items
from flowlore.sources.packets.names.sniff import sniff
from flowlore.sources.packets.names.tags import DONE, MORE, NOTHING

CANARY = 64
PORTS = st.sampled_from([21, 22, 25, 53, 67, 68, 80, 110, 123, 137, 143, 161, 443, 546, 547, 587, 1900, 5353, 5355]) | (
    st.integers(0, 65535)
)
BEGINNINGS = st.sampled_from(
    [
        b"",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32) + b"\x00\x00\x02\x13\x01\x01\x00",
        b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03" + bytes(32),
        b"\x16\xfe\xfd" + bytes(8) + b"\x00\x80\x01\x00\x00\x74\x00\x00\x00\x00\x00\x00\x74\xfe\xfd" + bytes(32),
        b"\xc3\x00\x00\x00\x01\x08\x83\x94\xc8\xf0\x3e\x51\x57\x08\x00\x00\x44\x9e",
        b"\xd3\x6b\x33\x43\xcf\x08\x83\x94\xc8\xf0\x3e\x51\x57\x08\x00\x00\x44\x9e",
        b"\x0d\x83\x94\xc8\xf0\x3e\x51\x57\x08Q043\x01" + bytes(12) + b"\xa0\x01\x00\x04CHLO\x05\x00\x00\x00",
        b"GET / HTTP/1.1\r\nHost: ",
        b"CONNECT a:1 HTTP/1.1\r\n",
        b"SSH-2.0-",
        b"\x00\x07\x81\x80\x00\x01\x00\x03\x00\x00\x00\x00\x03www\x00\x00\x01\x00\x01\xc0\x0c\x00\x01\x00\x01\x00\x00",
        b"\x00\x40\x00\x07\x81\x80\x00\x01\x00\x03\x00\x00\x00\x00\x03www\x00\x00\x01\x00\x01\xc0\x0c\x00\x01\x00\x01",
        b"\x01\x01\x06\x00" + bytes(232) + bytes.fromhex("63825363"),
        b"\x01abc\x00\x27\x00\x10\x00",
        b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12),
        b"220 smtp SMTP\r\n",
        b"\x10\x10\x00\x04MQTT",
        b"\x03\x00\x00\x13\x0e\xe0",
        b"\x80\x1c\x01\x03\x01\x00\x06\x00\x00\x00\x10",
    ]
)
PAYLOADS = st.builds(lambda begin, rest: begin + rest, BEGINNINGS, st.binary(max_size=300)).filter(bool)


class Buffers:
    """A flow's buffers with canaries on both sides of each."""

    def __init__(self, out_bytes: int) -> None:
        self.wide = {
            "memory": np.full(8192 + 2 * CANARY, 0xC7, dtype=np.uint8),
            "notes": np.full(16 + 2 * CANARY, -7, dtype=np.int64),
            "out": np.full(out_bytes + 2 * CANARY, 0xC7, dtype=np.uint8),
        }
        self.memory, self.notes, self.out = (wide[CANARY:-CANARY] for wide in self.wide.values())
        self.notes[:] = 0

    def show(self, payload: bytes, protocol: int, ports: tuple[int, int], forward: bool) -> int:
        data = np.full(len(payload) + 2 * CANARY, 0x2E, dtype=np.uint8)
        data[CANARY:-CANARY] = np.frombuffer(payload, dtype=np.uint8)
        before = data.tobytes()
        verdict, length = sniff(
            data,
            np.int64(CANARY),
            np.int64(CANARY + len(payload)),
            np.uint8(protocol),
            np.uint16(ports[0]),
            np.uint16(ports[1]),
            forward,
            self.memory,
            self.notes,
            self.out,
        )
        assert verdict in (NOTHING, DONE, MORE)
        assert data.tobytes() == before
        assert 0 <= self.notes[MEMORY_USED] <= 8192
        for wide in self.wide.values():
            filler = -7 if wide.dtype == np.int64 else 0xC7
            assert (wide[:CANARY] == filler).all() and (wide[-CANARY:] == filler).all()
        decode_items(self.out[:length].tobytes())
        return int(verdict)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.tuples(PAYLOADS, st.booleans()), min_size=1, max_size=8),
    st.sampled_from([6, 17]),
    st.tuples(PORTS, PORTS),
    st.sampled_from([2048, 2048, 300, 10, 0]),
)
def test_any_bytes_are_borne(
    payloads: list[tuple[bytes, bool]], protocol: int, ports: tuple[int, int], out_bytes: int
) -> None:
    buffers = Buffers(out_bytes)
    for payload, forward in payloads:
        if buffers.show(payload, protocol, ports if forward else ports[::-1], forward) != MORE:
            break


@settings(max_examples=200, deadline=None)
@given(
    st.data(),
    st.sampled_from([0, 1, 2]),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6),
)
def test_a_true_hello_with_changed_bytes_is_borne(
    data: st.DataObject, form: int, changes: list[tuple[int, int]]
) -> None:
    extensions = b"".join(
        struct.pack(">HH", kind, len(content)) + content
        for kind, content in (
            (0, b"\0\x06\0\0\x03abc"),
            (16, b"\0\x03\x02h2"),
            (43, b"\x04\x03\x04\x03\x03"),
            (13, b"\0\x04\x04\x03\x08\x04"),
        )
    )
    body = b"\x03\x03" + bytes(32) + b"\0" + (b"\0" if form == 2 else b"") + b"\0\x04\x13\x01\x13\x02\x01\0"
    body += struct.pack(">H", len(extensions)) + extensions
    hello = b"\x01" + len(body).to_bytes(3, "big") + body
    if form < 2:
        payload = b"\x16\x03\x01" + struct.pack(">H", len(hello)) + hello
    else:
        piece = hello[:4] + b"\0\0" + bytes(3) + hello[1:4] + body
        payload = b"\x16\xfe\xfd" + bytes(8) + struct.pack(">H", len(piece)) + piece
    changed = bytearray(payload)
    for place, value in changes:
        changed[place % len(changed)] = value
    buffers = Buffers(2048)
    cut = data.draw(st.integers(1, len(changed)))
    for part in (bytes(changed[:cut]), bytes(changed[cut:])):
        if part and buffers.show(part, 17 if form == 2 else 6, (4000, 443), True) != MORE:
            break
