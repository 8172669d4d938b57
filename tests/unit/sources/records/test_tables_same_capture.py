"""Two captures metered by Zeek, NFStream and Tranalyzer: the meters agree, or the difference has a reason."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flowlore.flows.table import Flows
from flowlore.sources.inputs import FileInput
from flowlore.sources.records.tables import TablesSource
from flowlore.sources.records.zeek import ZeekSource

ETHERNET_HEADER = 14
SHORTEST_FRAME = 60

pytestmark = pytest.mark.shared_data


def read(kind: Any, path: Path) -> pl.DataFrame:
    flows = Flows.from_batches(kind([FileInput(path)]).batches()).to_polars()
    return flows.with_columns(
        (pl.col(f"{name}_fwd") + pl.col(f"{name}_rev")).alias(name)
        for name in ("packets", "bytes", "frame_bytes", "payload_bytes")
    )


def packets_of(flows: pl.DataFrame, protocol: int) -> int:
    return int(flows.filter(pl.col.protocol == protocol)["packets"].sum())


def conversations(flows: pl.DataFrame, *names: str) -> pl.DataFrame:
    with_ports = flows.filter(pl.col.protocol.is_in([6, 17]))
    return with_ports.group_by("community_id").agg(pl.col(name).sum() for name in names)


def test_zeek_and_nfstream_count_the_same_packets(shared_data: Path) -> None:
    folder = shared_data / "records/same_capture"
    for capture, alike in (("b1", 0.96), ("b2", 0.98)):
        zeek = read(ZeekSource, folder / f"zeek/{capture}.log")
        nfstream = read(TablesSource, folder / f"nfstream/{capture}.csv")
        assert packets_of(zeek, 1) == packets_of(nfstream, 1)  # ICMP
        both = conversations(zeek, "packets", "bytes").join(
            conversations(nfstream, "packets", "frame_bytes"), on="community_id", suffix="_nfstream"
        )
        assert both.height >= 800
        same = both.filter(pl.col.packets == pl.col.packets_nfstream)
        assert same.height >= alike * both.height  # Zeek leaves out packets with a bad checksum, and ends flows sooner
        lowest = same["bytes"] + ETHERNET_HEADER * same["packets"]
        assert (same["frame_bytes"] >= lowest).all()
        assert (same["frame_bytes"] <= lowest + SHORTEST_FRAME * same["packets"]).all()  # short frames are padded


def test_tranalyzer_counts_the_packets_of_the_second_capture(shared_data: Path) -> None:
    folder = shared_data / "records/same_capture"
    tranalyzer = read(TablesSource, folder / "tranalyzer/b2_flows.txt")
    nfstream = read(TablesSource, folder / "nfstream/b2.csv")
    zeek = read(ZeekSource, folder / "zeek/b2.log")
    assert packets_of(tranalyzer, 1) == packets_of(nfstream, 1) == packets_of(zeek, 1) == 1200
    assert packets_of(tranalyzer, 58) == packets_of(nfstream, 58) == 54
    assert packets_of(tranalyzer, 6) == packets_of(zeek, 6) == 391_982
    both = conversations(tranalyzer, "packets").join(conversations(nfstream, "packets"), on="community_id")
    assert both.height == 805
    assert (both["packets"] == both["packets_right"]).mean() > 0.998


def test_the_two_tranalyzer_files_are_one(shared_data: Path) -> None:
    folder = shared_data / "records/same_capture/tranalyzer"
    assert (folder / "b1_flows.txt").read_bytes() == (folder / "b2_flows.txt").read_bytes()
