import ipaddress

import pyarrow as pa
import pytest

from flowlore.errors import QueryError
from flowlore.flows.addresses import (
    format_addresses,
    format_hexadecimal,
    format_macs,
    parse_addresses,
    parse_hexadecimal,
    parse_macs,
    prefix_range,
)


def test_ipv4_is_mapped_and_ipv6_is_kept():
    addresses, bad = parse_addresses(pa.array(["10.0.0.1", "2001:db8::1", None, "::ffff:10.0.0.1"]))
    assert addresses.type == pa.binary(16)
    assert addresses.to_pylist() == [
        bytes(10) + b"\xff\xff\x0a\0\0\x01",
        ipaddress.ip_address("2001:db8::1").packed,
        None,
        bytes(10) + b"\xff\xff\x0a\0\0\x01",
    ]
    assert bad.tolist() == [False] * 4


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "01.2.3.4",
        "1.2.3.4 ",
        " 1.2.3.4",
        "1.2.3.4000",
        "1..3.4",
        ":",
        ":::",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "1::2::3",
        "1:2:3:4:5:6:7:8::",
        "::12345",
        "1:2:3:4:5:6:7:",
        ":1:2:3:4:5:6:7",
        "::1.2.3",
        "1:2:3:4:5:6:7:1.2.3.4",
        "::1%",
        "::1%a%b",
        "::g",
        "fe80::1%eth0:1%",
        "192.168.0.1:443",
        "٣.2.3.4",
    ],
)
def test_what_is_no_address_is_bad_and_null(text):
    addresses, bad = parse_addresses(pa.array([text, "1.2.3.4"]))
    assert bad.tolist() == [True, False]
    assert addresses[0].as_py() is None
    assert addresses[1].as_py()[12:] == b"\x01\x02\x03\x04"


def test_zone_is_left_out():
    addresses, bad = parse_addresses(pa.array(["fe80::1%eth0"]))
    assert not bad[0]
    assert format_addresses(addresses).to_pylist() == ["fe80::1"]


@pytest.mark.parametrize(
    "text", ["::", "::1", "1::", "1:0:0:2::", "1:0:2:3:4:5:6:7", "::2:0:0:3:4", "ffff::a.b"[:4] + "::"]
)
def test_ipv6_text_is_canonical(text):
    addresses, bad = parse_addresses(pa.array([text]))
    assert not bad[0]
    assert format_addresses(addresses).to_pylist() == [str(ipaddress.ip_address(text))]


def test_chunks_slices_nulls_and_text_types_are_all_read():
    text = ["10.0.0.1", None, "2001:db8::7", "x", "192.0.2.200"]
    plain = pa.array(text)
    for form in (
        plain,
        plain.cast(pa.large_string()),
        plain.dictionary_encode(),
        plain.cast(pa.string_view()),
        pa.chunked_array([plain[:2], plain[2:]]),
    ):
        addresses, bad = parse_addresses(form)
        assert bad.tolist() == [False, False, False, True, False]
        assert format_addresses(addresses).to_pylist() == ["10.0.0.1", None, "2001:db8::7", None, "192.0.2.200"]
    part, bad = parse_addresses(plain[2:])
    assert bad.tolist() == [False, True, False]
    assert format_addresses(part[1:]).to_pylist() == [None, "192.0.2.200"]
    assert format_addresses(pa.chunked_array([part, part[2:]])).to_pylist()[-1] == "192.0.2.200"


def test_no_rows():
    for empty in (pa.array([], pa.string()), pa.chunked_array([], pa.string()), pa.nulls(0, pa.string())):
        addresses, bad = parse_addresses(empty)
        assert len(addresses) == len(bad) == 0
        assert format_addresses(addresses).to_pylist() == []


def test_only_nulls():
    addresses, bad = parse_addresses(pa.nulls(3, pa.string()))
    assert addresses.null_count == 3 and not bad.any()
    assert format_addresses(pa.nulls(3, pa.binary(16))).to_pylist() == [None] * 3


@pytest.mark.parametrize("text", ["00:1b:44:11:3a:b7", "00-1B-44-11-3A-B7", "001b.4411.3ab7", "001B44113AB7"])
def test_macs_are_read_in_every_usual_form(text):
    macs, bad = parse_macs(pa.array([text, None]))
    assert bad.tolist() == [False, False]
    assert format_macs(macs).to_pylist() == ["00:1b:44:11:3a:b7", None]


@pytest.mark.parametrize(
    "text",
    ["", "00:1b:44:11:3a", "00:1b:44:11:3a:b7:", "00:1b:44:11:3a:b7:00", "0:1b:44:11:3a:b7", "gg:1b:44:11:3a:b7"],
)
def test_what_is_no_mac_is_bad(text):
    macs, bad = parse_macs(pa.array([text]))
    assert bad.tolist() == [True] and macs.null_count == 1


def test_hexadecimal_goes_and_comes_back():
    values = pa.array([bytes(range(16)), None, b"\xff" * 16], pa.binary(16))
    text = format_hexadecimal(values)
    assert text.to_pylist() == [bytes(range(16)).hex(), None, "f" * 32]
    back, bad = parse_hexadecimal(text, 16)
    assert back.equals(values) and not bad.any()
    assert parse_hexadecimal(pa.array(["00:11"]), 2)[1].tolist() == [True]


def test_prefix_is_a_range():
    low, high = prefix_range("192.0.2.0/24")
    assert low[-4:] == bytes([192, 0, 2, 0]) and high[-4:] == bytes([192, 0, 2, 255])
    assert prefix_range("2001:db8::/32")[1].hex() == "20010db8" + "f" * 24
    assert prefix_range("10.1.2.3")[0] == prefix_range("10.1.2.3/32")[1]
    assert prefix_range("10.1.2.3/8") == prefix_range("10.0.0.0/8")


def test_what_is_no_prefix_says_so():
    with pytest.raises(QueryError, match=r"`10\.0\.0/8` is not an IPv4 or IPv6 prefix"):
        prefix_range("10.0.0/8")
