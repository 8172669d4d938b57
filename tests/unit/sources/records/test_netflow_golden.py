"""Real exports of routers and probes, against what others decoded from them."""

import ipaddress
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from flowlore.sources.records.netflow.captures import datagrams_from_capture
from flowlore.sources.records.netflow.decoder import Decoder
from flowlore.sources.records.netflow.raw import RawRecord, decode_raw

pytestmark = pytest.mark.shared_data

# What NetGauze calls values that are numbers on the wire.
PROTOCOLS = {"ICMP": 1, "IPv4": 4, "TCP": 6, "UDP": 17, "IPv6": 41, "IPv6ICMP": 58, "VRRP": 112}
NAMES: dict[str, dict[str, int]] = {
    "protocolIdentifier": PROTOCOLS,
    "flowDirection": {"ingress": 0, "egress": 1},
    "flowEndReason": {"idletimeout": 1, "activetimeout": 2},
    "mplsTopLabelType": {"Unknown": 0, "BGP": 4, "LDP": 5},
    "selectorAlgorithm": {"RandomnoutofNSampling": 3},
}
FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
FORWARDING = {("Forwarded", "Unknown"): 64, ("Consumed", "Forus"): 195}
HUAWEI_PEN = 2011


def test_every_netgauze_golden_field_is_equal(shared_data: Path) -> None:
    compared = Counter[str]()
    for golden in sorted((shared_data / "netflow" / "netgauze").rglob("*-flow.json")):
        capture = golden.with_name(golden.name.replace("-flow.json", ".pcap"))
        expected = defaultdict(list)
        for key, fields in golden_records(golden):
            expected[key].append(fields)
        got = defaultdict(list)
        for record in capture_records(capture):
            got[record.version, record.domain, record.template].append([comparable(*item) for item in record.fields])
        for key, records in expected.items():
            assert sorted(map(repr, got[key])) == sorted(map(repr, records)), f"{capture} {key}"
            compared["records"] += len(records)
            compared["fields"] += sum(map(len, records))
        assert set(got) <= set(expected), capture
    assert compared["records"] > 5_000
    assert compared["fields"] > 100_000


def capture_records(capture: Path) -> list[RawRecord]:
    decoder = Decoder()
    with capture.open("rb") as stream:
        return [
            record
            for datagrams in datagrams_from_capture(stream, capture.name, Counter())
            for record in decode_raw(decoder, datagrams)
        ]


def golden_records(golden: Path) -> Iterator[tuple[tuple[int, int, int], list[tuple[str, Any]]]]:
    for line in golden.read_text().splitlines():
        for message in json.loads(line).values():
            domain = message["observation_domain_id" if message["version"] == 10 else "source_id"]
            for item in message["sets"]:
                for record in item.get("Data", {}).get("records", ()):
                    fields = [
                        pair for part in ("scope_fields", "fields") for one in record[part] for pair in one.items()
                    ]
                    yield (message["version"], domain, item["Data"]["id"]), [golden_value(*pair) for pair in fields]


def golden_value(name: str, value: Any) -> tuple[str, Any]:
    if name == "Huawei":
        return f"element{HUAWEI_PEN}.{value['Unknown']['id']}", bytes(value["Unknown"]["value"])
    if name == "tcpControlBits":
        return name, sum(value[flag] << place for place, flag in enumerate(FLAGS))
    if name == "forwardingStatus":
        ((first, second),) = value.items()
        return name, second["Unassigned"] if isinstance(second, dict) else FORWARDING[first, second]
    if name == "flowDirection" and isinstance(value, dict):
        return name, value["Unassigned"]
    if name in NAMES:
        return name, NAMES[name][value]
    if name == "srhSegmentIPv6ListSection":
        return name, b"".join(ipaddress.IPv6Address(item).packed for item in value)
    if isinstance(value, list):
        return name, bytes(value)
    if name.endswith("Milliseconds"):
        return name, round(datetime.fromisoformat(value).timestamp() * 1000)
    return name, str(ipaddress.IPv6Address(value)) if "IPv6Address" in name else value


def comparable(name: str, value: Any) -> tuple[str, Any]:
    """NetGauze keeps the eight flags of TCP, reads names up to the first zero byte, and widens 256-bit numbers."""
    if name == "tcpControlBits":
        return name, value & 0xFF
    if name == "ipv6ExtensionHeadersFull":
        return name, value.rjust(32, b"\0")
    return name, value.split("\0")[0] if isinstance(value, str) else value
