"""Argus: binetflow files."""

from pathlib import Path

import polars as pl
import pytest

from flowlore.flows.table import Flows
from flowlore.sources.inputs import FileInput
from flowlore.sources.records.argus import ArgusSource
from flowlore.sources.records.settings import ArgusSettings
from flowlore.sources.source import Account

HEADER = "StartTime,Dur,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,State,sTos,dTos,TotPkts,TotBytes,SrcBytes,SrcPkts,Label"
ROW = "2019/04/04 16:24:47.672448,63.822830,tcp,10.8.0.69,56101,   ->,14.1.11.113,999,S0,0,16,31,8764,1887,15,"


def read(path: Path, *lines: str, settings: ArgusSettings | None = None) -> tuple[pl.DataFrame, Account]:
    if lines:
        path = path / "some.binetflow"
        path.write_text("\n".join(lines) + "\n")
    source = ArgusSource([FileInput(path)], settings)
    flows = Flows.from_batches(source.batches()).to_polars()
    account = source.account
    assert account.records == account.records_in_flows + account.skipped.total()
    assert account.flows == flows.height
    return flows, account


def test_a_line_becomes_a_flow(tmp_path: Path) -> None:
    flows, account = read(tmp_path, HEADER, ROW)
    row = flows.row(0, named=True)
    assert flows["start"].cast(pl.Int64)[0] == 1_554_395_087_672_448_000
    assert row["duration_ns"] == 63_822_830_000
    assert (row["packets_fwd"], row["packets_rev"]) == (15, 16)
    assert (row["frame_bytes_fwd"], row["frame_bytes_rev"]) == (1887, 6877)
    assert row["bytes_fwd"] is None
    assert (row["tos_fwd"], row["tos_rev"], row["connection_state"]) == (0, 16, "S0")
    assert row["label"] is None
    assert not account.notes


def test_labels_and_time_zone(tmp_path: Path) -> None:
    flows, _ = read(tmp_path, HEADER, ROW + "flow=From-Botnet", settings=ArgusSettings(timezone="Europe/Prague"))
    assert flows["label"].to_list() == ["flow=From-Botnet"]
    assert flows["start"].cast(pl.Int64)[0] == 1_554_387_887_672_448_000


def test_ctu_13_gives_packets_of_each_side_only_where_it_is_certain(tmp_path: Path) -> None:
    header = HEADER.replace(",SrcPkts", "")
    one_way = "2011/08/10 09:46:59.607825,1.026539,udp,94.44.127.113,1577,   ->,147.32.84.59,6881,INT,0,0,4,276,276,"
    two_way = "2011/08/10 09:46:59.607825,1.026539,tcp,94.44.127.113,1577,  <->,147.32.84.59,0x1ae1,CON,0,0,4,276,156,"
    flows, _ = read(tmp_path, header, one_way, two_way)
    assert flows["packets_fwd"].to_list() == [4, None]
    assert flows["packets_rev"].to_list() == [0, None]
    assert flows["frame_bytes_rev"].to_list() == [0, 120]
    assert flows["dst_port"].to_list() == [6881, 6881]


def test_icmp_and_what_is_no_ip(tmp_path: Path) -> None:
    icmp = ROW.replace(",tcp,", ",icmp,").replace(",56101,", ",0x0403,").replace(",999,", ",0xfe25,")
    arp = ROW.replace(",tcp,", ",arp,").replace(",56101,", ",,")
    stream = ROW.replace(",tcp,", ",rtp,")
    flows, account = read(tmp_path, HEADER, icmp, arp, stream, "too,short")
    assert flows["protocol"].to_list() == [1, 17]
    assert (flows["src_port"][0], flows["dst_port"][0]) == (3, 4)
    assert dict(account.skipped) == {"not-ip": 1, "bad-line": 1}


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("path", "flows_wanted", "skipped"),
    [
        ("argus/test2-malicious.binetflow", 6751, {}),
        ("argus/test3-mixed.binetflow", 89, {}),
        ("argus/test11-portscan.binetflow", 66, {}),
        ("mixed/test.binetflow", 91, {"not-ip": 8}),
    ],
)
def test_real_files(shared_data: Path, path: str, flows_wanted: int, skipped: dict[str, int]) -> None:
    flows, account = read(shared_data / "records" / path)
    assert flows.height == flows_wanted
    assert dict(account.skipped) == skipped
    assert flows["src_ip"].null_count() == flows["start"].null_count() == flows["frame_bytes_fwd"].null_count() == 0
