"""Suricata: flow events, what other events add to them, and flows that have no flow event."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flowlore.flows.table import Flows
from flowlore.sources.inputs import FileInput
from flowlore.sources.records.settings import SuricataSettings
from flowlore.sources.records.suricata import SuricataSource
from flowlore.sources.source import Account


def event(kind: str, flow_id: int | None = 1, **more: Any) -> dict[str, Any]:
    found = {
        "timestamp": "2021-06-06T15:57:37.272281+0200",
        "flow_id": flow_id,
        "event_type": kind,
        "src_ip": "192.168.1.2",
        "src_port": 50000,
        "dest_ip": "10.0.0.1",
        "dest_port": 443,
        "proto": "TCP",
        **more,
    }
    return {name: value for name, value in found.items() if value is not None}


def flow(flow_id: int = 1, **more: Any) -> dict[str, Any]:
    counts = {
        "pkts_toserver": 3,
        "pkts_toclient": 2,
        "bytes_toserver": 300,
        "bytes_toclient": 200,
        "start": "2021-06-06T16:38:55.855844+0200",
        "end": "2021-06-06T16:38:56.963027+0200",
        "state": "closed",
    }
    return event("flow", flow_id, app_proto="tls", flow=counts, **more)


def read(path: Path, *events: Any, settings: SuricataSettings | None = None) -> tuple[pl.DataFrame, Account]:
    lines = [item if isinstance(item, str) else json.dumps(item) for item in events]
    path = path / "eve.json" if path.is_dir() else path
    if lines:
        path.write_text("\n".join(lines) + "\n")
    source = SuricataSource([FileInput(path)], settings)
    flows = Flows.from_batches(source.batches()).to_polars()
    account = source.account
    assert account.records == account.records_in_flows + account.skipped.total()
    assert account.flows == flows.height
    return flows, account


def test_a_flow_event_becomes_a_flow(tmp_path: Path) -> None:
    tcp = {"tcp_flags_ts": "1b", "tcp_flags_tc": "12"}
    flows, account = read(tmp_path, flow(vlan=[100, 7], tcp=tcp, ether={"src_mac": "00:11:22:33:44:55"}))
    row = flows.row(0, named=True)
    assert flows["start"].cast(pl.Int64)[0] == 1_622_990_335_855_844_000
    assert row["duration_ns"] == 1_107_183_000
    assert (row["packets_fwd"], row["frame_bytes_fwd"], row["packets_rev"], row["frame_bytes_rev"]) == (3, 300, 2, 200)
    assert row["bytes_fwd"] is None  # Suricata counts whole packets, link headers included
    assert (row["tcp_flags_fwd"], row["tcp_flags_rev"]) == (0x1B, 0x12)
    assert (row["vlan"], row["inner_vlan"], row["src_mac"]) == (100, 7, "00:11:22:33:44:55")
    assert (row["protocol"], row["app_protocol"], row["connection_state"]) == (6, "tls", "closed")
    assert account.recognised == {str(tmp_path / "eve.json"): "Suricata EVE JSON, first event flow"}


def test_other_events_name_the_flow_before_and_after_it(tmp_path: Path) -> None:
    flows, account = read(
        tmp_path,
        event("tls", 1, tls={"sni": "Example.ORG", "version": "TLS 1.2", "ja4": "t13d", "ja3": {"hash": "x"}}),
        flow(1),
        flow(2, proto="UDP"),
        event("dns", 2, dns={"type": "query", "rrname": "A.example", "rrtype": "AAAA"}),
        event("dns", 2, dns={"type": "answer", "rrname": "A.example", "rrtype": "AAAA", "rcode": "NXDOMAIN"}),
        event("http", 3, http={"hostname": "shop.example", "http_user_agent": "curl"}),
        flow(3),
        event("dns", 4, dns={"version": 3, "queries": [{"rrname": "new.example", "rrtype": "HTTPS"}]}),
        flow(4),
    )
    assert flows["server_name"].to_list() == ["example.org", None, "shop.example", None]
    assert flows["server_name_from"].to_list() == ["tls", None, "http", None]
    assert flows["ja4"].to_list() == ["t13d", None, None, None]
    assert flows["dns_query"].to_list() == [None, "a.example", None, "new.example"]
    assert flows["dns_query_type"].to_list() == [None, 28, None, 65]
    assert flows["dns_response_code"].to_list() == [None, 3, None, None]
    assert (account.records, account.records_in_flows) == (9, 9)


def test_flows_without_a_flow_event_have_no_counts(tmp_path: Path) -> None:
    started = "2021-06-06T15:50:00.000000+0200"
    flows, account = read(
        tmp_path,
        event("alert", 7, alert={"signature": "ET SCAN"}, flow={"pkts_toserver": 1, "start": started}),
        event("alert", 7, alert={"signature": "second"}),
    )
    row = flows.row(0, named=True)
    assert flows.height == 1
    assert flows["start"].cast(pl.Int64)[0] == 1_622_987_400_000_000_000
    assert row["packets_fwd"] is None
    assert row["duration_ns"] is None
    assert row["label"] is None
    assert account.notes["flows-without-flow-event"] == 1


def test_alerts_become_labels_on_request(tmp_path: Path) -> None:
    events = [event("alert", 7, alert={"signature": "ET SCAN"}), flow(7), flow(8)]
    flows, _ = read(tmp_path, *events, settings=SuricataSettings(alerts_as_labels=True))
    assert flows["label"].to_list() == ["ET SCAN", None]
    assert flows["label_source"].to_list() == ["suricata", None]


def test_what_is_no_flow_is_counted(tmp_path: Path) -> None:
    events = [flow(1), event("stats", None), event("netflow", 1), "{broken", '["list"]']
    flows, account = read(tmp_path, *events)
    assert flows.height == 1
    assert dict(account.skipped) == {"no-flow-id": 1, "netflow-event": 1, "bad-line": 2}
    settings = SuricataSettings(flows_from_events=False)
    flows, account = read(tmp_path, event("alert", 3), settings=settings)
    assert flows.height == 0
    assert dict(account.skipped) == {"no-flow-event": 1}


def test_icmp_has_type_and_code_in_the_place_of_ports(tmp_path: Path) -> None:
    flows, _ = read(tmp_path, flow(1, proto="IPv6-ICMP", src_port=None, dest_port=None, icmp_type=128, icmp_code=0))
    assert (flows["protocol"][0], flows["src_port"][0], flows["dst_port"][0]) == (58, 128, 0)


@pytest.mark.shared_data
def test_real_events(shared_data: Path) -> None:
    flows, account = read(shared_data / "records/suricata/test6-malicious.suricata.json")
    assert (account.records, account.notes["events-flow"], flows.height) == (5000, 3512, 3847)
    assert flows["packets_fwd"].count() == 3512
    assert not account.skipped
