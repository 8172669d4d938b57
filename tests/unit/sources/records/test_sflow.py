"""sFlow samples become rows that stand for what was on the wire."""

import ipaddress
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowlore.sources.checks import source_checks
from flowlore.sources.inputs import FileInput
from flowlore.sources.records.netflow.datagrams import Datagrams
from flowlore.sources.records.sflow.pipeline import SflowPipeline
from flowlore.sources.records.sflow.settings import SflowSettings
from flowlore.sources.records.sflow.source import SflowSource, describe_sflow, split_sflow
from flowlore.sources.source import Account

NOW_NS = 1_700_000_000_000_000_000


def ethernet(
    src: str = "10.0.0.1", dst: str = "10.0.0.2", ports: tuple[int, int] = (40_000, 443), flags: int = 2
) -> bytes:
    tcp = struct.pack(">HHIIBBHHH", *ports, 1, 0, 0x50, flags, 1000, 0, 0)
    addresses = ipaddress.IPv4Address(src).packed + ipaddress.IPv4Address(dst).packed
    ip = struct.pack(">BBHHHBBH", 0x45, 8, 1500, 0, 0, 64, 6, 0) + addresses
    return bytes.fromhex("0200000000020200000000010800") + ip + tcp


def a_record(kind: int, body: bytes) -> bytes:
    padded = body + bytes(-len(body) % 4)
    return struct.pack(">II", kind, len(padded)) + padded


def raw(header: bytes, frame_bytes: int = 1518) -> bytes:
    return a_record(1, struct.pack(">IIII", 1, frame_bytes, 4, len(header)) + header)


def sample(*records: bytes, rate: int = 100, expanded: bool = False) -> bytes:
    if expanded:
        body = struct.pack(">IIIIIIIIIII", 1, 0, 5, rate, 1000, 0, 0, 7, 0, 8, len(records))
        return a_record(3, body + b"".join(records))
    return a_record(1, struct.pack(">IIIIIIII", 1, 5, rate, 1000, 0, 7, 8, len(records)) + b"".join(records))


def datagram(*samples: bytes, sequence: int = 1) -> bytes:
    agent = ipaddress.IPv4Address("192.0.2.9").packed
    return struct.pack(">II4sIIII", 5, 1, agent, 0, sequence, 60_000, len(samples)) + b"".join(samples)


def rows_of(
    payloads: list[bytes], account: Account | None = None, times_s: list[float] | None = None, **settings: Any
) -> list[dict[str, Any]]:
    account = account or Account()
    pipeline = SflowPipeline(SflowSettings(**settings), account)
    times = NOW_NS + (np.array(times_s or [0.0] * len(payloads)) * 1e9).astype(np.int64)
    batches = [*pipeline.add(Datagrams.join(payloads, received_ns=times), "test"), *pipeline.finish()]
    assert account.records == account.records_in_flows + sum(account.skipped.values())
    return sorted((row for batch in batches for row in batch.to_pylist()), key=lambda row: row["start"])


@pytest.mark.parametrize("expanded", [False, True])
def test_samples_of_a_flow_are_one_row_scaled_by_the_rate(expanded: bool) -> None:
    one, two = (sample(raw(ethernet(flags=flags)), expanded=expanded) for flags in (2, 0x10))
    (row,) = rows_of([datagram(one), datagram(two, sequence=2)], times_s=[0.0, 2.5])
    assert (row["packets_fwd"], row["bytes_fwd"], row["frame_bytes_fwd"]) == (200, 300_000, 303_600)
    assert (row["src_port"], row["dst_port"], row["protocol"], row["tcp_flags_fwd"], row["tos_fwd"]) == (
        40_000,
        443,
        6,
        0x12,
        8,
    )
    assert (row["sampling_rate"], row["input_interface"], row["output_interface"]) == (100, 7, 8)
    assert (row["start"].value, row["duration_ns"], row["exporter"]) == (NOW_NS, 2_500_000_000, "192.0.2.9/0")
    assert row["src_mac"] == bytes.fromhex("020000000001")


def test_both_directions_are_one_flow() -> None:
    back = sample(raw(ethernet("10.0.0.2", "10.0.0.1", (443, 40_000), 0x12)))
    (row,) = rows_of([datagram(sample(raw(ethernet()))), datagram(back, sequence=2)], times_s=[0.0, 0.1])
    assert (row["packets_fwd"], row["packets_rev"], row["src_port"]) == (100, 100, 40_000)


def test_windows_part_a_flow() -> None:
    payloads = [datagram(sample(raw(ethernet(flags=0x10))), sequence=place) for place in range(3)]
    rows = rows_of(payloads, times_s=[0.0, 10.0, 20.0], window_s=10.0)
    assert [row["part"] for row in rows] == [0, 1, 2]
    assert len({row["flow_id"] for row in rows}) == 1


def test_switches_and_gateways_say_more() -> None:
    switch = a_record(1001, struct.pack(">IIII", 33, 0, 44, 0))
    gateway = a_record(
        1003, struct.pack(">I4sIIIIIIIII", 1, bytes(4), 64_500, 64_501, 64_502, 1, 2, 2, 64_503, 64_504, 0)
    )
    (row,) = rows_of([datagram(sample(raw(ethernet()), switch, gateway))])
    assert (row["vlan"], row["src_as"], row["dst_as"]) == (33, 64_501, 64_504)


def test_samples_with_addresses_but_no_header() -> None:
    body = struct.pack(">II4s4sIIII", 600, 17, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]), 53, 5353, 0, 4)
    (row,) = rows_of([datagram(sample(a_record(3, body)))])
    assert (row["src_port"], row["dst_port"], row["protocol"], row["bytes_fwd"], row["tos_fwd"]) == (
        53,
        5353,
        17,
        60_000,
        4,
    )
    assert row["frame_bytes_fwd"] is None and row["src_mac"] is None


def test_counters_are_counted_and_what_is_no_ip_is_skipped() -> None:
    account = Account()
    arp = bytes(12) + b"\x08\x06" + bytes(28)
    assert rows_of([datagram(a_record(2, bytes(12)), sample(raw(arp)))], account) == []
    assert account.notes["counter-sample"] == 1
    assert account.skipped == {"not-ip": 1}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\0\0\0\5", "bad-header"),
        (b"\0\0\0\4" + bytes(60), "unknown-version"),
        (datagram(sample(raw(ethernet())))[:-8], "bad-sample-length"),
        (datagram(sample())[:28], "cut-datagram"),
    ],
)
def test_bad_datagrams_are_counted(payload: bytes, reason: str) -> None:
    account = Account()
    assert rows_of([payload], account) == []
    assert account.skipped == {reason: 1}


def test_gaps_and_sampling_are_shown() -> None:
    account = Account()
    rows_of([datagram(sample(raw(ethernet())), sequence=place) for place in (1, 2, 5)], account)
    (exporter,) = account.details["exporters"]
    assert (exporter["missing"], exporter["sequence_gaps"], exporter["datagrams"]) == (2, 1, 3)


EXAMPLES = [datagram(sample(raw(ethernet())), sample(raw(ethernet("10.0.0.2", "10.0.0.1", (443, 40_000)))))]


@pytest.mark.parametrize("check", list(source_checks()), ids=lambda check: check.__name__)
def test_the_source_keeps_its_promises(check: Any) -> None:
    check(SflowSource, EXAMPLES)


def test_files_of_datagrams_are_split() -> None:
    data = EXAMPLES[0] * 3
    assert [length for _, length in split_sflow(data)] == [len(EXAMPLES[0])] * 3
    assert describe_sflow(data[: len(EXAMPLES[0])]) == "sFlow v5"


@pytest.mark.shared_data
def test_real_captures_of_sflow(shared_data: Path) -> None:
    source = FileInput(shared_data / "ndpi" / "pcap" / "sflow.pcap")
    assert SflowSource.recognise(source.head()) == "sFlow exports in a capture"
    reader = SflowSource([source])
    (batch,) = reader.batches()
    assert (reader.account.records, reader.account.notes["counter-sample"]) == (1, 8)
    assert batch["packets_fwd"].to_pylist() == [2048]
