"""Frames built by hand, each with what must be read from it."""

import struct
from typing import Any

import numpy as np
import pytest
from numba import njit

from flowlore.sources.packets.headers import notes as note_bits
from flowlore.sources.packets.headers.frames import new_fragment_table, parse_frames
from flowlore.sources.packets.headers.keys import key_words, source_is_lower
from flowlore.sources.packets.headers.link_types import LINK_TYPES
from flowlore.sources.packets.headers.links import first_layer
from flowlore.sources.packets.headers.notes import NOTES
from flowlore.sources.packets.layout import FRAME, NO_MPLS, NO_VLAN, PACKET, REASONS, TUNNELS, Records

A, B, C, D = b"\x0a\0\0\1", b"\x0a\0\0\2", b"\xc0\xa8\0\3", b"\xc0\xa8\0\4"
A6, B6 = bytes.fromhex("20010db8000000000000000000000001"), bytes.fromhex("20010db8000000000000000000000002")
MACS = bytes.fromhex("0102030405060708090a0b0c")  # to, from


def tcp(src: int = 1234, dst: int = 80, payload: bytes = b"hello", flags: int = 0x18, words: int = 5) -> bytes:
    options = bytes(words * 4 - 20) if words > 5 else b""
    return struct.pack(">HHIIBBHHH", src, dst, 7, 9, words << 4, flags, 500, 0, 0) + options + payload


def udp(src: int = 1234, dst: int = 53, payload: bytes = b"hello", length: int | None = None) -> bytes:
    return struct.pack(">HHHH", src, dst, len(payload) + 8 if length is None else length, 0) + payload


def ipv4(
    payload: bytes,
    protocol: int = 6,
    src: bytes = A,
    dst: bytes = B,
    total: int | None = None,
    fragment: int = 0,
    identification: int = 1,
    options: bytes = b"",
) -> bytes:
    words = 5 + len(options) // 4
    length = words * 4 + len(payload) if total is None else total
    fixed = struct.pack(">BBHHHBBH", 0x40 | words, 3, length, identification, fragment, 64, protocol, 0)
    return fixed + src + dst + options + payload


def ipv6(payload: bytes, protocol: int = 6, src: bytes = A6, dst: bytes = B6, length: int | None = None) -> bytes:
    return (
        struct.pack(">IHBB", 0x60300000, len(payload) if length is None else length, protocol, 63) + src + dst + payload
    )


def ethernet(payload: bytes, kind: int = 0x0800, macs: bytes = MACS) -> bytes:
    return macs + struct.pack(">H", kind) + payload


class Reader:
    """Reads frames one after the other with one fragment table."""

    def __init__(self, *, max_nesting: int = 8, follow_tunnels: bool = True) -> None:
        self.fragments = new_fragment_table(64)
        self.notes = np.zeros(len(NOTES), np.int64)
        self.max_nesting, self.follow_tunnels = max_nesting, follow_tunnels
        self.packets: Records = np.zeros(0, PACKET)

    def read(
        self, frame: bytes, *, link: int = 1, captured: int | None = None, wire: int | None = None, time_ns: int = 1
    ) -> Any:
        held = len(frame) if captured is None else captured
        data = np.frombuffer(b"\xee" * 5 + frame[:held] + b"\xee" * 5, np.uint8).copy()
        frames = np.zeros(1, FRAME)
        frames[0] = (time_ns, 5, held, max(len(frame), held) if wire is None else wire, link, 0)
        self.packets = np.full(1, 255, np.uint8).repeat(PACKET.itemsize).view(PACKET)  # whatever was there before
        parse_frames(data, frames, self.packets, self.fragments, self.notes, self.max_nesting, self.follow_tunnels)
        return self.packets[0]

    def note(self, name: str) -> int:
        return int(self.notes[NOTES.index(name)])


@pytest.fixture
def reader() -> Reader:
    return Reader()


def address(high: int, low: int) -> bytes:
    whole = struct.pack(">QQ", high, low)
    return whole[12:] if whole.startswith(bytes(10) + b"\xff\xff") else whole


def ends(packet: Any) -> tuple[bytes, int, bytes, int]:
    src, dst = address(packet["src_high"], packet["src_low"]), address(packet["dst_high"], packet["dst_low"])
    return src, int(packet["src_port"]), dst, int(packet["dst_port"])


def reason(packet: Any) -> str:
    return REASONS[packet["verdict"]]


def tunnel(packet: Any) -> tuple[str, int]:
    return TUNNELS[packet["tunnel"]], int(packet["tunnel_id"])


def test_ethernet_ipv4_tcp_gives_every_field(reader: Reader) -> None:
    packet = reader.read(ethernet(ipv4(tcp(words=6)) + b"padding"), time_ns=42)
    assert ends(packet) == (A, 1234, B, 80)
    got = {name: int(packet[name]) for name in PACKET.names or ()}
    expected = {
        "time_ns": 42, "frame_bytes": 14 + 49 + 7, "ip_bytes": 49, "payload_bytes": 5, "payload_captured": 5,
        "payload_start": 5 + 14 + 20 + 24, "sequence": 7, "acknowledgement": 9, "window": 500, "tcp_flags": 0x18,
        "ttl": 64, "tos": 3, "protocol": 6, "vlan": NO_VLAN, "inner_vlan": NO_VLAN, "mpls": NO_MPLS, "tunnel": 0,
        "tunnel_id": 0, "verdict": 0, "has_macs": 3, "dst_mac": 0x010203040506, "src_mac": 0x0708090A0B0C,
    }  # fmt: skip
    assert {name: got[name] for name in expected} == expected


def test_ipv6_udp(reader: Reader) -> None:
    packet = reader.read(ethernet(ipv6(udp(), 17), 0x86DD))
    assert ends(packet) == (A6, 1234, B6, 53)
    assert (packet["ip_bytes"], packet["payload_bytes"], packet["ttl"], packet["tos"]) == (53, 5, 63, 3)


@njit
def _first_layer(link: int) -> int:
    return first_layer(link)


def test_every_link_type_that_is_named_is_read() -> None:
    assert [link for link in range(400) if _first_layer(link)] == sorted(LINK_TYPES)


IP = ipv4(tcp())
SNAP = b"\xaa\xaa\3\0\0\0\x08\0"
WLAN = b"\x08\x01\0\0" + bytes(6) + MACS[6:] + MACS[:6] + bytes(2) + SNAP  # to an access point


@pytest.mark.parametrize(
    ("link", "header"),
    [
        (0, b"\2\0\0\0"),
        (0, b"\0\0\0\2"),
        (9, b"\0\x21"),
        (9, b"\xff\3\0\x21"),
        (9, b"\x21"),
        (10, b"\x57" + MACS + SNAP),
        (12, b""),
        (50, b"\xff\3\0\x21"),
        (50, b"\x0f\0\x08\0"),
        (51, b"\x11\0\0\7" + struct.pack(">H", len(IP) + 2) + b"\0\x21"),
        (100, SNAP),
        (101, b""),
        (104, b"\x0f\0\x08\0"),
        (105, WLAN),
        (105, b"\x88\x02\0\0" + MACS + bytes(6) + bytes(2) + b"\0\0" + SNAP),
        (108, b"\0\0\0\2"),
        (113, b"\0\0\0\1\0\6" + MACS[6:] + b"\0\0\x08\0"),
        (119, struct.pack("<II", 0x44, 144) + bytes(136) + WLAN),
        (119, struct.pack(">II", 0x80211001, 64) + bytes(56) + WLAN),
        (127, struct.pack("<BBHI", 0, 0, 8, 0) + WLAN),
        (127, struct.pack("<BBHIQBB", 0, 0, 18, 3, 0, 0, 0) + WLAN),
        (163, struct.pack(">II", 0x80211001, 64) + bytes(56) + WLAN),
        (192, struct.pack("<BBHI", 0, 0, 8, 1) + MACS + b"\x08\0"),
        (228, b""),
        (239, b"\2\0\0\0" + struct.pack("<HH", 5, 10) + b"x\0\0\0" + struct.pack("<HH", len(IP) + 4, 9)),
        (242, bytes(40) + b"\x08\0\0\0"),
        (276, b"\x08\0\0\0\0\0\0\1\0\1\0\6" + MACS[6:] + b"\0\0"),
    ],
)
def test_link_types(reader: Reader, link: int, header: bytes) -> None:
    packet = reader.read(header + IP, link=link)
    assert (reason(packet), ends(packet)) == ("", (A, 1234, B, 80))
    if link in (10, 113, 276) or header.endswith(WLAN):
        assert packet["src_mac"] == 0x0708090A0B0C
    for cut in range(1, len(header)):
        assert reason(reader.read(header, link=link, captured=cut)) not in ("", "unknown-link-type")
    assert "ip" in reason(reader.read(header + IP, link=link, captured=len(header) + 12)) or link == 239


def test_wireless_check_sequence_is_no_payload(reader: Reader) -> None:
    frame = struct.pack("<BBHIB", 0, 0, 9, 2, 0x10) + WLAN + ipv4(tcp(payload=b""), total=0) + b"FCS!"
    assert reader.read(frame, link=127)["payload_bytes"] == 0


@pytest.mark.parametrize(
    ("link", "frame", "expected"),
    [
        (147, IP, "unknown-link-type"),
        (1, b"", "zero-length-record"),
        (1, MACS, "cut-link-header"),
        (1, ethernet(bytes(46), 0x0806), "not-ip"),
        (1, ethernet(b"\x42\x42\3" + bytes(35), 38), "not-ip"),
        (1, ethernet(bytes(20), 0x8863), "ppp-control"),
        (9, b"\xc0\x21\1\1", "ppp-control"),
        (1, ethernet(b"\x55" + IP[1:]), "bad-ip-header"),
        (1, ethernet(b"\x44" + IP[1:]), "bad-ip-header"),
        (1, ethernet(ipv4(tcp(), total=19)), "bad-ip-header"),
        (1, ethernet(ipv4(tcp(words=4))), "bad-transport-header"),
        (1, ethernet(ipv4(tcp(words=15)[:40])), "bad-transport-header"),
        (1, ethernet(ipv4(udp(length=7), 17)), "bad-transport-header"),
        (1, ethernet(ipv4(b"", 17)), "bad-transport-header"),
        (1, ethernet(ipv6(b"\0" * 4, 0), 0x86DD), "bad-ip-header"),
        (1, ethernet(b"\0\1\x81\0" * 9 + IP, 0x8100), "too-many-headers"),
        (105, b"\x80\0" + bytes(40), "wireless-management"),
        (105, b"\x48\0" + bytes(40), "wireless-management"),
        (105, b"\x08\x40" + bytes(40), "wireless-encrypted"),
        (105, b"\x0b\0" + bytes(40), "wireless-bad-header"),
        (105, b"\x08\0" + bytes(20) + b"\1\0" + SNAP + IP, "wireless-fragment"),
    ],
)
def test_reasons(reader: Reader, link: int, frame: bytes, expected: str) -> None:
    packet = reader.read(frame, link=link)
    assert reason(packet) == expected
    assert packet["frame_bytes"] == len(frame)
    assert not packet["key_hash"]


def test_time_before_1970_is_no_time(reader: Reader) -> None:
    assert reason(reader.read(ethernet(IP), time_ns=-1)) == "bad-time"
    assert reason(reader.read(ethernet(IP), time_ns=0)) == ""


def test_tags_and_labels(reader: Reader) -> None:
    packet = reader.read(ethernet(b"\x20\5\x81\0" + b"\0\6\x08\0" + IP, 0x88A8))
    assert (packet["vlan"], packet["inner_vlan"], reason(packet)) == (5, 6, "")
    labels = struct.pack(">II", 17 << 12 | 64, 18 << 12 | 0x100 | 64)
    for inside in (IP, ipv6(tcp()), ethernet(IP), bytes(4) + ethernet(IP)):
        packet = reader.read(ethernet(labels + inside, 0x8847))
        assert (packet["mpls"], packet["src_port"], reason(packet)) == (17, 1234, "")
    session = b"\x11\0\0\7" + struct.pack(">H", len(IP) + 2) + b"\0\x21" + IP + b"padding"
    assert ends(reader.read(ethernet(session, 0x8864))) == (A, 1234, B, 80)


def test_padding_and_claims(reader: Reader) -> None:
    packet = reader.read(ethernet(ipv4(tcp(payload=b"")) + bytes(6)))
    assert (packet["payload_bytes"], packet["payload_captured"]) == (0, 0)
    packet = reader.read(ethernet(ipv4(tcp(), total=1500)))
    assert (packet["ip_bytes"], packet["payload_bytes"], packet["payload_captured"]) == (1500, 1460, 5)
    assert reader.note("ip-longer-than-wire") == 1
    packet = reader.read(ethernet(ipv4(tcp(), total=0)))
    assert (packet["ip_bytes"], packet["payload_bytes"]) == (45, 5)
    packet = reader.read(ethernet(ipv6(tcp(), length=0), 0x86DD))
    assert (packet["ip_bytes"], packet["payload_bytes"]) == (65, 5)
    assert reader.note("zero-total-length") == 2
    packet = reader.read(ethernet(ipv4(udp(length=0), 17, total=0)))
    assert (packet["payload_bytes"], reason(reader.read(ethernet(ipv4(udp(length=0), 17))))) == (
        5,
        "bad-transport-header",
    )
    packet = reader.read(ethernet(ipv4(udp(length=10), 17)))
    assert (packet["payload_bytes"], reader.note("udp-length-mismatch")) == (2, 1)


def test_jumbogram(reader: Reader) -> None:
    option = struct.pack(">BBBBI", 6, 0, 0xC2, 4, 70_028)
    frame = ethernet(ipv6(option + tcp(payload=bytes(70_000)), 0, length=0), 0x86DD)
    packet = reader.read(frame, captured=200)
    assert (packet["ip_bytes"], packet["payload_bytes"], reason(packet)) == (70_068, 70_000, "")
    assert reason(reader.read(frame[:14] + ipv6(b"\6\0" + bytes(6) + tcp(), 0, length=0))) == "bad-ip-header"


def test_snapped_transport(reader: Reader) -> None:
    frame = ethernet(ipv4(tcp(payload=bytes(100))))
    for captured in range(34, 54):
        packet = reader.read(frame, captured=captured)
        if captured < 38:
            assert reason(packet) == "cut-transport-header"
        else:
            assert ends(packet) == (A, 1234, B, 80)
            assert (packet["payload_bytes"], packet["payload_captured"]) == (100, 0)
            assert packet["sequence"] == (7 if captured >= 42 else 0)
            assert packet["tcp_flags"] == (0x18 if captured >= 48 else 0)
    assert reader.note("snapped-transport") == 54 - 38


def test_extension_headers(reader: Reader) -> None:
    authentication = struct.pack(">BBHII", 6, 2, 0, 1, 1) + bytes(4)
    chain = b"\x2b\0" + bytes(6) + b"\x3c\0" + bytes(6) + b"\x33\0" + bytes(6) + authentication + tcp()
    assert ends(reader.read(ethernet(ipv6(chain, 0), 0x86DD))) == (A6, 1234, B6, 80)
    assert ends(reader.read(ethernet(ipv4(authentication + tcp(), 51)))) == (A, 1234, B, 80)
    assert reason(Reader(max_nesting=3).read(ethernet(ipv6(chain, 0), 0x86DD))) == "too-many-headers"
    nothing = reader.read(ethernet(ipv6(b"", 59), 0x86DD))
    assert (nothing["protocol"], nothing["ip_bytes"], reason(nothing)) == (59, 40, "")
    mobility = reader.read(ethernet(ipv6(b"\x3b\0" + bytes(6), 135), 0x86DD))
    assert (mobility["protocol"], mobility["src_port"]) == (135, 0)


@pytest.mark.parametrize(
    ("protocol", "payload", "ports", "payload_bytes"),
    [
        (33, struct.pack(">HHB", 7, 8, 4) + bytes(11) + b"xyz", (7, 8), 3),
        (132, struct.pack(">HH", 7, 8) + bytes(8) + b"xyz", (7, 8), 3),
        (136, struct.pack(">HHHH", 7, 8, 8, 0) + b"xyz", (7, 8), 3),
        (1, b"\x08\0" + bytes(6) + b"xyz", (8, 0), 3),
        (1, b"\0\0" + bytes(6), (0, 8), 0),
        (1, b"\3\1" + bytes(6), (3, 1), 0),
        (58, b"\x80\0" + bytes(6), (128, 129), 0),
        (58, b"\x88\0" + bytes(6), (136, 135), 0),
        (2, bytes(8), (0, 0), 8),
        (50, bytes(24), (0, 0), 24),
        (89, b"", (0, 0), 0),
    ],
)
def test_protocols(reader: Reader, protocol: int, payload: bytes, ports: tuple[int, int], payload_bytes: int) -> None:
    packet = reader.read(ethernet(ipv4(payload, protocol)))
    assert (reason(packet), packet["protocol"], packet["payload_bytes"]) == ("", protocol, payload_bytes)
    assert (packet["src_port"], packet["dst_port"]) == ports


INSIDE = ipv4(tcp(5555, 443), src=C, dst=D)
INSIDE_6 = ipv6(tcp(5555, 443))


@pytest.mark.parametrize(
    ("packet", "name", "number"),
    [
        (ipv4(INSIDE, 4), "ipip", 0),
        (ipv4(INSIDE_6, 41), "6in4", 0),
        (ipv6(INSIDE, 4), "4in6", 0),
        (ipv6(INSIDE_6, 41), "6in6", 0),
        (ipv4(b"\0\0\x08\0" + INSIDE, 47), "gre", 0),
        (ipv4(b"\xb0\0\x08\0" + bytes(4) + b"\0\0\0\x63" + bytes(4) + INSIDE, 47), "gre", 99),
        (ipv4(b"\x40\0\x08\0" + bytes(4) + b"\0\0\0\4abcd" + bytes(4) + INSIDE, 47), "gre", 0),
        (ipv4(b"\x20\0\x65\x58\0\0\0\x63" + ethernet(INSIDE), 47), "gre", 99),
        (ipv4(b"\x30\x81\x88\x0b\0\x40\0\7" + bytes(8) + b"\xff\3\0\x21" + INSIDE, 47), "gre", 0),
        (ipv4(b"\x10\0\x88\xbe\0\0\0\1" + b"\x10\0\0\x63" + bytes(4) + ethernet(INSIDE), 47), "erspan", 99),
        (ipv4(udp(9, 4789, b"\x08\0\0\0\0\0\x63\0" + ethernet(INSIDE)), 17), "vxlan", 99),
        (ipv4(udp(9, 8472, b"\x08\0\0\0\0\0\x63\0" + ethernet(b"\0\5\x08\0" + INSIDE, 0x8100)), 17), "vxlan", 99),
        (ipv4(udp(9, 4790, b"\x0c\0\0\1\0\0\x63\0" + INSIDE), 17), "vxlan", 99),
        (ipv4(udp(9, 6081, b"\1\0\x65\x58\0\0\x63\0" + bytes(4) + ethernet(INSIDE)), 17), "geneve", 99),
        (ipv4(udp(6081, 9, b"\0\0\x08\0\0\0\x63\0" + INSIDE), 17), "geneve", 99),
        (ipv4(udp(9, 2152, b"\x30\xff" + struct.pack(">HI", len(INSIDE), 99) + INSIDE), 17), "gtp-u", 99),
        (
            ipv4(
                udp(2152, 2152, b"\x34\xff" + struct.pack(">HI", len(INSIDE) + 8, 99) + b"\0\0\0\x85\1xx\0" + INSIDE),
                17,
            ),
            "gtp-u",
            99,
        ),
        (ipv4(udp(3544, 9, INSIDE_6), 17), "teredo", 0),
        (ipv4(udp(9, 3544, b"\0\1\0\0" + bytes(9) + b"\0\0" + bytes(6) + INSIDE_6), 17), "teredo", 0),
    ],
)
def test_tunnels(reader: Reader, packet: bytes, name: str, number: int) -> None:
    kind = 0x0800 if packet[0] >> 4 == 4 else 0x86DD
    inner = reader.read(ethernet(packet, kind))
    assert tunnel(inner) == (name, number)
    assert (inner["src_port"], inner["dst_port"], inner["protocol"], inner["payload_bytes"]) == (5555, 443, 6, 5)
    assert inner["frame_bytes"] == 14 + len(packet)
    outer = Reader(follow_tunnels=False).read(ethernet(packet, kind))
    assert tunnel(outer) == ("", 0)
    assert ends(outer)[::2] == ((A, B) if kind == 0x0800 else (A6, B6))
    broken = reader.read(ethernet(packet, kind), captured=14 + len(packet) - 30)
    assert ends(broken)[::2] == ends(outer)[::2], "what cannot be read inside leaves the outer flow"
    assert reader.note("tunnel-without-ip") == 1 or name in ("teredo", "gtp-u")


def test_what_only_looks_like_a_tunnel_stays_outside(reader: Reader) -> None:
    for payload, port in (
        (b"\x08\0\0\0\0\0\x63\1" + ethernet(INSIDE), 4789),
        (b"\x00\0\0\0\0\0\x63\0" + ethernet(INSIDE), 4789),
        (b"\x30\xff" + struct.pack(">HI", len(INSIDE) + 1, 99) + INSIDE, 2152),
        (b"\x32\x01\0\0", 2152),
        (b"\x80\0\x65\x58\0\0\x63\0" + ethernet(INSIDE), 6081),
        (b"\x60" + bytes(60), 9999),
    ):
        packet = reader.read(ethernet(ipv4(udp(9, port, payload), 17)))
        assert (tunnel(packet), packet["dst_port"]) == (("", 0), port)
    assert not reader.notes.any()


def test_an_inner_ethernet_header_names_the_link(reader: Reader) -> None:
    macs = bytes(range(20, 32))
    tagged = ethernet(b"\0\7\x08\0" + INSIDE, 0x8100, macs)
    outer = ethernet(b"\0\5\x08\0" + ipv4(udp(9, 4789, b"\x08\0\0\0\0\0\x63\0" + tagged), 17), 0x8100)
    packet = reader.read(outer)
    assert (packet["vlan"], packet["inner_vlan"]) == (7, NO_VLAN)
    assert packet["dst_mac"] == int.from_bytes(macs[:6], "big")


def test_later_fragments_join_the_flow_of_the_first(reader: Reader) -> None:
    whole = udp(1234, 53, bytes(40))
    first, later = ipv4(whole[:24], 17, fragment=0x2000), ipv4(whole[24:], 17, fragment=3)
    early = reader.read(ethernet(later), time_ns=0)
    assert (ends(early), early["payload_bytes"], reader.note("fragments-without-first")) == ((A, 0, B, 0), 24, 1)
    opened = int(reader.read(ethernet(first), time_ns=5)["key_hash"])
    packet = reader.read(ethernet(later), time_ns=6)
    assert (ends(packet), packet["key_hash"]) == ((A, 1234, B, 53), opened)
    assert (packet["payload_bytes"], packet["ip_bytes"]) == (24, 44)
    other = reader.read(ethernet(ipv4(whole[24:], 17, fragment=3, identification=2)), time_ns=7)
    assert ends(other) == (A, 0, B, 0)
    late = reader.read(ethernet(later), time_ns=6 + 30_000_000_000)
    assert ends(late) == (A, 0, B, 0)
    assert (reader.note("fragments"), reader.note("fragments-without-first")) == (5, 3)


def test_ipv6_fragments_and_those_of_tunnels(reader: Reader) -> None:
    whole = tcp(payload=bytes(40))
    first, later = (
        b"\6\0" + struct.pack(">HI", field, 77) + part for field, part in ((1, whole[:32]), (32, whole[32:]))
    )
    opened = reader.read(ethernet(ipv6(first, 44), 0x86DD))
    packet = reader.read(ethernet(ipv6(later, 44), 0x86DD))
    assert ends(packet) == (A6, 1234, B6, 80) == ends(opened)
    carried = b"\0\0\x08\0" + INSIDE
    opened = reader.read(ethernet(ipv4(carried[:64], 47, fragment=0x2000)))
    packet = reader.read(ethernet(ipv4(carried[64:], 47, fragment=8)))
    assert (ends(packet), tunnel(packet)) == (ends(opened), tunnel(opened)) == ((C, 5555, D, 443), ("gre", 0))
    atomic = reader.read(ethernet(ipv6(b"\6\0\0\0" + bytes(4) + tcp(), 44), 0x86DD))
    assert (ends(atomic), reader.note("fragments")) == ((A6, 1234, B6, 80), 4)


def test_the_fragment_table_is_bounded_and_its_bytes_are_its_state() -> None:
    reader = Reader()
    for number in range(1000):
        reader.read(ethernet(ipv4(udp(number, 53), 17, fragment=0x2000, identification=number)), time_ns=number)
    assert reader.note("fragments-evicted") >= 1000 - len(reader.fragments)
    saved = np.frombuffer(reader.fragments.tobytes(), reader.fragments.dtype).copy()
    reader.fragments = saved
    assert ends(reader.read(ethernet(ipv4(b"rest", 17, fragment=3, identification=999)), time_ns=1000))[1] == 999


def test_keys_are_equal_in_both_directions_and_differ_otherwise() -> None:
    reader = Reader()

    def key(frame: bytes) -> tuple[Any, ...]:
        packet = reader.read(frame)
        return int(packet["key_hash"]), *(int(word) for word in key_words(reader.packets, 0))

    there = key(ethernet(ipv4(tcp(1234, 80))))
    assert source_is_lower(reader.packets, 0)
    back = key(ethernet(ipv4(tcp(80, 1234), src=B, dst=A)))
    assert not source_is_lower(reader.packets, 0)
    assert there == back

    def gtp(teid: int) -> bytes:
        return ethernet(ipv4(udp(2152, 2152, b"\x30\xff" + struct.pack(">HI", len(INSIDE), teid) + INSIDE), 17))

    def vxlan(number: int) -> bytes:
        return ethernet(ipv4(udp(9, 4789, struct.pack(">II", 8 << 24, number << 8) + ethernet(INSIDE)), 17))

    assert key(gtp(1)) == key(gtp(2)), "each direction of GTP-U has its own tunnel id"
    frames = [
        ethernet(ipv4(tcp(1234, 80))),
        ethernet(ipv4(tcp(80, 1234))),
        ethernet(ipv4(udp(1234, 80), 17)),
        ethernet(ipv4(tcp(1234, 80), src=C)),
        ethernet(b"\0\5\x08\0" + IP, 0x8100),
        ethernet(b"\0\5\x81\0\0\5\x08\0" + IP, 0x8100),
        ethernet(INSIDE),
        gtp(1),
        vxlan(1),
        vxlan(2),
        ethernet(ipv4(INSIDE, 4)),
    ]
    keys = [key(frame) for frame in frames]
    assert len({words[0] for words in keys}) == len({words[1:] for words in keys}) == len(frames)
    ping, pong = ipv4(b"\x08\0" + bytes(6), 1), ipv4(bytes(8), 1, src=B, dst=A)
    assert key(ethernet(ping)) == key(ethernet(pong))
    unreachable = ipv4(b"\3\1" + bytes(6), 1), ipv4(b"\3\1" + bytes(6), 1, src=B, dst=A)
    assert key(ethernet(unreachable[0])) != key(ethernet(unreachable[1]))


def test_each_note_has_its_bit() -> None:
    for place, name in enumerate(NOTES):
        assert getattr(note_bits, name.upper().replace("-", "_")) == 1 << place
