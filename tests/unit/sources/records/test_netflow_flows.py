"""From exports to rows of the flow table: addresses, times, sampling, names, both directions."""

import ipaddress
import struct
from typing import Any

import pytest
from test_netflow_decoder import EXPORT_S, UPTIME_MS, a_set, ipfix, template, v9

from flowlore.sources.checks import MemoryInput, source_checks
from flowlore.sources.records.netflow.datagrams import Datagrams
from flowlore.sources.records.netflow.pipeline import NetflowPipeline
from flowlore.sources.records.netflow.settings import NetflowSettings
from flowlore.sources.records.netflow.source import NetflowSource
from flowlore.sources.source import Account

FLOW = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (6, 1), (1, 4), (2, 4), (22, 4), (21, 4))
SECOND_NS = 10**9


def flow(
    src: str = "10.0.0.1",
    dst: str = "10.0.0.2",
    ports: tuple[int, int] = (40_000, 443),
    protocol: int = 6,
    flags: int = 0x1B,
    octets: int = 1000,
    packets: int = 10,
    first_ms: int = UPTIME_MS - 9000,
    last_ms: int = UPTIME_MS - 1000,
) -> bytes:
    addresses = ipaddress.IPv4Address(src).packed + ipaddress.IPv4Address(dst).packed
    return addresses + struct.pack(">HHBBIIII", *ports, protocol, flags, octets, packets, first_ms, last_ms)


def rows_of(payloads: list[bytes], account: Account | None = None, **settings: Any) -> list[dict[str, Any]]:
    account = account or Account()
    pipeline = NetflowPipeline(NetflowSettings(**settings), account)
    batches = [*pipeline.add(Datagrams.join(payloads, exporter="192.0.2.7"), "test"), *pipeline.finish()]
    assert account.records == account.records_in_flows + sum(account.skipped.values())
    rows = [row for batch in batches for row in batch.to_pylist()]
    assert account.flows == len(rows)
    return sorted(rows, key=lambda row: (row["start"], row["part"]))


def address(text: str) -> bytes:
    return ipaddress.IPv6Address(f"::ffff:{text}").packed


LEARN = v9(0, template(0, 256, *FLOW))


def test_two_directions_are_one_flow_whose_src_spoke_first() -> None:
    back = flow("10.0.0.2", "10.0.0.1", (443, 40_000), octets=5000, packets=20, first_ms=UPTIME_MS - 8990)
    (row,) = rows_of([LEARN, v9(1, a_set(256, back + flow()))])
    assert (row["src_ip"], row["dst_ip"]) == (address("10.0.0.1"), address("10.0.0.2"))
    assert (row["src_port"], row["dst_port"], row["protocol"]) == (40_000, 443, 6)
    assert (row["bytes_fwd"], row["bytes_rev"], row["packets_fwd"], row["packets_rev"]) == (1000, 5000, 10, 20)
    assert row["start"].value == (EXPORT_S * 1000 - 9000) * 1_000_000
    assert row["duration_ns"] == 8 * SECOND_NS
    assert (row["exporter"], row["source"], row["capture"]) == ("192.0.2.7/1", "netflow", "test")
    assert row["tcp_flags_fwd"] == 0x1B and row["flow_id"] is not None and row["community_id"].startswith("1:")
    assert row["vlan"] is None and row["frame_bytes_fwd"] is None and row["sampling_rate"] is None


def test_without_pairing_each_record_is_a_row() -> None:
    back = flow("10.0.0.2", "10.0.0.1", (443, 40_000))
    rows = rows_of([LEARN, v9(1, a_set(256, flow() + back))], pairing=False)
    assert [row["packets_rev"] for row in rows] == [None, None]
    assert {row["src_port"] for row in rows} == {40_000, 443}


def test_uptimes_that_wrapped_belong_to_the_turn_before() -> None:
    (row,) = rows_of([LEARN, v9(1, a_set(256, flow(first_ms=(UPTIME_MS - 6_000_000) & 0xFFFFFFFF)))])
    assert row["start"].value == (EXPORT_S * 1000 - 6_000_000) * 1_000_000


def test_an_impossible_time_is_counted_and_the_record_kept() -> None:
    account = Account()
    (row,) = rows_of([LEARN, v9(1, a_set(256, flow(first_ms=UPTIME_MS, last_ms=UPTIME_MS - 500)))], account)
    assert account.notes["impossible-time"] == 1
    assert row["start"].value == EXPORT_S * SECOND_NS and row["duration_ns"] is None


@pytest.mark.parametrize(
    ("elements", "widths", "values", "start_ns", "duration_ns"),
    [
        ((150, 151), ">II", (EXPORT_S - 9, EXPORT_S - 1), (EXPORT_S - 9) * SECOND_NS, 8 * SECOND_NS),
        (
            (152, 153),
            ">QQ",
            (EXPORT_S * 1000 - 1500, EXPORT_S * 1000),
            EXPORT_S * SECOND_NS - 1_500_000_000,
            1_500_000_000,
        ),
        (
            (156, 157),
            ">QQ",
            ((EXPORT_S + 2_208_988_800 - 2) << 32 | 1 << 31, (EXPORT_S + 2_208_988_800) << 32),
            EXPORT_S * SECOND_NS - 1_500_000_000,
            1_500_000_000,
        ),
        ((158, 159), ">II", (2_000_000, 500_000), EXPORT_S * SECOND_NS - 2 * SECOND_NS, 1_500_000_000),
        ((152, 161), ">QI", (EXPORT_S * 1000 - 1500, 700), EXPORT_S * SECOND_NS - 1_500_000_000, 700_000_000),
    ],
)
def test_times_of_every_kind(
    elements: tuple[int, int], widths: str, values: tuple[int, int], start_ns: int, duration_ns: int
) -> None:
    sizes = [struct.calcsize(">" + letter) for letter in widths[1:]]
    fields = template(2, 256, (8, 4), (12, 4), *zip(elements, sizes, strict=True))
    data = bytes([10, 0, 0, 1, 10, 0, 0, 2]) + struct.pack(widths, *values)
    (row,) = rows_of([ipfix(0, fields, a_set(256, data))])
    assert (row["start"].value, row["duration_ns"]) == (start_ns, duration_ns)


def test_ipfix_uptimes_need_the_start_of_the_uptime_from_options() -> None:
    boot_ms = EXPORT_S * 1000 - UPTIME_MS
    options = a_set(3, struct.pack(">HHHHHHH", 400, 2, 1, 149, 4, 160, 8))
    said = a_set(400, struct.pack(">IQ", 1, boot_ms))
    (row,) = rows_of([ipfix(0, options, template(2, 256, *FLOW), said, a_set(256, flow()))])
    assert row["start"].value == (EXPORT_S * 1000 - 9000) * 1_000_000


def test_sampling_from_record_then_options_then_setting() -> None:
    with_sampler = template(0, 257, *FLOW, (48, 1))
    with_rate = template(0, 258, *FLOW, (34, 4))
    options = a_set(1, struct.pack(">HHH", 300, 4, 8) + struct.pack(">HHHHHH", 1, 4, 48, 1, 50, 4))
    said = a_set(300, struct.pack(">IBI", 0, 3, 100))
    flows = [
        a_set(257, flow(ports=(1, 53)) + b"\3"),
        a_set(258, flow(ports=(2, 53)) + struct.pack(">I", 7)),
    ]
    account = Account()
    rows = rows_of([v9(0, with_sampler, with_rate, options), v9(1, said), v9(2, *flows)], account, sampling_rate=5)
    assert {row["src_port"]: (row["sampling_rate"], row["packets_fwd"], row["bytes_fwd"]) for row in rows} == {
        1: (100, 1000, 100_000),
        2: (7, 70, 7000),
    }
    (exporter,) = account.details["exporters"]
    assert {(item["from"], item["rate"]) for item in exporter["sampling"]} == {("options", 100), ("record", 7)}
    (row,) = rows_of([LEARN, v9(1, a_set(256, flow()))], sampling_rate=5)
    assert (row["sampling_rate"], row["packets_fwd"]) == (5, 50)
    (row,) = rows_of([LEARN, v9(1, a_set(256, flow()))], sampling_rate=5, apply_sampling=False)
    assert (row["sampling_rate"], row["packets_fwd"]) == (5, 10)


def test_v5_takes_the_headers_sampling() -> None:
    header = struct.pack(">HHIIIIBBH", 5, 1, UPTIME_MS, EXPORT_S, 0, 0, 0, 0, (1 << 14) | 64)
    record = (
        bytes([10, 0, 0, 1, 10, 0, 0, 2])
        + bytes(4)
        + struct.pack(
            ">HHIIIIHHBBBBHHBBH", 1, 2, 3, 300, UPTIME_MS - 500, UPTIME_MS, 1234, 80, 0, 2, 6, 0, 65_000, 0, 24, 24, 0
        )
    )
    (row,) = rows_of([header + record])
    assert (row["sampling_rate"], row["packets_fwd"], row["bytes_fwd"]) == (64, 192, 19_200)
    assert (row["src_as"], row["dst_as"], row["input_interface"], row["output_interface"]) == (65_000, None, 1, 2)


def test_biflow_records_need_no_pairing() -> None:
    fields = template(2, 256, (8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (1, 8), (1, 8, 29305), (2, 4), (2, 4, 29305))
    data = bytes([10, 0, 0, 1, 10, 0, 0, 2]) + struct.pack(">HHBQQII", 40_000, 443, 6, 100, 900, 3, 4)
    (row,) = rows_of([ipfix(0, fields, a_set(256, data))])
    assert (row["bytes_fwd"], row["bytes_rev"], row["packets_fwd"], row["packets_rev"]) == (100, 900, 3, 4)


def test_slices_by_active_timeout_are_parts_of_one_flow() -> None:
    pieces = [
        flow(first_ms=UPTIME_MS - 9000, last_ms=UPTIME_MS - 6000, flags=0x18),
        flow(first_ms=UPTIME_MS - 5900, last_ms=UPTIME_MS - 3000, flags=0x18),
        flow("10.0.0.2", "10.0.0.1", (443, 40_000), first_ms=UPTIME_MS - 2900, last_ms=UPTIME_MS, flags=0x18),
    ]
    payloads = [LEARN, *(v9(place + 1, a_set(256, piece)) for place, piece in enumerate(pieces))]
    rows = rows_of(payloads, pairing_window_s=0.05)
    assert [row["part"] for row in rows] == [0, 1, 2]
    assert len({row["flow_id"] for row in rows}) == 1
    assert rows[2]["src_port"] == 40_000
    assert (rows[2]["packets_fwd"], rows[2]["packets_rev"]) == (None, 10)


def test_after_a_fin_the_same_ports_are_another_flow() -> None:
    again = flow(first_ms=UPTIME_MS - 500, last_ms=UPTIME_MS)
    first = flow(last_ms=UPTIME_MS - 8000)
    rows = rows_of([LEARN, v9(1, a_set(256, first + again))], pairing_window_s=1.0)
    assert [row["part"] for row in rows] == [0, 0]
    assert len({row["flow_id"] for row in rows}) == 2


def test_total_counters_become_those_of_each_part() -> None:
    fields = template(2, 256, (8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (85, 8), (86, 8), (152, 8), (153, 8), (136, 1))
    ends = bytes([10, 0, 0, 1, 10, 0, 0, 2]) + struct.pack(">HHB", 1, 2, 17)
    start_ms = EXPORT_S * 1000 - 20_000
    data = [
        ends + struct.pack(">QQQQB", 100, 1, start_ms, start_ms + 1000, 2),
        ends + struct.pack(">QQQQB", 300, 4, start_ms, start_ms + 9000, 1),
    ]
    rows = rows_of([ipfix(0, fields, a_set(256, b"".join(data)))])
    assert [(row["bytes_fwd"], row["packets_fwd"], row["end_reason"]) for row in rows] == [
        (100, 1, "active"),
        (200, 3, "idle"),
    ]


def test_icmp_requests_and_replies_are_one_flow() -> None:
    request = flow(ports=(0, 8 << 8), protocol=1, flags=0)
    reply = flow("10.0.0.2", "10.0.0.1", (0, 0), protocol=1, flags=0, first_ms=UPTIME_MS - 8999)
    (row,) = rows_of([LEARN, v9(1, a_set(256, request + reply))])
    assert (row["src_port"], row["dst_port"], row["packets_rev"]) == (8, 0, 10)


def test_names_of_applications_and_vrfs_come_from_options() -> None:
    applications = a_set(1, struct.pack(">HHH", 300, 4, 8) + struct.pack(">HHHHHH", 1, 4, 95, 4, 96, 8))
    vrfs = a_set(1, struct.pack(">HHH", 301, 4, 8) + struct.pack(">HHHHHH", 1, 4, 234, 4, 236, 8))
    said = [
        a_set(300, bytes(4) + b"\x03\0\0\x50" + b"http\0\0\0\0"),
        a_set(301, bytes(4) + struct.pack(">I", 7) + b"red\0\0\0\0\0"),
    ]
    fields = template(0, 256, *FLOW, (95, 4), (234, 4))
    data = a_set(256, flow() + b"\x03\0\0\x50" + struct.pack(">I", 7)) + a_set(
        256, flow(ports=(1, 2)) + b"\x03\0\0\x51" + struct.pack(">I", 8)
    )
    rows = rows_of([v9(0, applications, vrfs, fields), v9(1, *said), v9(2, data)])
    found = {row["src_port"]: (row["application"], row["vrf"]) for row in rows}
    assert found == {40_000: ("http", "red"), 1: (None, "8")}


def test_both_families_in_one_template_give_the_one_that_is_set() -> None:
    fields = template(2, 256, (8, 4), (12, 4), (27, 16), (28, 16))
    six = bytes(8) + ipaddress.IPv6Address("2001:db8::1").packed + ipaddress.IPv6Address("2001:db8::2").packed
    four = bytes([10, 0, 0, 1, 10, 0, 0, 2]) + bytes(32)
    account = Account()
    rows = rows_of([ipfix(0, fields, a_set(256, six + four + bytes(40)))], account)
    assert {row["src_ip"] for row in rows} == {ipaddress.IPv6Address("2001:db8::1").packed, address("10.0.0.1")}
    assert account.skipped == {"no-addresses": 1}


def test_firewall_records_are_biflows_and_creation_is_no_flow() -> None:
    fields = template(
        0, 256, (8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (233, 1), (231, 4), (232, 4), (152, 8), (323, 8)
    )
    ends = bytes([10, 0, 0, 1, 10, 0, 0, 2]) + struct.pack(">HHB", 40_000, 443, 6)
    times = struct.pack(">QQ", EXPORT_S * 1000 - 4000, EXPORT_S * 1000 - 1000)
    data = ends + struct.pack(">BII", 1, 0, 0) + times + ends + struct.pack(">BII", 2, 70, 80) + times
    account = Account()
    (row,) = rows_of([v9(0, fields, a_set(256, data))], account)
    assert (row["bytes_fwd"], row["bytes_rev"], row["packets_fwd"], row["duration_ns"]) == (70, 80, None, 3 * SECOND_NS)
    assert account.skipped == {"firewall-event-without-counters": 1}


EXAMPLES = [
    LEARN + v9(1, a_set(256, flow() + flow("10.0.0.2", "10.0.0.1", (443, 40_000)))),
    ipfix(0, template(2, 256, *FLOW), a_set(256, flow())),
]


@pytest.mark.parametrize("check", list(source_checks()), ids=lambda check: check.__name__)
def test_the_source_keeps_its_promises(check: Any) -> None:
    check(NetflowSource, EXAMPLES)


def test_the_source_says_what_it_recognised() -> None:
    assert NetflowSource.recognise(MemoryInput(EXAMPLES[0]).head()) == "NetFlow v9 datagrams"
    assert NetflowSource.recognise(MemoryInput(EXAMPLES[1]).head()) == "IPFIX datagrams"
