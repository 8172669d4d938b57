import ipaddress
import struct

import pytest

from flowlore.errors import InputError
from flowlore.flows.enrich import Enricher
from flowlore.flows.table import Flows

UINT16, UINT32, UINT64 = 5, 6, 9


def encoded(value):
    """A value as MMDB's data section has it: control byte with type and size, then the content."""

    def control(kind, size):
        extended = b"" if kind <= 7 else bytes([kind - 7])
        assert size < 285
        first = (kind << 5 if kind <= 7 else 0) | (size if size < 29 else 29)
        return bytes([first]) + extended + (b"" if size < 29 else bytes([size - 29]))

    if isinstance(value, dict):
        return control(7, len(value)) + b"".join(encoded(key) + encoded(item) for key, item in value.items())
    if isinstance(value, list):
        return control(11, len(value)) + b"".join(map(encoded, value))
    if isinstance(value, str):
        return control(2, len(value.encode())) + value.encode()
    kind, number = value if isinstance(value, tuple) else (UINT32, value)
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return control(kind, len(data)) + data


def write_mmdb(path, networks, ip_version=6):
    """A minimal MMDB: a binary tree of 32-bit records over IPv6 (IPv4 below ::/96), then data, then metadata."""
    nodes, data = [[None, None]], b""
    for prefix, record in networks.items():
        network = ipaddress.ip_network(prefix)
        bits = f"{int(network.network_address):0{network.max_prefixlen}b}"[: network.prefixlen]
        if ip_version == 6 and network.version == 4:
            bits = "0" * 96 + bits
        offset = len(data)
        data += encoded(record)
        node = 0
        for place, bit in enumerate(map(int, bits)):
            if place == len(bits) - 1:
                nodes[node][bit] = ("data", offset)
            else:
                if nodes[node][bit] is None:
                    nodes.append([None, None])
                    nodes[node][bit] = len(nodes) - 1
                node = nodes[node][bit]

    def record_of(entry):
        if entry is None:
            return len(nodes)
        return len(nodes) + 16 + entry[1] if isinstance(entry, tuple) else entry

    tree = b"".join(struct.pack(">II", *map(record_of, node)) for node in nodes)
    metadata = encoded(
        {
            "binary_format_major_version": (UINT16, 2),
            "binary_format_minor_version": (UINT16, 0),
            "build_epoch": (UINT64, 1_592_654_400),
            "database_type": "Test",
            "description": {"en": "made by a test"},
            "ip_version": (UINT16, ip_version),
            "languages": ["en"],
            "node_count": len(nodes),
            "record_size": (UINT16, 32),
        }
    )
    path.write_bytes(tree + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + metadata)
    return path


def test_as_numbers_and_countries_are_filled(make_flows, tmp_path):
    asn = write_mmdb(
        tmp_path / "asn.mmdb",
        {
            "8.8.8.0/24": {"autonomous_system_number": 15169, "autonomous_system_organization": "x"},
            "2a00:1450::/32": {"asn": "AS64500"},
            "10.0.0.0/8": {"autonomous_system_number": 1},
        },
    )
    geo = write_mmdb(
        tmp_path / "geo.mmdb",
        {"8.8.8.0/24": {"country": {"iso_code": "US"}}, "2a00:1450::/32": {"country": "IE"}, "9.0.0.0/8": {"x": "y"}},
    )
    flows = make_flows(
        [0, 1, 2, 3],
        src_ip=["10.0.0.1", "8.8.8.8", None, "8.8.8.8"],
        dst_ip=["8.8.8.8", "2a00:1450::1", "9.9.9.9", "1.1.1.1"],
        src_as=[None, None, None, 7],
    )
    enriched = Enricher(asn=asn, geo=geo)(flows)
    assert enriched["src_as"].to_pylist() == [None, 15169, None, 7]
    assert enriched["dst_as"].to_pylist() == [15169, 64500, None, None]
    assert enriched["src_country"].to_pylist() == [None, "US", None, "US"]
    assert enriched["dst_country"].to_pylist() == ["US", "IE", None, None]
    assert enriched.schema == flows.schema
    only_asn = Enricher(asn=asn)(flows)
    assert only_asn["dst_country"].null_count == 4 and only_asn["dst_as"].null_count == 2


def test_an_address_is_looked_up_once(make_flows, tmp_path, monkeypatch):
    asn = write_mmdb(tmp_path / "asn.mmdb", {"8.8.8.0/24": {"autonomous_system_number": 15169}})
    enricher = Enricher(asn=asn)
    asked = []
    lookup = enricher._lookups[0][1]
    look_up = lookup._look_up
    monkeypatch.setattr(lookup, "_look_up", lambda address: asked.append(address) or look_up(address))
    flows = make_flows([0, 1], src_ip=["8.8.8.8", "8.8.8.8"], dst_ip=["8.8.8.8", "9.9.9.9"])
    for _ in range(3):
        enricher(flows)
    assert len(asked) == 2
    monkeypatch.setattr("flowlore.flows.enrich.CACHED_ADDRESSES", 1)
    assert enricher(flows)["dst_as"].to_pylist() == [15169, None]
    enricher.close()


def test_ipv4_databases_know_nothing_of_ipv6(make_flows, tmp_path):
    asn = write_mmdb(tmp_path / "asn.mmdb", {"8.8.8.0/24": {"autonomous_system_number": 15169}}, ip_version=4)
    flows = make_flows([0], src_ip=["8.8.8.8"], dst_ip=["2a00:1450::1"])
    enriched = Enricher(asn=asn)(flows)
    assert (enriched["src_as"].to_pylist(), enriched["dst_as"].to_pylist()) == ([15169], [None])


def test_flows_without_addresses_pass(make_flows, tmp_path):
    asn = write_mmdb(tmp_path / "asn.mmdb", {"8.8.8.0/24": {"autonomous_system_number": 15169}})
    bare = Flows(make_flows([0])).select(["start", "dst_port"]).to_arrow().to_batches()[0]
    assert Enricher(asn=asn)(bare) == bare
    assert Enricher(asn=asn)(make_flows([])).num_rows == 0


@pytest.mark.parametrize(
    ("content", "message"), [(b"not a database", "is not an MMDB file"), (None, "there is no file")]
)
def test_what_is_no_database_says_so(tmp_path, content, message):
    path = tmp_path / "geo.mmdb"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=rf"{message}[\s\S]*--geo"):
        Enricher(geo=path)
