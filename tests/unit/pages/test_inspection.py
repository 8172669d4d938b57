"""The facts about some flows are the same sums that one would do by hand, and the page holds them all."""

import re
from collections import Counter
from html.parser import HTMLParser
from typing import Any

import pyarrow as pa
import pytest

from flowlore.flows.schema import flow_batch
from flowlore.pages.inspect_page import inspect_page
from flowlore.pages.inspection import Inspection, Inspector
from flowlore.sources.source import Account

S = 1_000_000_000
NOON = 1_700_000_000 * S
A, B = (bytes(10) + b"\xff\xff" + bytes([10, 0, 0, last]) for last in (1, 2))
C = bytes.fromhex("20010db8000000000000000000000005")


def three_flows() -> pa.RecordBatch:
    return flow_batch(
        {
            "start": [NOON, NOON + S, NOON + 2 * S],
            "duration_ns": [10 * S, 0, 500_000_000],
            "src_ip": [A, A, C],
            "dst_ip": [B, C, A],
            "dst_port": [443, 53, 443],
            "protocol": [6, 17, 6],
            "packets_fwd": [5, 1, 2],
            "packets_rev": [4, None, 1],
            "bytes_fwd": [500, 60, 100],
            "bytes_rev": [4000, None, 40],
            "server_name": ["a<b>.example", None, "a<b>.example"],
            "app_protocol": ["tls", "dns", "tls"],
            "capture": ["x.pcap"] * 3,
        },
        3,
    )


def inspected(*batches: pa.RecordBatch, account: Account | None = None) -> Inspection:
    inspector = Inspector()
    for batch in batches:
        inspector.add(batch)
    return inspector.finish(account or Account())


def top(inspection: Inspection, name: str) -> list[dict[str, Any]]:
    return inspection.rankings[name].rows


def test_sums() -> None:
    facts = inspected(three_flows())
    assert (facts.flows, facts.packets, facts.bytes, facts.byte_kind) == (3, 13, 4700, "bytes")
    assert (facts.first_ns, facts.last_ns) == (NOON, NOON + 10 * S)


def test_both_ends_of_a_flow_are_hosts() -> None:
    hosts = {row["host"]: row for row in top(inspected(three_flows()), "hosts")}
    assert set(hosts) == {"10.0.0.1", "10.0.0.2", "2001:db8::5"}
    assert hosts["10.0.0.1"] == {
        "host": "10.0.0.1",
        "flows": 3,
        "packets": 13,
        "bytes": 4700,
        "bytes_sent": 500 + 60 + 40,
        "bytes_received": 4000 + 100,
    }


def test_rankings() -> None:
    facts = inspected(three_flows())
    assert [(row["protocol"], row["flows"]) for row in top(facts, "protocols")] == [("tcp", 2), ("udp", 1)]
    assert [(row["protocol"], row["dst_port"], row["flows"]) for row in top(facts, "ports")] == [
        ("tcp", 443, 2),
        ("udp", 53, 1),
    ]
    assert top(facts, "names") == [{"server_name": "a<b>.example", "flows": 2, "packets": 12, "bytes": 4640}]
    assert top(facts, "exporters") == []


def test_batches_make_no_difference() -> None:
    whole = inspected(three_flows()).as_json()
    parts = inspected(*(three_flows().slice(row, 1) for row in range(3))).as_json()
    assert parts == whole


def test_bytes_fall_back_to_what_the_source_knows() -> None:
    batch = flow_batch({"start": [NOON], "frame_bytes_fwd": [70], "frame_bytes_rev": [30]}, 1)
    assert (inspected(batch).bytes, inspected(batch).byte_kind) == (100, "frame_bytes")
    assert inspected(batch, three_flows()).byte_kind == "mixed"


def test_a_record_that_claims_everything_does_not_overflow() -> None:
    batch = flow_batch({"start": [NOON] * 2, "bytes_fwd": [2**64 - 1] * 2, "packets_fwd": [2**64 - 1] * 2}, 2)
    assert inspected(batch).bytes == pytest.approx(2**65)


def test_names_stand_in_for_addresses() -> None:
    batch = flow_batch({"src_name": ["AS 786"], "dst_name": ["a name of 16 ch."], "bytes_fwd": [1]}, 1)
    assert {row["host"] for row in top(inspected(batch), "hosts")} == {"AS 786", "a name of 16 ch."}


def test_no_flows_at_all() -> None:
    facts = inspected(account=Account(packets=3, skipped=Counter({"not-ip": 3})))
    assert (facts.flows, facts.timeline) == (0, None)
    assert "not-ip" in inspect_page(facts, "empty.pcap")


def test_the_page_is_whole_safe_and_needs_no_network() -> None:
    account = Account(packets=20, packets_in_flows=13, skipped=Counter({"<script>": 7}))
    account.recognised["evil<img src=x>.pcap"] = "pcap"
    account.notes["joined-fragments"] = 2
    page = inspect_page(inspected(three_flows(), account=account), "evil</title><script>alert(1)</script>")
    assert not re.search(r"<(script|img|link|iframe)", page)
    assert not re.search(r"https?://|@import|url\(", page)
    for words in ("2001:db8::5", "a&lt;b&gt;.example", "&lt;script&gt;", "joined-fragments", "4.7 kB", "tcp 443"):
        assert words in page
    assert unclosed(page) == []


def test_exporters_and_their_templates_are_on_the_page() -> None:
    template = {"id": 256, "fields": ["octetDeltaCount", "packetDeltaCount"], "options": False, "age_s": 90.0}
    counts = {"datagrams": 1200, "records": 36_000, "missing": 17, "sequence_gaps": 2, "template_changes": 0}
    exporter = {"exporter": "192.0.2.7", "version": "IPFIX", "domain": 5, **counts, "templates": [template]}
    page = inspect_page(inspected(three_flows(), account=Account(details={"exporters": [exporter]})), "exports")
    for words in ("192.0.2.7 · IPFIX · domain 5", "36,000", "octetDeltaCount, packetDeltaCount", "1 min 30 s"):
        assert words in page
    assert unclosed(page) == []


def unclosed(page: str) -> list[str]:
    """Tags left open, or closed in the wrong order."""
    stack: list[str] = []
    wrong: list[str] = []

    class Checker(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag != "meta":
                stack.append(tag)

        def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            pass

        def handle_endtag(self, tag: str) -> None:
            if not stack or stack.pop() != tag:
                wrong.append(tag)

    Checker().feed(page)
    return wrong + stack
