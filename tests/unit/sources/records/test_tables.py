"""Tables by a column map: the maps that ship, the maps that users bring, and what is wrong with either."""

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest

from flowlore.errors import InputError, SettingError
from flowlore.flows.table import Flows
from flowlore.sources.inputs import FileInput
from flowlore.sources.records.columnmaps import load_map, parse_map, recognise_header, shipped_maps
from flowlore.sources.records.settings import TablesSettings
from flowlore.sources.records.tables import TablesSource
from flowlore.sources.source import Account

OWN_MAP = """
title = "My probe"
timezone = "Europe/Prague"
null_values = ["", "n/a"]
known = ["comment*"]

[columns]
start = { column = "when", formats = ["%d.%m.%Y %H:%M:%S%.f"] }
duration_ns = { column = ["lasted", "duration"], unit = "ms" }
src_ip = "from"
dst_ip = "to"
src_port = { column = "from port", optional = true }
protocol = { column = "proto", not_ip = ["arp"] }
packets_fwd = { column = "all packets", minus = "answers" }
packets_rev = "answers"
bytes_fwd = { column = "kB", scale = 1000 }
label = { column = "kind", lower = true, null_as = "none" }

[constants]
observation_point = 7
"""
OWN_HEADER = "When;Lasted;From;To;From Port;Proto;All Packets;Answers;kB;Kind;Comment 1;extra"
OWN_ROW = "01.06.2024 12:00:00.5;1.5;10.0.0.1;2001:db8::1;1234;TCP;9;4;1.25;Bad;x;y"


def read(path: Path, settings: TablesSettings | None = None) -> tuple[pl.DataFrame, Account]:
    source = TablesSource([FileInput(path)], settings)
    flows = Flows.from_batches(source.batches()).to_polars()
    account = source.account
    assert account.records == account.records_in_flows + account.skipped.total()
    assert account.flows == flows.height
    return flows, account


def own(folder: Path, *rows: str, column_map: str = OWN_MAP, header: str = OWN_HEADER) -> tuple[pl.DataFrame, Account]:
    (folder / "own.toml").write_text(column_map)
    (folder / "own.csv").write_text("\n".join([header, *rows]) + "\n")
    return read(folder / "own.csv", TablesSettings(map=str(folder / "own.toml")))


def test_a_map_of_ones_own(tmp_path: Path) -> None:
    flows, account = own(tmp_path, OWN_ROW, OWN_ROW.replace("Bad", "n/a"), OWN_ROW.replace("TCP", "ARP"), "too;short")
    row = flows.row(0, named=True)
    assert flows["start"].cast(pl.Int64)[0] == 1_717_236_000_500_000_000
    assert row["duration_ns"] == 1_500_000
    assert (row["src_ip"], row["dst_ip"], row["src_port"]) == ("10.0.0.1", "2001:db8::1", 1234)
    assert (row["packets_fwd"], row["packets_rev"], row["bytes_fwd"], row["protocol"]) == (5, 4, 1250, 6)
    assert flows["label"].to_list() == ["bad", "none"]
    assert row["label_source"] == "own"
    assert row["observation_point"] == 7
    assert dict(account.skipped) == {"not-ip": 1, "bad-line": 1}
    assert account.details["tables"][str(tmp_path / "own.csv")]["unused"] == ["extra"]
    assert account.notes["unused-columns"] == 1


def test_a_time_zone_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="no time zone is called `Mars/Olympus`"):
        own(tmp_path, OWN_ROW, column_map=OWN_MAP.replace("Europe/Prague", "Mars/Olympus"))


def test_values_that_cannot_be_read_are_null_and_noted(tmp_path: Path) -> None:
    flows, account = own(tmp_path, OWN_ROW, OWN_ROW.replace("10.0.0.1", "300.1.1.1").replace("1234", "70000"))
    assert flows["src_ip"].to_list() == ["10.0.0.1", None]
    assert flows["src_port"].to_list() == [1234, None]
    assert account.notes["unreadable-src-ip"] == account.notes["unreadable-src-port"] == 1


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no column `answers`, which the map `own` needs.*\n\nhint: did you mean"):
        own(tmp_path, OWN_ROW, header=OWN_HEADER.replace("Answers", "Answer"))
    flows, _ = own(tmp_path, OWN_ROW, header=OWN_HEADER.replace("From Port", "other"))
    assert flows["src_port"].to_list() == [None]


@pytest.mark.parametrize(
    ("column_map", "complaint"),
    [
        ("[columns]\nsrc_ipp = 'a'", "`src_ipp`, which is not a column of the flow table"),
        ("[columns]\nsrc_ip = 5", "must be a column's name"),
        ("[columns]\nstart = {colum = 'a'}", "unknown key `colum`"),
        ("[columns]\nstart = {column = 'a', unit = 'h'}", "has the unit `h`"),
        ("[columns]\npacket_direction = {column = 'a', take = 'half'}", "takes `half`"),
        ("titel = 'x'\n[columns]\nsrc_ip = 'a'", "unknown key `titel`"),
        ("positions = ['a', 'a']\n[columns]\nsrc_ip = 'a'", "has a name twice"),
        ("title = 'x'", "has no table"),
        ("columns = [", "is not TOML"),
    ],
)
def test_what_is_wrong_with_a_map(column_map: str, complaint: str) -> None:
    with pytest.raises(SettingError, match=complaint):
        parse_map(column_map, "own.toml")


def test_maps_by_name_and_by_path(tmp_path: Path) -> None:
    assert load_map("nfstream").title == "NFStream flows"
    with pytest.raises(SettingError, match="did you mean `nfstream`"):
        load_map("nfstrem")
    with pytest.raises(SettingError, match="cannot be read"):
        load_map(str(tmp_path / "absent.toml"))


def test_no_map_fits(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    assert TablesSource.recognise(FileInput(path).head()) is None
    with pytest.raises(InputError, match=r"no column map fits .* \(its columns are a, b\)"):
        read(path)


def test_every_shipped_map_recognises_its_own_header_and_no_other() -> None:
    for name, column_map in shipped_maps().items():
        header = [names[0] for names in column_map.required()]
        found = recognise_header(header)
        assert (found.name if found else None) == (name if column_map.automatic else None)


def test_old_spellings_of_cicflowmeter_and_headers_in_the_middle(tmp_path: Path) -> None:
    header = (
        "Flow ID, Source IP, Source Port, Destination IP, Destination Port, Protocol, Timestamp, Flow Duration,"
        " Total Fwd Packets, Total Backward Packets,Total Length of Fwd Packets, Total Length of Bwd Packets,"
        " Fwd Header Length, Fwd Header Length, Label"
    )
    row = "a-b,10.0.0.1,5000,10.0.0.2,80,6,3/7/2017 8:55,1500,3,2,100,200,60,60,DoS Hulk"
    path = tmp_path / "Monday.csv"
    path.write_text("\n".join([header, row, header, row.replace("8:55", "8:55:07")]) + "\n")
    flows, account = read(path, TablesSettings(timezone="America/Moncton", label_source="cic-ids2017"))
    assert flows["start"].dt.strftime("%F %T").to_list() == ["2017-07-03 11:55:00", "2017-07-03 11:55:07"]
    assert flows["duration_ns"].to_list() == [1_500_000, 1_500_000]
    assert flows["payload_bytes_fwd"].to_list() == [100, 100]
    assert flows["label"].to_list() == ["dos hulk", "dos hulk"]
    assert flows["label_source"].to_list() == ["cic-ids2017"] * 2
    assert dict(account.skipped) == {"repeated-header": 1}
    assert "unused-columns" not in account.notes


def test_unsw_nb15_without_a_header(tmp_path: Path) -> None:
    row = (
        "59.166.0.0,1390,149.171.126.6,53,udp,CON,0.001055,132,164,31,29,0,0,dns,500473.9375,621800.9375,2,2,0,0,0,0,66,"
        "82,0,0,0,0,1421927414,1421927414,0.017,0.013,0,0,0,0,0,0,0,0,3,7,1,3,1,1,1,,0"
    )
    path = tmp_path / "UNSW-NB15_1.csv"
    path.write_text(f"{row}\n{row.replace('udp', 'arp')}\n")
    flows, account = read(path)
    assert (
        TablesSource.recognise(FileInput(path).head()) == "UNSW-NB15 flows, 49 columns, separated by commas, 49 columns"
    )
    assert flows["frame_bytes_fwd"].to_list() == [132]
    assert flows["label"].to_list() == ["normal"]
    assert dict(account.skipped) == {"not-ip": 1}


def test_nf_v2_takes_icmp_types_for_icmp_only(tmp_path: Path) -> None:
    needed = load_map("nf-v2").required()
    header = [*(names[0] for names in needed), "ICMP_TYPE", "Attack"]
    values = {"PROTOCOL": "1", "L4_SRC_PORT": "0", "L4_DST_PORT": "0", "ICMP_TYPE": "771", "IPV4_SRC_ADDR": "10.0.0.1"}
    values |= {"IPV4_DST_ADDR": "10.0.0.2", "DURATION_IN": "5", "DURATION_OUT": "7", "Attack": "DoS"}
    tcp = values | {"PROTOCOL": "6", "L4_DST_PORT": "80"}
    path = tmp_path / "nf.csv"
    rows = [",".join(line.get(name, "1") for name in header) for line in (values, tcp)]
    path.write_text("\n".join([",".join(header), *rows]) + "\n")
    flows, _ = read(path)
    assert flows["src_port"].to_list() == [3, 0]
    assert flows["dst_port"].to_list() == [3, 80]
    assert flows["duration_ns"].to_list() == [7_000_000, 7_000_000]
    assert flows["start"].null_count() == 2
    assert flows["flow_id"].n_unique() == 2


def test_pseudonyms_are_no_addresses_and_ids_stay_the_same(tmp_path: Path) -> None:
    table = {
        "avg_ipt": [0.0], "bytes_in": [5], "bytes_out": [7], "dest_ip": [15169], "dest_port": [53], "num_pkts_out": [4],
        "num_pkts_in": [0], "proto": [17], "src_ip": [786], "src_port": [57590], "time_end": [1_594_166_340_752_337],
        "time_start": [1_594_166_333_601_886], "total_entropy": [0.0], "label": ["benign"],
    }  # fmt: skip
    path = tmp_path / "luflow.parquet"
    pyarrow.parquet.write_table(pa.table(table), path)
    flows, _ = read(path)
    row = flows.row(0, named=True)
    assert (row["src_name"], row["dst_name"], row["src_as"], row["src_ip"]) == ("AS786", "AS15169", 786, None)
    assert flows["start"].cast(pl.Int64)[0] == 1_594_166_333_601_886_000
    assert row["duration_ns"] == 7_150_451_000
    assert (row["payload_bytes_fwd"], row["packets_fwd"]) == (7, 4)
    assert row["flow_id"] == read(path)[0]["flow_id"][0]
    assert row["community_id"] is None


def test_packet_series_of_lists(tmp_path: Path) -> None:
    table = {
        "platform": ["Twitch"], "quality": ["480"], "session": ["1"], "rel_ts_us": [[0, 60, 147]],
        "len": [[1292, -120, 984]],
    }  # fmt: skip
    path = tmp_path / "video.parquet"
    pyarrow.parquet.write_table(pa.table(table), path)
    flows, _ = read(path)
    assert flows["packet_direction"].to_list() == [[1, -1, 1]]
    assert flows["packet_payload_bytes"].to_list() == [[1292, 120, 984]]
    assert flows["packet_gap_ns"].to_list() == [[0, 60_000, 87_000]]
    assert flows["label"].to_list() == ["Twitch/480"]


def test_a_cut_parquet_file_is_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "cut.parquet"
    path.write_bytes(b"PAR1" + bytes(100))
    with pytest.raises(InputError, match="cannot be read"):
        read(path)


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("path", "flows_wanted", "skipped"),
    [
        ("cicids2017/flows.parquet", 30_390, {}),
        ("exposed_hosts/flows.parquet", 19_094, {}),
        ("iot23/flows.parquet", 28_180, {}),
        ("fgnet/d1.parquet", 150_897, {}),
        ("video/sessions.parquet", 1_562, {}),
        ("luflow/days.parquet", 370_177, {}),
        ("nf_botiot_v2/flows.parquet", 195_668, {}),
        ("unsw_nb15/flows.parquet", 9_938, {"not-ip": 62}),
        ("honeypot/heralding.parquet", 49_212, {}),
        ("records/same_capture/nfstream/b1.csv", 1_177, {}),
        ("records/same_capture/tranalyzer/b1_flows.txt", 1_027, {"not-ip": 178}),
    ],
)
def test_real_tables(shared_data: Path, path: str, flows_wanted: int, skipped: dict[str, int]) -> None:
    flows, account = read(shared_data / path)
    assert flows.height == flows_wanted
    assert dict(account.skipped) == skipped
    assert {name for name in account.notes if name.startswith("unreadable")} <= {"unreadable-src-mac"}
    assert not account.details["tables"][str(shared_data / path)]["unused"]
    assert flows["flow_id"].n_unique() == flows.height


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("x = = 1\n", r"is not TOML: [\s\S]*hint: a column map has lines such as `src_ip ="),
        ("foo = 1\n[columns]\nsrc_ip = 'a'\n", r"unknown key `foo`[\s\S]*hint: known are name"),
        ("[columns]\nzzz = 'a'\n", r"maps to `zzz`[\s\S]*hint: `flowlore columns`"),
    ],
)
def test_a_wrong_map_is_helped(text, hint):
    with pytest.raises(SettingError, match=hint):
        parse_map(text, "own.toml")
