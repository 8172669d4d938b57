"""The sniffer, fed with payloads built by hand: every protocol, whole and in pieces."""

import hashlib
import struct
from collections.abc import Sequence

import numpy as np
import pytest

from flowlore.sources.packets.names.notes import MEMORY_USED, PAYLOAD_CUT
from flowlore.sources.packets.names.read import Items, decode_items
from flowlore.sources.packets.names.sniff import sniff
from flowlore.sources.packets.names.tags import DONE, MORE, NOTHING

TCP, UDP = 6, 17


class Talk:
    """A flow under the sniffer's eyes; memory begins as garbage, as it does in the meter."""

    def __init__(self, protocol: int, client_port: int, server_port: int) -> None:
        self.protocol, self.ports = protocol, (client_port, server_port)
        self.memory = np.full(8192, 0xA5, dtype=np.uint8)
        self.notes = np.zeros(16, dtype=np.int64)
        self.out = np.zeros(2048, dtype=np.uint8)
        self.written = b""

    def say(self, payload: bytes, *, server: bool = False) -> int:
        """Show one payload; return the verdict."""
        data = np.frombuffer(b"\xee" * 7 + payload + b"\xdd" * 9, dtype=np.uint8).copy()
        source, target = reversed(self.ports) if server else self.ports
        verdict, length = sniff(
            data,
            np.int64(7),
            np.int64(7 + len(payload)),
            np.uint8(self.protocol),
            np.uint16(source),
            np.uint16(target),
            not server,
            self.memory,
            self.notes,
            self.out,
        )
        self.written += self.out[:length].tobytes()
        return int(verdict)

    @property
    def items(self) -> Items:
        return decode_items(self.written)


def vector(width: int, content: bytes) -> bytes:
    return len(content).to_bytes(width, "big") + content


def extension(kind: int, content: bytes) -> bytes:
    return struct.pack(">H", kind) + vector(2, content)


def client_hello(
    name: bytes | None = b"Www.Example.COM",
    alpn: Sequence[bytes] = (b"h2", b"http/1.1"),
    versions: Sequence[int] = (0x7A7A, 0x0304, 0x0303),
    ciphers: Sequence[int] = (0x0A0A, 0x1301, 0x1303, 0x1302, 0xC02B),
    signatures: Sequence[int] = (0x0904, 0x1A1A, 0x0403, 0x0804),
    padding: int = 0,
    legacy: int = 0x0303,
    cookie: bytes | None = None,
) -> bytes:
    """A handshake message; GREASE stands everywhere it may."""
    extensions = extension(0x2A2A, b"")
    if name is not None:
        extensions += extension(0, vector(2, b"\0" + vector(2, name)))
    if versions:
        extensions += extension(43, vector(1, struct.pack(f">{len(versions)}H", *versions)))
    if alpn:
        extensions += extension(16, vector(2, b"".join(vector(1, one) for one in alpn)))
    if signatures:
        extensions += extension(13, vector(2, struct.pack(f">{len(signatures)}H", *signatures)))
    extensions += extension(10, b"\0\x02\0\x1d")
    if padding:
        extensions += extension(21, bytes(padding))
    body = struct.pack(">H", legacy) + bytes(range(32)) + vector(1, bytes(32))
    body += b"" if cookie is None else vector(1, cookie)
    body += vector(2, struct.pack(f">{len(ciphers)}H", *ciphers)) + b"\x01\x00" + vector(2, extensions)
    return b"\x01" + vector(3, body)


def server_hello(chosen: int | None = 0x0304) -> bytes:
    extensions = extension(51, b"\0\x1d" + vector(2, bytes(32)))
    if chosen is not None:
        extensions += extension(43, struct.pack(">H", chosen))
    body = b"\x03\x03" + bytes(32) + vector(1, bytes(32)) + b"\x13\x01\x00" + vector(2, extensions)
    return b"\x02" + vector(3, body)


def records(message: bytes, size: int = 16384) -> bytes:
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + vector(2, piece) for piece in pieces)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


HELLO_JA4 = f"t13d0405h2_{digest('1301,1302,1303,c02b')}_{digest('000a,000d,002b_0904,0403,0804')}"


def test_tls_in_one_segment_each() -> None:
    talk = Talk(TCP, 40000, 8443)
    assert talk.say(records(client_hello())) == MORE
    assert talk.notes[MEMORY_USED] == 0
    assert talk.say(records(server_hello()), server=True) == DONE
    assert talk.items == {
        "app_protocol": "tls",
        "server_name": "www.example.com",
        "server_name_from": "tls",
        "alpn": "h2,http/1.1",
        "tls_version": 0x0304,
        "ja4": HELLO_JA4,
    }


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 6, 7, 100, 517])
@pytest.mark.parametrize("record", [16384, 60])
def test_tls_cut_anywhere_says_the_same(piece: int, record: int) -> None:
    talk = Talk(TCP, 40000, 443)
    stream = records(client_hello(padding=300), record)
    for at in range(0, len(stream), piece):
        assert talk.say(stream[at : at + piece]) == MORE
    answer = records(server_hello(None), record)
    verdicts = [talk.say(answer[at : at + piece], server=True) for at in range(0, len(answer), piece)]
    assert verdicts[-1] == DONE
    assert set(verdicts[:-1]) <= {MORE}
    assert talk.items["server_name"] == "www.example.com"
    assert talk.items["tls_version"] == 0x0303
    assert talk.items["ja4"].startswith("t13d0406h2_")
    assert talk.written.count(b"www.example.com") == 1


def test_a_server_alone_tells_its_version() -> None:
    talk = Talk(TCP, 40000, 443)
    assert talk.say(records(server_hello()), server=True) == DONE
    assert talk.items == {"app_protocol": "tls", "tls_version": 0x0304}


def test_a_cut_hello_gives_its_name_but_no_fingerprint() -> None:
    talk = Talk(TCP, 40000, 443)
    stream = records(client_hello(padding=600))
    talk.notes[PAYLOAD_CUT] = 1
    assert talk.say(stream[:300]) == MORE
    assert talk.items["server_name"] == "www.example.com"
    assert "ja4" not in talk.items


def test_a_hello_too_long_for_the_memory_gives_its_name_but_no_fingerprint() -> None:
    talk = Talk(TCP, 40000, 443)
    stream = records(client_hello(padding=12000))
    for at in range(0, len(stream), 1400):
        assert talk.say(stream[at : at + 1400]) == MORE
    assert talk.items["server_name"] == "www.example.com"
    assert "ja4" not in talk.items


@pytest.mark.parametrize(
    ("alpn", "shown"),
    [
        ((), "00"),
        ((b"",), "00"),
        ((b"h2",), "h2"),
        ((b"http/1.1",), "h1"),
        ((b"h",), "hh"),
        ((b"\xab",), "ab"),
        ((b"\xab\xcd",), "ad"),
        ((b"\x30\xab",), "3b"),
        ((b"\x30\x31\xab\xcd",), "3d"),
        ((b"\x30\xab\xcd\x31",), "01"),
    ],
)
def test_ja4_shows_the_first_alpn(alpn: Sequence[bytes], shown: str) -> None:
    talk = Talk(TCP, 40000, 443)
    talk.say(records(client_hello(alpn=alpn)))
    assert talk.items["ja4"][8:10] == shown


def test_ja4_without_name_ciphers_or_extensions() -> None:
    talk = Talk(TCP, 40000, 443)
    body = b"\x03\x01" + bytes(32) + b"\x00" + b"\x00\x00" + b"\x01\x00"
    talk.say(records(b"\x01" + vector(3, body)))
    assert talk.items == {"app_protocol": "tls", "tls_version": 0x0301, "ja4": "t10i000000_000000000000_000000000000"}


def test_ja4_counts_stop_at_99() -> None:
    talk = Talk(TCP, 40000, 443)
    ciphers = [*range(0xC000, 0xC0A0)]
    talk.say(records(client_hello(ciphers=ciphers[::-1], signatures=())))
    hashed = digest(",".join(f"{cipher:04x}" for cipher in ciphers))
    assert talk.items["ja4"] == f"t13d9904h2_{hashed}_{digest('000a,002b')}"


def test_ssl2_form_of_the_hello_is_tls() -> None:
    talk = Talk(TCP, 40000, 443)
    hello = b"\x01\x03\x01" + struct.pack(">HHH", 6, 0, 16) + bytes(6) + bytes(16)
    assert talk.say(struct.pack(">H", 0x8000 | len(hello)) + hello) == MORE
    assert talk.say(records(server_hello(None)), server=True) == DONE
    assert talk.items == {"app_protocol": "tls", "tls_version": 0x0303}


def test_tls_after_starttls_keeps_the_application() -> None:
    talk = Talk(TCP, 40000, 587)
    assert talk.say(b"220 mail.example.com ESMTP Postfix\r\n", server=True) == MORE
    assert talk.say(b"EHLO me\r\n") == MORE
    assert talk.say(records(client_hello())) == MORE
    assert talk.say(records(server_hello()), server=True) == DONE
    assert talk.items["app_protocol"] == "smtp"
    assert (talk.items["server_name"], talk.items["ja4"]) == ("www.example.com", HELLO_JA4)


def test_tls_after_the_rdp_handshake_keeps_the_application() -> None:
    talk = Talk(TCP, 40000, 3389)
    assert talk.say(bytes.fromhex("030000130ee000000000000100080003000000")) == MORE
    assert talk.say(bytes.fromhex("030000130ed000001234000200080001000000"), server=True) == MORE
    assert talk.say(records(client_hello())) == MORE
    assert talk.items["app_protocol"] == "rdp"
    assert talk.items["server_name"] == "www.example.com"


def test_tls_inside_connect_names_the_inner_server() -> None:
    talk = Talk(TCP, 40000, 3128)
    assert talk.say(b"CONNECT outer.example:443 HTTP/1.1\r\nHost: outer.example:443\r\n\r\n") == MORE
    assert talk.items["server_name"] == "outer.example"
    assert talk.say(b"HTTP/1.1 200 OK\r\n\r\n", server=True) == MORE
    assert talk.say(records(client_hello())) == MORE
    assert talk.items["app_protocol"] == "http"
    assert talk.items["server_name"] == "www.example.com"
    assert talk.items["server_name_from"] == "tls"


REQUEST = (
    b"GET /a/b?c HTTP/1.1\r\nAccept: */*\r\nhost:  Shop.Example:8080 \r\nUser-Agent: Wget/1.21 (\xc3\xa9\xff)\r\n\r\n"
)
REQUEST_ITEMS = {
    "app_protocol": "http",
    "server_name": "shop.example",
    "server_name_from": "http",
    "user_agent": "Wget/1.21 (é?)",
}


def test_http_request_in_one_segment() -> None:
    talk = Talk(TCP, 40000, 8080)
    assert talk.say(REQUEST) == DONE
    assert talk.items == REQUEST_ITEMS


@pytest.mark.parametrize("cut", range(6, len(REQUEST)))
def test_http_request_cut_anywhere_says_the_same(cut: int) -> None:
    talk = Talk(TCP, 40000, 80)
    if talk.say(REQUEST[:cut]) == MORE:
        assert talk.say(REQUEST[cut:]) == DONE
    assert talk.items == REQUEST_ITEMS


def test_http_methods_that_nobody_knows_need_a_version() -> None:
    assert Talk(TCP, 40000, 80).say(b"FROBNICATE /x HTTP/1.1\r\nHost: a\r\n\r\n") == DONE
    assert Talk(TCP, 40000, 80).say(b"FROBNICATE /x\r\n") == NOTHING
    assert Talk(TCP, 40000, 80).say(b"HELLO WORLD\r\n") == NOTHING


def test_http_that_begins_with_a_response() -> None:
    talk = Talk(TCP, 40000, 80)
    assert talk.say(b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n", server=True) == MORE
    assert talk.say(REQUEST) == DONE
    assert talk.items == REQUEST_ITEMS


def test_a_host_of_ipv6_loses_its_brackets() -> None:
    talk = Talk(TCP, 40000, 80)
    talk.say(b"GET / HTTP/1.1\r\nHost: [2001:db8::1]:81\r\n\r\n")
    assert talk.items["server_name"] == "2001:db8::1"


def dns_name(*labels: bytes) -> bytes:
    return b"".join(vector(1, label) for label in labels) + b"\0"


def dns(flags: int, question: bytes, kind: int, answers: Sequence[bytes] = (), identifier: int = 7) -> bytes:
    header = struct.pack(">6H", identifier, flags, 1, len(answers), 0, 0)
    return header + question + struct.pack(">HH", kind, 1) + b"".join(answers)


def answer(owner: bytes, kind: int, content: bytes, ttl_s: int = 300) -> bytes:
    return owner + struct.pack(">HHI", kind, 1, ttl_s) + vector(2, content)


NAME = dns_name(b"wWw", b"exa\x07mple", b"org")
SHOWN = "www.exa?mple.org"
POINTER = b"\xc0\x0c"
ALIAS = answer(POINTER, 5, dns_name(b"cdn", b"net"), 60)
ADDRESSES = (
    ALIAS,
    answer(dns_name(b"cdn", b"net"), 1, bytes([192, 0, 2, 1])),
    answer(POINTER, 28, bytes(15) + b"\x01"),
)
RESPONSE = dns(0x8180, NAME, 1, ADDRESSES)
RESPONSE_ITEMS = {
    "app_protocol": "dns",
    "dns_query": SHOWN,
    "dns_query_type": 1,
    "dns_response_code": 0,
    "dns_answers": [
        {"address": "192.0.2.1", "ttl_s": 300, "name": SHOWN},
        {"address": "::1", "ttl_s": 300, "name": SHOWN},
    ],
}


def test_dns_question_and_answers() -> None:
    talk = Talk(UDP, 5000, 53)
    assert talk.say(dns(0x0100, NAME, 1)) == MORE
    assert talk.items == {"app_protocol": "dns", "dns_query": SHOWN, "dns_query_type": 1}
    assert talk.say(RESPONSE, server=True) == DONE
    assert talk.items == RESPONSE_ITEMS


def test_dns_two_questions_on_one_port_wait_for_both_answers() -> None:
    talk = Talk(UDP, 5000, 53)
    assert talk.say(dns(0x0100, NAME, 1)) == MORE
    assert talk.say(dns(0x0100, NAME, 28, identifier=8)) == MORE
    assert talk.say(dns(0x8183, NAME, 28, identifier=8), server=True) == MORE
    assert "dns_response_code" not in talk.items
    assert talk.say(RESPONSE, server=True) == DONE
    assert talk.items == RESPONSE_ITEMS


@pytest.mark.parametrize("cut", range(1, len(RESPONSE) + 2))
def test_dns_over_tcp_cut_anywhere_says_the_same(cut: int) -> None:
    talk = Talk(TCP, 5000, 53)
    stream = vector(2, RESPONSE)
    if talk.say(stream[:cut], server=True) == MORE:
        assert talk.say(stream[cut:], server=True) == DONE
    assert talk.items == RESPONSE_ITEMS


@pytest.mark.parametrize("question", [b"\xc0\x0c", b"\xc0\x0e\xc0\x0c", b"\x80abc\0", b"\x3f" * 400])
def test_dns_names_that_cannot_be(question: bytes) -> None:
    talk = Talk(UDP, 5000, 53)
    assert talk.say(dns(0x0100, question, 1)) == NOTHING
    assert talk.items == {}


def test_dns_question_for_the_root() -> None:
    talk = Talk(UDP, 5000, 53)
    talk.say(dns(0x0100, b"\0", 2))
    assert talk.items["dns_query"] == "."


def test_dns_gives_at_most_sixteen_addresses() -> None:
    talk = Talk(UDP, 5000, 53)
    talk.say(dns(0x8180, NAME, 1, [answer(POINTER, 1, bytes([10, 0, 0, n])) for n in range(40)]), server=True)
    assert [one["address"] for one in talk.items["dns_answers"]] == [f"10.0.0.{n}" for n in range(16)]


def test_mdns_announcements_name_their_owners() -> None:
    talk = Talk(UDP, 5353, 5353)
    owner = dns_name("Büro".encode(), b"local")
    packet = struct.pack(">6H", 0, 0x8400, 0, 1, 0, 0) + answer(owner, 1, bytes([192, 0, 2, 9]), 120)
    assert talk.say(packet.replace(b"\0\1\0\1\0\0\0\x78", b"\0\1\x80\1\0\0\0\x78")) == MORE
    assert talk.items == {
        "app_protocol": "mdns",
        "dns_response_code": 0,
        "dns_answers": [{"address": "192.0.2.9", "ttl_s": 120, "name": "büro.local".replace("ü", "ü")}],
    }


def test_ssh_lines_of_both_sides() -> None:
    talk = Talk(TCP, 40000, 22)
    assert talk.say(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", server=True) == MORE
    assert talk.say(b"SSH-2.0-") == MORE
    assert talk.say(b"PuTTY\n\x00\x01") == DONE
    assert talk.items == {
        "app_protocol": "ssh",
        "ssh_server": "SSH-2.0-OpenSSH_9.2p1 Debian-2",
        "ssh_client": "SSH-2.0-PuTTY",
    }


def dhcp(*options: tuple[int, bytes]) -> bytes:
    head = b"\x01\x01\x06\x00" + bytes(232) + bytes.fromhex("63825363")
    return head + b"".join(bytes([kind]) + vector(1, value) for kind, value in options) + b"\xff"


def test_dhcp_prefers_the_short_name() -> None:
    talk = Talk(UDP, 68, 67)
    assert talk.say(dhcp((53, b"\x01"), (81, b"\0\0\0long.example"), (60, b"MSFT 5.0"), (12, b"Laptop\0"))) == DONE
    assert talk.items == {"app_protocol": "dhcp", "dhcp_hostname": "Laptop", "dhcp_vendor": "MSFT 5.0"}


@pytest.mark.parametrize(
    "name", [b"\0\0\0host.example", b"\x04\0\0\x04host\x07example\0", b"\x04\0\0\x04host\x07example"]
)
def test_dhcp_full_name_in_either_form(name: bytes) -> None:
    talk = Talk(UDP, 68, 67)
    assert talk.say(dhcp((53, b"\x03"), (81, name))) == DONE
    assert talk.items["dhcp_hostname"] == "host.example"


def test_dhcp6_name_and_vendor() -> None:
    talk = Talk(UDP, 546, 547)
    vendor = struct.pack(">HH", 16, 14) + struct.pack(">IH", 311, 8) + b"MSFT 5.0"
    full = struct.pack(">HH", 39, 14) + b"\x00" + dns_name(b"host", b"example")[:13]
    assert talk.say(b"\x01abc" + vendor + full) == DONE
    assert talk.items == {"app_protocol": "dhcp", "dhcp_vendor": "MSFT 5.0", "dhcp_hostname": "host.example"}


def dtls_record(message: bytes, offset: int, size: int, number: int = 0) -> bytes:
    piece = message[:4] + struct.pack(">H", 0) + offset.to_bytes(3, "big") + size.to_bytes(3, "big")
    piece += message[4 + offset : 4 + offset + size]
    return b"\x16\xfe\xfd\0\0" + number.to_bytes(6, "big") + vector(2, piece)


def test_dtls_hello_in_pieces() -> None:
    talk = Talk(UDP, 40000, 4433)
    hello = client_hello(versions=(), legacy=0xFEFD, cookie=b"")
    size = len(hello) - 4
    assert talk.say(dtls_record(hello, 0, 100)) == MORE
    assert talk.say(dtls_record(hello, 100, size - 100, 1)) == MORE
    assert talk.items["app_protocol"] == "dtls"
    assert talk.items["server_name"] == "www.example.com"
    assert talk.items["tls_version"] == 0xFEFD
    assert talk.items["ja4"].startswith("dd2d0404h2_")


@pytest.mark.parametrize(
    ("app", "protocol", "ports", "payload"),
    [
        ("stun", UDP, (4000, 3478), bytes.fromhex("000100002112a442") + bytes(12)),
        ("ntp", UDP, (123, 123), b"\x23" + bytes(47)),
        ("snmp", UDP, (4000, 161), bytes.fromhex("302902010104067075626c6963a01c")),
        ("sip", UDP, (5060, 5060), b"REGISTER sip:example.com SIP/2.0\r\nVia: x\r\n\r\n"),
        ("ssdp", UDP, (4000, 1900), b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n\r\n"),
        ("netbios-ns", UDP, (137, 137), struct.pack(">6H", 1, 0x110, 1, 0, 0, 0) + b"\x20" + b"A" * 32 + bytes(5)),
        ("rtsp", TCP, (4000, 554), b"OPTIONS rtsp://example.com/ RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
        ("bittorrent", TCP, (4000, 6881), b"\x13BitTorrent protocol" + bytes(48)),
        ("smb", TCP, (4000, 445), b"\0\0\0\x54\xfeSMB" + bytes(80)),
        ("mqtt", TCP, (4000, 1883), b"\x10\x10\0\x04MQTT\x04\x02\0\x3c\0\x04abcd"),
        ("rdp", TCP, (4000, 3389), bytes.fromhex("030000130ee000000000000100080003000000")),
        ("ftp", TCP, (21, 4000), b"220 ready\r\n"),
        ("imap", TCP, (143, 4000), b"* OK IMAP4rev1\r\n"),
        ("pop3", TCP, (110, 4000), b"+OK hello\r\n"),
    ],
)
def test_protocols_that_are_only_recognised(app: str, protocol: int, ports: tuple[int, int], payload: bytes) -> None:
    talk = Talk(protocol, *ports)
    talk.say(payload)
    assert talk.items == {"app_protocol": app}


@pytest.mark.parametrize("payload", [b"\0", b"\x17", bytes(100), b"hello world", b"\x80" * 60, b"\xff" * 60, b"AB"])
@pytest.mark.parametrize("protocol", [TCP, UDP, 1, 132])
def test_what_is_not_ours_is_nothing(protocol: int, payload: bytes) -> None:
    talk = Talk(protocol, 40000, 9999)
    assert talk.say(payload) == NOTHING
    assert talk.items == {}


def test_items_that_do_not_fit_are_left_out() -> None:
    talk = Talk(UDP, 5000, 53)
    talk.out = np.zeros(40, dtype=np.uint8)
    talk.say(RESPONSE, server=True)
    assert talk.items == {name: value for name, value in RESPONSE_ITEMS.items() if name != "dns_answers"}


def test_decode_refuses_what_is_cut() -> None:
    with pytest.raises(ValueError, match="passes the end"):
        decode_items(b"\x02\x05\x00abc")
    with pytest.raises(ValueError, match="no tag is 99"):
        decode_items(b"\x63\x01\x00a")
