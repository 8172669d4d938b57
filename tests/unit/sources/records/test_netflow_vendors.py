"""Datagrams of some forty vendors: each decodes, templates and data being often in files of their own."""

from collections import Counter
from pathlib import Path

import pytest

from flowlore.sources.inputs import FileInput
from flowlore.sources.records.netflow.datagrams import Datagrams, split_datagrams
from flowlore.sources.records.netflow.decoder import Decoder
from flowlore.sources.records.netflow.raw import decode_raw
from flowlore.sources.records.netflow.settings import NetflowSettings
from flowlore.sources.records.netflow.source import NetflowSource

pytestmark = pytest.mark.shared_data

BROKEN = {"netflow5_test_invalid01.dat", "netflow5_test_invalid02.dat"}
TEMPLATES_ELSEWHERE = {  # data sets whose templates are in no file
    "netflow9_test_iptnetflow_reduced_size_encoding_tpldata260.dat": 6,
    "ipfix_test_netscaler_data.dat": 1,
}

PALO_ALTO = "netflow9_test_paloalto_81_"

# Files of data whose templates are in files that do not begin with the same words.
TEMPLATE_FILES = {
    "ipfix_test_yaf_data53248.dat": "ipfix_test_yaf_tpls_option_tpl.dat",
    "ipfix_test_yaf_data45873.dat": "ipfix_test_yaf_tpls_option_tpl.dat",
    "netflow9_test_cisco_asr9k_data256.dat": "netflow9_test_cisco_asr9k_opttpl256.dat",
    PALO_ALTO + "data257_1flowset_in_large_zerofilled_packet.dat": PALO_ALTO + "tpl256-263.dat",
}


def test_every_file_of_data_gives_records_and_leaves_nothing_over(shared_data: Path) -> None:
    folder = shared_data / "netflow" / "datagrams"
    names = sorted(path.name for path in folder.glob("*.dat"))
    assert len(names) == 92
    seen = 0
    for name in names:
        if "_data" not in name and "tpldata" not in name and "tpl_data" not in name:
            continue
        decoder = Decoder()
        templates = [TEMPLATE_FILES[name]] if name in TEMPLATE_FILES else template_files(name, names)
        records = [record for file in [*templates, name] for record in decode_raw(decoder, datagrams_in(folder / file))]
        decoder.finish()
        assert records, name
        assert decoder.skipped.total() == TEMPLATES_ELSEWHERE.get(name, 0), (name, decoder.skipped)
        seen += 1
    assert seen == 44


def test_every_file_decodes_alone_and_the_broken_ones_are_counted(shared_data: Path) -> None:
    for path in sorted((shared_data / "netflow" / "datagrams").glob("*.dat")):
        decoder = Decoder()
        records = decode_raw(decoder, datagrams_in(path))
        decoder.finish()
        reasons = set(decoder.skipped)
        assert reasons <= ({"bad-header"} if path.name in BROKEN else {"data-before-template"}), (path.name, reasons)
        flows = sum(not record.is_options for record in records)
        assert decoder.records == flows + decoder.skipped.total()


@pytest.mark.parametrize(
    ("name", "records"),
    [
        ("netflow5.dat", 30),
        ("netflow5_test_juniper_mx80.dat", 29),
        ("netflow5_test_microtik.dat", 30),
        ("netflow9_test_valid01.dat", 7),
        ("netflow9_test_cisco_1941K9.dat", 29),
        ("netflow9_test_softflowd_tpl_data.dat", 7),
        ("ipfix.dat", 12),
    ],
)
def test_records_announced_by_the_headers_are_found(shared_data: Path, name: str, records: int) -> None:
    (table,) = [
        sum(len(table.export_ns) for table in Decoder().decode(datagrams_in(path)))
        for path in [shared_data / "netflow" / "datagrams" / name]
    ]
    assert table == records


@pytest.mark.parametrize(
    ("capture", "records", "rows"),  # records as `tshark -T fields -e cflow.*` and nfcapd count them
    [
        ("netflow5.pcap", 4, 4),
        ("netgraph-netflow5.pcap", 120, None),
        ("nprobe-netflow9-3.pcap", 892, 446),
        ("pmacctd-netflow5.pcap", 42, 21),
        ("pmacctd-netflow9.pcap", 6, 3),
    ],
)
def test_captures_of_exports_are_recognised_and_read(
    shared_data: Path, capture: str, records: int, rows: int | None
) -> None:
    source = FileInput(shared_data / "netflow" / "graylog-netflow" / capture)
    assert NetflowSource.recognise(source.head()) == "NetFlow or IPFIX exports in a capture"
    reader = NetflowSource([source])
    found = sum(batch.num_rows for batch in reader.batches())
    assert (reader.account.records, reader.account.records_in_flows) == (records, records)
    assert rows is None or found == rows


@pytest.mark.parametrize(
    ("capture", "records", "packets", "size_bytes"),  # as nfcapd and nfdump count the same datagrams
    [
        ("graylog-netflow/netgraph-netflow5.pcap", 120, 19_355, 6_765_997),
        ("graylog-netflow/nprobe-netflow9-3.pcap", 892, 2949, 224_593),
        ("netgauze/pmacct-tests/100-IPFIXv10-CISCO/traffic-00.pcap", 12, 34, 34_172),
        ("netgauze/pmacct-tests/101-NFv9-CISCO-cust_primitives/traffic-00.pcap", 51, 56, 4500),
    ],
)
def test_sums_equal_those_of_nfdump(
    shared_data: Path, capture: str, records: int, packets: int, size_bytes: int
) -> None:
    reader = NetflowSource([FileInput(shared_data / "netflow" / capture)], NetflowSettings(apply_sampling=False))
    batches = list(reader.batches())
    sums = {
        name: sum(
            value or 0 for batch in batches for side in ("fwd", "rev") for value in batch[f"{name}_{side}"].to_pylist()
        )
        for name in ("packets", "bytes")
    }
    assert (reader.account.records_in_flows, sums["packets"], sums["bytes"]) == (records, packets, size_bytes)


def test_captures_of_packets_are_not_taken_for_exports(shared_data: Path) -> None:
    taken = Counter[str]()
    for path in sorted((shared_data / "ndpi" / "pcap").iterdir())[::4]:
        if NetflowSource.recognise(FileInput(path).head()):
            taken[path.name] += 1
    assert set(taken) <= {"netflowv9.pcap", "netflow-fritz.pcap"}


def datagrams_in(path: Path) -> Datagrams:
    data = path.read_bytes()
    return Datagrams.join([data[start : start + length] for start, length in split_datagrams(data)])


def template_files(name: str, names: list[str]) -> list[str]:
    """Files of templates of the same vendor and test."""
    stem = name.split("_data")[0]
    return [other for other in names if other != name and other.startswith(stem) and "tpl" in other]
