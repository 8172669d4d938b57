"""Logs of any content: nothing raises but what a user can act on, and every record is accounted for."""

import csv
import io
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowlore.errors import FlowloreError
from flowlore.sources.records.argus import ArgusSource
from flowlore.sources.records.flowtables import FIRST_COLUMNS, FlowsSource
from flowlore.sources.records.nfdump import NfdumpSource
from flowlore.sources.records.settings import TablesSettings
from flowlore.sources.records.suricata import SuricataSource
from flowlore.sources.records.tables import TablesSource
from flowlore.sources.records.text import count_lines, line_blocks, read_delimited
from flowlore.sources.records.zeek import ZeekSource
from flowlore.sources.source import Head

ZEEK = (
    b"#separator \\x09\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tduration\torig_pkts"
    b"\tresp_pkts\tconn_state\torig_ip_bytes\tresp_ip_bytes\n"
)
ZEEK_ROW = b"1.5\tC1\t10.0.0.1\t1\t::1\t2\ttcp\t0.1\t1\t1\tSF\t40\t40\n"
ZEEK_JSON = b'{"ts":1.5,"uid":"C1","id.orig_h":"10.0.0.1","id.orig_p":1,"conn_state":"SF","history":"ShA"}\n'
ARGUS = b"StartTime,Dur,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,State,sTos,dTos,TotPkts,TotBytes,SrcBytes,SrcPkts,Label\n"
ARGUS_ROW = b"2019/04/04 16:24:47.672448,63.8,tcp,10.8.0.69,0x1f,   ->,14.1.11.113,999,S0,0,0,31,8764,1887,15,\n"
NFDUMP = b"ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt\n"
NFDUMP_ROW = b"2018-01-12 15:37:30,2018-01-12 15:37:31,1.5,10.0.0.1,10.0.0.2,5,443,TCP,...AP.S.,0,8,5,600,1,2\n"
EVE = b'{"timestamp":"2021-06-06T15:59:46.4+0200","flow_id":1,"event_type":"flow","flow":{"pkts_toserver":1}}\n'
EVE_ROW = b'{"timestamp":"x","flow_id":1,"event_type":"dns","src_ip":"1.1.1.1","dns":{"queries":[{"rrname":"a"}]}}\n'
NFSTREAM = (
    b"src_ip,src_port,dst_ip,dst_port,protocol,bidirectional_first_seen_ms,bidirectional_duration_ms,src2dst_packets,"
    b"dst2src_packets,src2dst_bytes,dst2src_bytes\n"
)
NFSTREAM_ROW = b'"10.0.0.1",5,"::1",53,17,1536925243408,64125,1,1,100,200\n'
FLOWS = FIRST_COLUMNS.encode() + b"src_port,flow_id,packet_gap_ns\n"
FLOWS_ROW = b'2021-06-06T15:59:46.400000000Z,1,0,10.0.0.1,5,00112233445566778899aabbccddeeff,"[0,1]"\n'

CASES: dict[str, tuple[Any, bytes, bytes]] = {
    "zeek": (ZeekSource, ZEEK, ZEEK_ROW),
    "zeek-json": (ZeekSource, ZEEK_JSON, ZEEK_JSON),
    "argus": (ArgusSource, ARGUS, ARGUS_ROW),
    "nfdump": (NfdumpSource, NFDUMP, NFDUMP_ROW),
    "suricata": (SuricataSource, EVE, EVE_ROW),
    "tables": (TablesSource, NFSTREAM, NFSTREAM_ROW),
    "flows": (FlowsSource, FLOWS, FLOWS_ROW),
}
UNHURRIED = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))


class Bytes:
    """An input made of bytes."""

    name = "bytes"

    def __init__(self, data: bytes) -> None:
        self.data = data

    def head(self) -> Head:
        return Head(self.name, self.data[:65_536], len(self.data) <= 65_536)

    def open(self) -> IO[bytes]:
        return io.BytesIO(self.data)


def read(kind: Any, data: bytes) -> None:
    source = kind([Bytes(data)])
    rows = sum(batch.num_rows for batch in source.batches())
    account = source.account
    assert account.flows == rows
    assert account.records == account.records_in_flows + account.skipped.total()
    assert min([0, *account.skipped.values(), *account.notes.values()]) == 0


@pytest.mark.parametrize("case", CASES)
@UNHURRIED
@given(
    junk=st.lists(
        st.one_of(st.binary(max_size=60), st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace"))),
        max_size=6,
    )
)
def test_lines_of_junk_between_good_ones(case: str, junk: list[bytes]) -> None:
    kind, header, row = CASES[case]
    read(kind, header + row + b"".join(row + line + b"\n" for line in junk) + row)


@pytest.mark.parametrize("case", CASES)
@UNHURRIED
@given(data=st.data())
def test_a_log_with_bytes_changed_anywhere(case: str, data: st.DataObject) -> None:
    kind, header, row = CASES[case]
    log = bytearray(header + 3 * row)
    first = 0 if data.draw(st.booleans()) else len(header)
    for place in data.draw(st.lists(st.integers(first, len(log) - 1), min_size=1, max_size=4)):
        log[place] = data.draw(st.sampled_from([*b'0-"\\\n\r\t,{}[]:.#\0\xffz9']))
    try:
        read(kind, bytes(log))
    except FlowloreError:
        assert first == 0  # a broken header may be an error, a broken line may not


@pytest.mark.parametrize("case", CASES)
@UNHURRIED
@given(cut=st.integers(0, 400))
def test_a_log_cut_anywhere(case: str, cut: int) -> None:
    kind, header, row = CASES[case]
    read(kind, (header + 3 * row)[: len(header) + cut])


@UNHURRIED
@given(data=st.binary(max_size=200))
def test_recognition_never_raises(data: bytes) -> None:
    for kind, header, _ in CASES.values():
        kind.recognise(Head("x", data, complete=True))
        kind.recognise(Head("x", header[: len(data)] + data, complete=True))


@UNHURRIED
@given(
    rows=st.lists(
        st.lists(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), max_size=12),
            min_size=3,
            max_size=3,
        ),
        max_size=12,
    ),
    block_bytes=st.integers(1, 200),
)
def test_fields_come_back_however_the_file_is_cut_into_blocks(rows: list[list[str]], block_bytes: int) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    found: list[list[str]] = []
    lines = 0
    skipped: Any = {}
    for block in line_blocks(io.BytesIO(text.getvalue().encode()), skipped, block_bytes):
        frame, left_out = read_delimited(block, ["a", "b", "c"], ",", quoted=True)
        lines += count_lines(block)
        assert not left_out
        found += [list(row) for row in frame.iter_rows()]
    assert lines == len(rows)
    assert found == rows


def test_a_setting_of_another_source_is_not_taken(tmp_path: Path) -> None:
    """Sources given only their own part, or none, take their defaults for the rest."""
    assert TablesSource([], TablesSettings(timezone="Europe/Prague")).account.records == 0
    assert ZeekSource([], TablesSettings()).account.records == 0
