"""Zeek: connections in TSV and JSON, and the names that other logs give them."""

import gzip
import json
from pathlib import Path

import polars as pl
import pytest

from flowlore.flows.table import Flows
from flowlore.sources.inputs import gather_inputs
from flowlore.sources.records.settings import ZeekSettings
from flowlore.sources.records.zeek import ZeekSource
from flowlore.sources.source import Account

TEMPLATE = {
    "ts": "1574.123456",
    "uid": "C1",
    "id.orig_h": "10.0.0.1",
    "id.orig_p": "50000",
    "id.resp_h": "10.0.0.2",
    "id.resp_p": "443",
    "proto": "tcp",
    "service": "ssl",
    "duration": "0.250001",
    "orig_bytes": "100",
    "resp_bytes": "2000",
    "conn_state": "SF",
    "missed_bytes": "0",
    "history": "ShADadFf",
    "orig_pkts": "5",
    "orig_ip_bytes": "372",
    "resp_pkts": "6",
    "resp_ip_bytes": "2324",
}
FIELDS, ROW = list(TEMPLATE), list(TEMPLATE.values())


def tsv(*rows: list[str], fields: list[str] = FIELDS, path: str = "conn", types: bool = True) -> str:
    head = ["#separator \\x09", "#set_separator\t,", "#empty_field\t(empty)", "#unset_field\t-", f"#path\t{path}"]
    head.append("\t".join(["#fields", *fields]))
    if types:
        head.append("\t".join(["#types", *(["string"] * len(fields))]))
    return "\n".join([*head, *("\t".join(row) for row in rows), "#close\t2024-01-01-00-00-00"]) + "\n"


def changed(**values: str) -> list[str]:
    return [values.get(name.replace(".", "_"), value) for name, value in zip(FIELDS, ROW, strict=True)]


def read(*paths: Path, settings: ZeekSettings | None = None) -> tuple[pl.DataFrame, Account]:
    source = ZeekSource(gather_inputs(list(paths)), settings)
    flows = Flows.from_batches(source.batches()).to_polars()
    account = source.account
    assert account.records == account.records_in_flows + account.skipped.total()
    assert account.flows == flows.height
    return flows, account


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_connection_becomes_a_flow(tmp_path: Path) -> None:
    flows, account = read(write(tmp_path / "conn.log", tsv(ROW)))
    row = flows.row(0, named=True)
    assert flows["start"].cast(pl.Int64)[0] == 1_574_123_456_000
    assert row["duration_ns"] == 250_001_000
    assert (row["src_ip"], row["src_port"], row["dst_ip"], row["dst_port"]) == ("10.0.0.1", 50000, "10.0.0.2", 443)
    assert (row["protocol"], row["app_protocol"], row["connection_state"]) == (6, "tls", "SF")
    assert (row["packets_fwd"], row["bytes_fwd"], row["payload_bytes_fwd"]) == (5, 372, 100)
    assert (row["packets_rev"], row["bytes_rev"], row["payload_bytes_rev"]) == (6, 2324, 2000)
    assert row["frame_bytes_fwd"] is None
    assert row["source"] == "zeek"
    assert (account.records, account.flows, dict(account.skipped)) == (1, 1, {})


def test_times_keep_every_digit(tmp_path: Path) -> None:
    flows, _ = read(write(tmp_path / "conn.log", tsv(changed(ts="1626284618.384979", duration="99999.000001"))))
    assert flows["start"].cast(pl.Int64)[0] == 1_626_284_618_384_979_000
    assert flows["duration_ns"][0] == 99_999_000_001_000


def test_logs_without_types_and_with_another_separator(tmp_path: Path) -> None:
    text = tsv(ROW, types=False).replace("\t", "|").replace("#separator \\x09", "#separator \\x7c")
    flows, _ = read(write(tmp_path / "conn.log", text))
    assert flows["dst_port"].to_list() == [443]


def test_unset_fields_are_null_and_a_lone_packet_lasts_no_time(tmp_path: Path) -> None:
    lone = changed(duration="-", orig_bytes="-", resp_bytes="-", service="-", orig_pkts="1", resp_pkts="0", history="S")
    several = changed(duration="-", orig_pkts="3", resp_pkts="0")
    flows, _ = read(write(tmp_path / "conn.log", tsv(lone, several)))
    assert flows["duration_ns"].to_list() == [0, None]
    assert flows["payload_bytes_fwd"].to_list() == [None, 100]
    assert flows["app_protocol"].to_list() == [None, "tls"]


@pytest.mark.parametrize(
    ("history", "forward", "reverse"),
    [
        ("S", 0x02, 0x00),  # nothing came back: no flags are all the flags there were
        ("Sr", 0x02, None),  # a RST may or may not have had ACK
        ("ShA", 0x12, 0x12),
        ("ShAfA", 0x12, 0x13),
        ("ShADadFf", None, None),  # payload may have had PSH
        ("^hA", None, None),
    ],
)
def test_flags_only_where_the_history_leaves_no_doubt(
    tmp_path: Path, history: str, forward: int | None, reverse: int | None
) -> None:
    packets = "0" if history == "S" else "2"
    flows, _ = read(write(tmp_path / "conn.log", tsv(changed(history=history, resp_pkts=packets))))
    assert (flows["tcp_flags_fwd"][0], flows["tcp_flags_rev"][0]) == (forward, reverse)


def test_icmp_has_type_and_code_in_the_place_of_ports(tmp_path: Path) -> None:
    echo = changed(proto="icmp", id_orig_p="8", id_resp_p="0")
    unreachable = changed(proto="icmp", id_orig_p="3", id_resp_p="3")
    neighbour = changed(proto="icmp", id_orig_h="fe80::1", id_resp_h="ff02::1:ff00:1", id_orig_p="135", id_resp_p="136")
    flows, _ = read(write(tmp_path / "conn.log", tsv(echo, unreachable, neighbour)))
    assert flows["protocol"].to_list() == [1, 1, 58]
    assert flows["src_port"].to_list() == [8, 3, 135]
    assert flows["dst_port"].to_list() == [0, 3, 0]


def test_labels_of_glued_columns(tmp_path: Path) -> None:
    text = tsv(
        [*ROW, "(empty)   Malicious   C&C"],
        [*ROW, "-   benign   -"],
        fields=[*FIELDS, "tunnel_parents   label   detailed-label"],
    )
    flows, _ = read(write(tmp_path / "conn.log.labeled", text))
    assert flows["label"].to_list() == ["malicious/c&c", "benign"]


def test_json_lines_give_the_same_flows_as_tsv(tmp_path: Path) -> None:
    numbers = {"ts", "duration"}
    counts = {name for name in FIELDS if name.endswith(("_p", "_bytes", "_pkts"))}
    record = {
        name: float(value) if name in numbers else int(value) if name in counts else value
        for name, value in zip(FIELDS, ROW, strict=True)
    }
    first, _ = read(write(tmp_path / "a.log", tsv(ROW)))
    second, _ = read(write(tmp_path / "b.log", json.dumps(record) + "\n"))
    assert first.drop("capture").equals(second.drop("capture"))


def test_names_join_by_uid(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    rows = [changed(uid=uid, service="-") for uid in ("C1", "C2", "C3", "C4")]
    write(folder / "conn.log", tsv(*rows))
    fields = ["uid", "version", "server_name", "next_protocol", "established"]
    write(folder / "ssl.log", tsv(["C1", "TLSv12", "Example.ORG", "h2", "T"], fields=fields, path="ssl"))
    fields = ["uid", "query", "qtype", "rcode"]
    rows = [["C2", "WWW.example.org", "28", "3"], ["C2", "second.example", "1", "0"], ["C9", "lost.example", "1", "0"]]
    write(folder / "dns.log", tsv(*rows, fields=fields, path="dns"))
    rows = [["C3", "shop.example:8080", "curl/8.0 \\xc3\\xa9"]]
    write(folder / "http.log", tsv(*rows, fields=["uid", "host", "user_agent"], path="http"))
    write(folder / "dhcp.log", tsv(["C7,C4", "printer"], fields=["uids", "host_name"], path="dhcp"))
    write(folder / "weird.log", tsv(["x"], fields=["name"], path="weird"))
    flows, account = read(folder)
    assert flows["server_name"].to_list() == ["example.org", None, "shop.example", None]
    assert flows["server_name_from"].to_list() == ["tls", None, "http", None]
    assert flows["tls_version"].to_list() == ["TLS 1.2", None, None, None]
    assert flows["dns_query"].to_list() == [None, "www.example.org", None, None]
    assert flows["dns_query_type"].to_list() == [None, 28, None, None]
    assert flows["dns_response_code"].to_list() == [None, 3, None, None]
    assert flows["user_agent"].to_list() == [None, None, "curl/8.0 é", None]
    assert flows["dhcp_hostname"].to_list() == [None, None, None, "printer"]
    assert flows["app_protocol"].to_list() == ["tls", "dns", "http", "dhcp"]
    assert account.skipped["no-connection"] >= 1  # C9
    assert account.notes["logs-without-flows"] == 1
    assert [Path(name).name for name in account.details["zeek"]["not_read"]] == ["weird.log"]


def test_a_name_waits_for_a_connection_of_the_next_folder(tmp_path: Path) -> None:
    for day in ("1", "2"):
        (tmp_path / day).mkdir()
    write(tmp_path / "1" / "conn.log", tsv(changed(uid="C1")))
    write(tmp_path / "1" / "ssl.log", tsv(["C2", "a.example"], fields=["uid", "server_name"], path="ssl"))
    write(tmp_path / "2" / "conn.log", tsv(changed(uid="C2")))
    flows, account = read(tmp_path)
    assert flows["server_name"].to_list() == [None, "a.example"]
    assert not account.skipped


def test_names_can_be_left_out(tmp_path: Path) -> None:
    write(tmp_path / "conn.log", tsv(ROW))
    write(tmp_path / "ssl.log", tsv(["C1", "a.example"], fields=["uid", "server_name"], path="ssl"))
    flows, account = read(tmp_path, settings=ZeekSettings(names=False))
    assert flows["server_name"].to_list() == [None]
    assert account.records == 1


def test_broken_lines_are_counted(tmp_path: Path) -> None:
    text = tsv(ROW, ROW[:5], changed(ts="never"), changed(id_orig_h="nobody"))
    path = tmp_path / "conn.log.gz"
    path.write_bytes(gzip.compress(text.encode()))
    flows, account = read(path)
    assert flows.height == 3
    assert dict(account.skipped) == {"bad-line": 1}
    assert account.notes["unreadable-start"] == 1
    assert account.notes["unreadable-src-ip"] == 1


def test_two_logs_in_one_file_each_follow_their_own_header(tmp_path: Path) -> None:
    turned = FIELDS[::-1]
    text = tsv(ROW) + tsv(ROW[::-1], fields=turned)
    flows, _ = read(write(tmp_path / "conn.log", text))
    assert flows["src_ip"].to_list() == ["10.0.0.1"] * 2


def test_flows_of_one_key_and_time_have_ids_of_their_own(tmp_path: Path) -> None:
    flows, _ = read(write(tmp_path / "conn.log", tsv(ROW, ROW, changed(id_orig_p="50001"))))
    assert flows["flow_id"].n_unique() == 3


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("path", "flows_wanted", "named"),
    [
        ("zeek/test9-mixed-zeek-dir", 576, 314),
        ("zeek/test10-mixed-zeek-dir", 141, 13),
        ("mixed/conn.json.log", 1000, 0),
    ],
)
def test_real_logs(shared_data: Path, path: str, flows_wanted: int, named: int) -> None:
    flows, account = read(shared_data / "records" / path)
    assert flows.height == flows_wanted
    assert flows["server_name"].count() == named
    assert flows["src_ip"].null_count() == flows["start"].null_count() == flows["packets_fwd"].null_count() == 0
    assert set(account.skipped) <= {"no-connection"}
