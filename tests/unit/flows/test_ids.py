"""Identities of flows, against the standard library and published vectors."""

import base64
import hashlib
import ipaddress
import struct

import numpy as np
import pytest

from flowlore.flows.ids import address_halves, community_ids, flow_id_key, flow_ids_of_halves, sip_hash_128


def mapped(text: str) -> np.ndarray:
    address = ipaddress.ip_address(text)
    packed = address.packed if address.version == 6 else b"\0" * 10 + b"\xff\xff" + address.packed
    return np.frombuffer(packed, np.uint8)


def test_sip_hash_equals_the_published_vector() -> None:
    """Entry 8 of `vectors_sip128` in the authors' reference: key 00..0f, message 00..07."""
    words = np.frombuffer(bytes(range(8)), np.uint64).copy()
    out = np.empty(2, np.uint64)
    key = np.frombuffer(bytes(range(16)), np.uint64)
    sip_hash_128(words, key[0], key[1], out)
    assert out.tobytes().hex() == "3b62a9ba6258f5610f83e264f31497b4"


@pytest.mark.parametrize(
    ("src", "dst", "src_port", "dst_port", "protocol", "expected"),
    [  # from the Community ID specification's baseline
        ("128.232.110.120", "66.35.250.204", 34855, 80, 6, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
        ("66.35.250.204", "128.232.110.120", 80, 34855, 6, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
        ("192.168.1.52", "8.8.8.8", 54585, 53, 17, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
        ("192.168.0.89", "192.168.0.1", 8, 0, 1, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
        ("192.168.0.1", "192.168.0.89", 0, 8, 1, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
    ],
)
def test_community_id_equals_the_specification(src, dst, src_port, dst_port, protocol, expected) -> None:
    got = community_ids(
        src_ip=mapped(src)[None], dst_ip=mapped(dst)[None], src_port=np.array([src_port]),
        dst_port=np.array([dst_port]), protocol=np.array([protocol]),
    )  # fmt: skip
    assert got[0].as_py() == expected


def test_community_id_of_ipv6_equals_hashlib() -> None:
    src, dst = mapped("2001:db8::1"), mapped("2001:db8::2")
    got = community_ids(
        src_ip=src[None], dst_ip=dst[None], src_port=np.array([5000]), dst_port=np.array([443]), protocol=np.array([17])
    )
    message = b"\0\0" + src.tobytes() + dst.tobytes() + struct.pack(">BBHH", 17, 0, 5000, 443)
    assert got[0].as_py() == "1:" + base64.b64encode(hashlib.sha1(message).digest()).decode()


def test_flow_id_is_the_same_from_both_sides_and_differs_by_time_ordinal_and_key() -> None:
    a, b = mapped("10.0.0.1")[None], mapped("10.0.0.2")[None]
    one = np.array([1], np.int64)

    def ids(src=a, dst=b, ports=(1000, 80), first=one, **others):
        return flow_ids_of_halves(
            [*address_halves(src), *address_halves(dst)], src_port=np.array([ports[0]]), dst_port=np.array([ports[1]]),
            protocol=np.array([6]), first_ns=first, **others,
        )[0].as_py()  # fmt: skip

    assert ids() == ids(src=b, dst=a, ports=(80, 1000))
    others = {
        ids(), ids(first=one + 1), ids(ordinal=np.array([1])), ids(vlan=np.array([7])), ids(ports=(1001, 80)),
        ids(observation_point=np.array([1])), ids(tunnel_id=np.array([9])), ids(key=flow_id_key("secret")),
    }  # fmt: skip
    assert len(others) == 8
