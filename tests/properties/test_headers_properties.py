"""Whatever bytes arrive: no exception, no read outside the frame, and both directions share a key."""

import struct

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from flowlore.sources.packets.headers.frames import new_fragment_table, parse_frame, parse_frames
from flowlore.sources.packets.headers.keys import key_words
from flowlore.sources.packets.headers.link_types import LINK_TYPES
from flowlore.sources.packets.headers.notes import NOTES
from flowlore.sources.packets.headers.walk import WALK
from flowlore.sources.packets.layout import FRAME, PACKET, REASONS, TUNNELS, Bytes, Counts, Records

LINKS = st.sampled_from([*LINK_TYPES, 147, 999])
PORTS = st.sampled_from([53, 80, 443, 2152, 3544, 4789, 4790, 6081, 8472, 65_535])
PROTOCOLS = st.sampled_from([0, 1, 4, 6, 17, 33, 41, 43, 44, 47, 50, 51, 58, 59, 60, 89, 132, 135, 136])
ADDRESSES = st.binary(min_size=4, max_size=4)


def ethernet(payload: bytes, kind: int) -> bytes:
    return bytes(12) + struct.pack(">H", kind) + payload


@st.composite
def transports(draw: st.DrawFn) -> bytes:
    """Beginnings of real headers, so that the walk gets past the first of them."""
    rest = draw(st.binary(max_size=60))
    form = draw(st.integers(0, 4))
    if form == 0:
        return struct.pack(">HHIIBBHHH", draw(PORTS), draw(PORTS), 1, 2, draw(st.integers(0, 255)), 2, 3, 0, 0) + rest
    if form == 1:
        return struct.pack(">HHHH", draw(PORTS), draw(PORTS), draw(st.sampled_from([0, 8 + len(rest), 9])), 0) + rest
    if form == 2:
        kind = draw(st.sampled_from([0x0800, 0x86DD, 0x6558, 0x880B, 0x88BE, 0x22EB, 0x883E, 0x8847, 0x8210]))
        return struct.pack(">HH", draw(st.sampled_from([0, 0x2000, 0x3001, 0x4000, 0x1000])), kind) + rest
    return rest


@st.composite
def internet(draw: st.DrawFn) -> bytes:
    inside = draw(st.one_of(transports(), internet(), st.binary(max_size=40)))
    protocol, fragment = draw(PROTOCOLS), draw(st.sampled_from([0, 0, 0, 0x2000, 3]))
    if draw(st.booleans()):
        length = draw(st.sampled_from([20 + len(inside), 0, 19, 60_000]))
        head = struct.pack(
            ">BBHHHBBH", draw(st.sampled_from([0x45, 0x46, 0x44])), 0, length, 7, fragment, 64, protocol, 0
        )
        return head + draw(ADDRESSES) + draw(ADDRESSES) + inside
    length = draw(st.sampled_from([len(inside), 0, 1, 60_000]))
    return struct.pack(">IHBB", 0x60000000, length, protocol, 64) + bytes(32) + inside


@st.composite
def ethernet_frames(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from([0x0800, 0x0800, 0x86DD, 0x86DD, 0x8847, 0x8864, 0x8100, 0x88A8, 0x6558, 0x8903, 40]))
    inside = draw(internet())
    if kind in (0x8100, 0x88A8):
        inside = b"\0\5" + draw(st.sampled_from([b"\x08\0", b"\x86\xdd", b"\x81\0\0\1\x08\0"])) + inside
    return ethernet(inside, kind)


def read(
    frame: bytes, link: int, canary: int, *, wire: int = 0, follow_tunnels: bool = True, layer_by_layer: bool = False
) -> tuple[Records, Counts]:
    data = np.frombuffer(bytes([canary]) * 70 + frame + bytes([canary]) * 70, np.uint8).copy()
    frames, packets = np.zeros(1, FRAME), np.zeros(1, PACKET)
    frames[0] = (1, 70, len(frame), max(wire, len(frame)), link, 0)
    notes, fragments = np.zeros(len(NOTES), np.int64), new_fragment_table(16)
    if layer_by_layer:
        walks = np.zeros(1, WALK)
        walks["nesting_limit"], walks["follow_tunnels"] = 8, follow_tunnels
        _parse_layer_by_layer(data, frames, packets, fragments, notes, walks)
    else:
        parse_frames(data, frames, packets, fragments, notes, 8, follow_tunnels)
    return packets, notes


@njit(nogil=True)
def _parse_layer_by_layer(
    data: Bytes, frames: Records, packets: Records, fragments: Records, notes: Counts, walks: Records
) -> None:
    parse_frame(data, frames, packets, 0, fragments, notes, walks[0])


@settings(max_examples=400, deadline=None)
@given(frame=st.one_of(st.binary(max_size=200), internet(), ethernet_frames()), link=LINKS, data=st.data())
def test_any_bytes_of_any_link_type(frame: bytes, link: int, data: st.DataObject) -> None:
    held = frame[: data.draw(st.integers(0, len(frame)))]
    packets, notes = read(held, link, 0x00, wire=len(frame))
    packet = packets[0]
    assert packet["verdict"] < len(REASONS)
    assert packet["tunnel"] < len(TUNNELS)
    assert packet["frame_bytes"] == len(frame)
    assert packet["payload_captured"] <= packet["payload_bytes"]
    if packet["verdict"] == 0:
        assert packet["payload_start"] >= 70
        assert packet["payload_start"] + packet["payload_captured"] <= 70 + len(held)
    for canary in (0x45, 0xFF):  # what stands around the frame cannot matter, unless it was read
        again, noted = read(held, link, canary, wire=len(frame))
        assert (again.tobytes(), noted.tobytes()) == (packets.tobytes(), notes.tobytes())


@settings(max_examples=400, deadline=None)
@given(frame=ethernet_frames(), data=st.data(), follow_tunnels=st.booleans())
def test_the_usual_case_reads_what_the_walk_reads(frame: bytes, data: st.DataObject, follow_tunnels: bool) -> None:
    held = frame[: data.draw(st.integers(max(0, len(frame) - 70), len(frame)))]
    quick, quick_notes = read(held, 1, 0, wire=len(frame), follow_tunnels=follow_tunnels)
    slow, slow_notes = read(held, 1, 0, wire=len(frame), follow_tunnels=follow_tunnels, layer_by_layer=True)
    assert quick[0] == slow[0]
    assert quick_notes.tolist() == slow_notes.tolist()


@settings(max_examples=100, deadline=None)
@given(src=ADDRESSES, dst=ADDRESSES, src_port=PORTS, dst_port=PORTS, protocol=st.sampled_from([6, 17, 132]))
def test_both_directions_have_one_key(src: bytes, dst: bytes, src_port: int, dst_port: int, protocol: int) -> None:
    def packet(addresses: bytes, ports: tuple[int, int]) -> Records:
        body = struct.pack(">HHIIBBHHH", *ports, 0x001C0000, 0, 0x50, 0, 0, 0, 0) + bytes(8)
        if protocol == 17:
            body = body[:4] + struct.pack(">H", len(body)) + body[6:]
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 1, protocol, 0)
        packets, _ = read(ethernet(head + addresses + body, 0x0800), 1, 0, follow_tunnels=False)
        assert packets[0]["verdict"] == 0
        return packets

    there, back = packet(src + dst, (src_port, dst_port)), packet(dst + src, (dst_port, src_port))
    assert there[0]["key_hash"] == back[0]["key_hash"]
    assert key_words(there, 0) == key_words(back, 0)
