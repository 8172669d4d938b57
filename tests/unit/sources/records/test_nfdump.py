"""nfdump: CSV of old and new versions, lines for people, and nfcapd files."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from flowlore.errors import InputError, MissingDependency
from flowlore.flows.table import Flows
from flowlore.sources.inputs import FileInput
from flowlore.sources.records.nfdump import NfdumpSource
from flowlore.sources.records.settings import NfdumpSettings
from flowlore.sources.source import Account

OLD = "ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt,in,out,sas,das"
NEW = "firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,packets,bytes,flows"
ASKED = (
    "2018-01-12 15:37:30,2018-01-12 15:37:31,1.500,10.0.0.1,10.0.0.2,50000,443,TCP,...AP.S.,0,8,5,600,0,0,3,4,65000,0"
)
ANSWERED = (
    "2018-01-12 15:37:31,2018-01-12 15:37:31,0.250,10.0.0.2,10.0.0.1,443,50000,TCP,...AP.SF,0,0,4,4000,0,0,4,3,0,65000"
)
FOOTER = ["Summary", "flows,bytes,packets,avg_bps,avg_pps,avg_bpp", "2,4600,9,1,1,1"]


def read(path: Path, *lines: str, settings: NfdumpSettings | None = None) -> tuple[pl.DataFrame, Account]:
    if lines:
        path = path / "flows.csv"
        path.write_text("\n".join(lines) + "\n")
    source = NfdumpSource([FileInput(path)], settings)
    flows = Flows.from_batches(source.batches()).to_polars()
    account = source.account
    assert account.records == account.records_in_flows + account.skipped.total()
    assert account.flows == flows.height
    return flows, account


def test_two_directions_become_one_flow(tmp_path: Path) -> None:
    flows, account = read(tmp_path, OLD, ASKED, ANSWERED, *FOOTER)
    row = flows.row(0, named=True)
    assert (account.records, flows.height, dict(account.skipped)) == (2, 1, {})
    assert flows["start"].cast(pl.Int64)[0] == 1_515_771_450_000_000_000
    assert row["duration_ns"] == 1_500_000_000
    assert (row["src_ip"], row["src_port"], row["dst_port"]) == ("10.0.0.1", 50000, 443)
    assert (row["packets_fwd"], row["bytes_fwd"], row["packets_rev"], row["bytes_rev"]) == (5, 600, 4, 4000)
    assert (row["tcp_flags_fwd"], row["tcp_flags_rev"]) == (0x1A, 0x1B)
    assert (row["src_as"], row["dst_as"]) == (65000, None)
    assert (row["input_interface"], row["output_interface"]) == (3, 4)
    assert row["source"] == "nfdump"


def test_directions_stay_apart_on_request(tmp_path: Path) -> None:
    flows, _ = read(tmp_path, OLD, ASKED, ANSWERED, settings=NfdumpSettings(pairing=False))
    assert flows.height == 2


def test_new_header_time_zone_and_icmp(tmp_path: Path) -> None:
    rows = [
        "2024-06-01 12:00:00.123,0.500,UDP,10.0.0.1,5353,10.0.0.9,53,3,180,1",
        "2024-06-01 12:00:01.000,0.000,ICMP,10.0.0.1,0,10.0.0.9,3.4,1,56,1",
    ]
    flows, _ = read(tmp_path, NEW, *rows, settings=NfdumpSettings(timezone="Europe/Prague"))
    flows = flows.sort("start")
    assert flows["start"].cast(pl.Int64)[0] == 1_717_236_000_123_000_000
    assert flows["protocol"].to_list() == [17, 1]
    assert (flows["src_port"][1], flows["dst_port"][1]) == (3, 4)


def test_bad_rows_are_counted(tmp_path: Path) -> None:
    rows = [ASKED.replace("10.0.0.1", "nowhere", 1), ASKED.replace("2018-01-12 15:37:30", "never", 1), "1,2,3"]
    flows, account = read(tmp_path, OLD, ASKED, *rows)
    assert flows.height == 1
    assert dict(account.skipped) == {"bad-address": 1, "bad-time": 1, "bad-line": 1}


def test_lines_for_people(tmp_path: Path) -> None:
    flows, account = read(
        tmp_path,
        "Date flow start          Duration Proto      Src IP Addr:Port          Dst IP Addr:Port   Flags Tos Packets",
        "2013-07-09 01:15:33.005     0.548 TCP        10.0.0.151:49161 ->      10.0.0.150:3128  .APRS.   0  5  333  1",
        "2013-07-09 01:15:33.105     0.448 TCP        10.0.0.150:3128  ->      10.0.0.151:49161 .AP.S.   0  4  1.2 M 1",
    )
    assert (flows["packets_fwd"][0], flows["bytes_fwd"][0]) == (5, 333)
    assert dict(account.skipped) == {"bad-line": 1}  # a rounded number is no count of bytes


def test_without_the_program_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "nfcapd"
    path.write_bytes(b"\x0c\xa5\x01\x00" + bytes(300))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(MissingDependency, match="apt install nfdump"):
        read(path)


@pytest.mark.skipif(shutil.which("nfdump") is None, reason="the program `nfdump` is not installed")
def test_a_broken_nfcapd_file_is_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "nfcapd"
    path.write_bytes(b"\x0c\xa5\x07\x00" + bytes(30))
    assert NfdumpSource.recognise(FileInput(path).head()) is None
    path.write_bytes(b"\x0c\xa5\x01\x00" + bytes(30))
    with pytest.raises(InputError, match=r"could not read .*Short read"):
        read(path)


@pytest.mark.shared_data
@pytest.mark.skipif(shutil.which("nfdump") is None, reason="the program `nfdump` is not installed")
def test_a_real_nfcapd_file(shared_data: Path) -> None:
    flows, account = read(shared_data / "records/nfdump/test1-malicious.nfdump")
    assert (account.records, account.records_in_flows) == (4593, 4593)
    assert flows["packets_fwd"].sum() + flows["packets_rev"].sum() == 4652  # as `nfdump -I` says
    assert flows["bytes_fwd"].sum() + flows["bytes_rev"].sum() == 241_025
    assert flows["start"].min().microsecond == 940_000


@pytest.mark.shared_data
@pytest.mark.skipif(shutil.which("nfdump") is None, reason="the program `nfdump` is not installed")
def test_a_damaged_nfcapd_file_gives_what_it_can(shared_data: Path, tmp_path: Path) -> None:
    data = (shared_data / "records/nfdump/test1-malicious.nfdump").read_bytes()
    path = tmp_path / "nfcapd"
    path.write_bytes(data[:5000] + b"\xff" * 200 + data[5200:])
    flows, account = read(path)
    assert flows.height > 20
    assert account.notes["damaged-file"] == 1


@pytest.mark.shared_data
@pytest.mark.parametrize(("name", "records"), [("nfcapd.sample1", 35), ("nfcapd.sample2", 167)])
def test_real_lines(shared_data: Path, name: str, records: int) -> None:
    _, account = read(shared_data / "records/mixed" / name)
    assert (account.records, account.records_in_flows) == (records, records)
