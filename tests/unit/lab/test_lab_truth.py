"""What the kernel says is read right, and whatever it says is never raised; labels follow who opened a connection."""

import csv
import struct
from ipaddress import ip_address
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flowlore.lab.capture import pack_blocks
from flowlore.lab.labels import BACKGROUND, Doing, connections_of, write_labels
from flowlore.lab.truth import ARP, Ends, Opened, _opened, attributes_of, ends_of, frame_rules, messages
from flowlore.sources.packets.layout import FRAME

WEB = Doing(
    host="desk", role="browse", application="web", activity="browse", kind="benign", phase="", instance="desk.1"
)
SCAN = Doing(
    host="desk", role="scan", application="scan", activity="scan", kind="misbehaviour", phase="fast", instance="desk.2"
)
SERVER = Doing(
    host="site", role="site", application="site", activity="site", kind="service", phase="", instance="site.1"
)
DOINGS = {1: WEB, 2: SCAN, 3: SERVER}
ENDS = Ends("10.0.0.1", "10.0.0.2", 40_000, 443, 6)
SECOND = 1_000_000_000


def packet(ends: Ends, after_ports: bytes = b"") -> bytes:
    rest = struct.pack(">HH", ends.src_port, ends.dst_port) + after_ports
    addresses = ip_address(ends.src_ip).packed + ip_address(ends.dst_ip).packed
    if ":" in ends.src_ip:
        return (
            struct.pack(">IHBB", 6 << 28, len(rest) + 8, 0, 64) + addresses + bytes([ends.protocol, 0] + [0] * 6) + rest
        )
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(rest), 0, 0, 64, ends.protocol, 0) + addresses + rest


def test_ends_of_both_families() -> None:
    for ends in (ENDS, Ends("fd00::1", "fd00::2", 40_000, 443, 17)):
        found = ends_of(packet(ends))
        assert found is not None
        assert found[0] == ends


@given(st.binary(max_size=120))
def test_hostile_bytes_do_not_raise(data: bytes) -> None:
    ends_of(data)
    attributes_of(data)
    for _, _, attributes in messages(data):
        assert isinstance(attributes, dict)


def test_frames_that_pass_the_kernel_by_are_told() -> None:
    group = {14: (700_005).to_bytes(4, "big"), 21: bytes(14)}
    asked = struct.pack(">HHBBH", 1, 0x800, 6, 4, 1) + bytes(6) + bytes([10, 0, 0, 1]) + bytes(6) + bytes([10, 0, 0, 2])
    found = _opened(SECOND, "desk", 5, {**group, 1: b"\x08\x06\x01\0", 9: bytes(14) + asked})
    assert found == Opened(SECOND, "desk", Ends("10.0.0.1", "10.0.0.2", 0, 0, ARP), 700_005)
    found = _opened(SECOND, "desk", 5, {**group, 1: b"\x08\0\x01\0", 9: bytes(14) + packet(ENDS)})
    assert found == Opened(SECOND, "desk", ENDS, 700_005)
    for cut in range(len(asked)):
        assert _opened(SECOND, "desk", 5, {**group, 1: b"\x08\x06\x01\0", 9: bytes(14) + asked[:cut]}) is None


def test_rules_name_every_device() -> None:
    rules = frame_rules(["eth0", "eth1"])
    assert 'device "eth0"' in rules and 'device "eth1"' in rules
    assert rules.count("{") == rules.count("}")


def test_what_is_no_flow_has_no_row(tmp_path: Path) -> None:
    connections = connections_of([Opened(SECOND, "desk", Ends("10.0.0.1", "10.0.0.2", 0, 0, ARP), 2)], DOINGS)
    assert [one.label for one in connections] == ["scan"]
    write_labels(tmp_path / "labels.csv", connections, 0, 9 * SECOND)
    assert str(ARP) not in (tmp_path / "labels.csv").read_text()


def test_packets_that_nobody_answers_are_one_connection() -> None:
    flood = [Opened(SECOND + place, "desk", ENDS, 2) for place in range(50)]
    later = Opened(100 * SECOND, "desk", ENDS, 2)
    others = Opened(2 * SECOND, "desk", ENDS._replace(src_port=9), 2)
    assert [one.time_ns for one in connections_of([*flood, later, others], DOINGS)] == [
        SECOND,
        2 * SECOND,
        100 * SECOND,
    ]


def test_a_port_that_another_takes_over_is_another_connection() -> None:
    opened = [Opened(SECOND, "desk", ENDS, 2), Opened(2 * SECOND, "desk", ENDS, 1), Opened(3 * SECOND, "desk", ENDS, 2)]
    assert [one.label for one in connections_of(opened, DOINGS)] == ["scan", "web", "scan"]


def test_who_opened_it_gives_the_label() -> None:
    opened = [Opened(SECOND, "desk", ENDS, 1), Opened(2 * SECOND, "site", ENDS.turned(), 3)]
    connections = connections_of(opened, DOINGS)
    assert [one.label for one in connections] == ["web"]  # the server only went on speaking


def test_an_error_belongs_to_its_cause() -> None:
    error = Ends("10.0.0.2", "10.0.0.1", 0, 0, 1)
    probe = ENDS._replace(protocol=17)
    opened = [Opened(SECOND, "desk", probe, 2), Opened(SECOND + 1, "site", error, None, caused_by=probe)]
    assert [one.label for one in connections_of(opened, DOINGS)] == ["scan", "scan"]


def test_both_faces_of_a_translated_connection_have_its_label() -> None:
    outer = ENDS._replace(src_ip="192.0.2.1", src_port=50_000)
    opened = [Opened(SECOND, "desk", ENDS, 2), Opened(SECOND + 5, "gate", ENDS, None, translated=outer)]
    connections = connections_of(opened, DOINGS)
    assert {one.ends: one.label for one in connections} == {ENDS: "scan", outer: "scan"}


def test_labels_have_no_gap_and_no_overlap(tmp_path: Path) -> None:
    opened = [Opened(10 * SECOND, "desk", ENDS, 1), Opened(12 * SECOND, "desk", ENDS, 1)]
    opened += [Opened(20 * SECOND, "desk", ENDS, 2), Opened(1, "desk", Ends("fe80::1", "ff02::1", 0, 0, 58), None)]
    write_labels(tmp_path / "labels.csv", connections_of(opened, DOINGS), 0, 100 * SECOND)
    with (tmp_path / "labels.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["src_port"] == "40000"]
    assert [(row["label"], row["from"][-13:-1], row["to"][-13:-1]) for row in rows] == [
        ("web", "00.000000000", "14.999999000"),
        ("scan", "15.000000000", "40.000000000"),
    ]


def test_labels_of_runs_that_follow_each_other_do_not_clash(tmp_path: Path) -> None:
    asked = [Opened(10 * SECOND, "desk", ENDS, 1)]
    scanned = [Opened(110 * SECOND, "desk", ENDS, 2)]
    write_labels(tmp_path / "first.csv", connections_of(asked, DOINGS), 5 * SECOND, 100 * SECOND)
    write_labels(tmp_path / "second.csv", connections_of(scanned, DOINGS), 105 * SECOND, 200 * SECOND)
    with (tmp_path / "first.csv").open() as first, (tmp_path / "second.csv").open() as second:
        ends = [row["to"] for row in csv.DictReader(first)]
        begins = [row["from"] for row in csv.DictReader(second)]
    assert all(ends) and all(begins) and max(ends) < min(begins)


def test_what_nobody_opened_is_background(tmp_path: Path) -> None:
    assert (
        connections_of([Opened(1, "desk", Ends("fe80::1", "ff02::1", 0, 0, 58), None)], DOINGS)[0].label == BACKGROUND
    )


def test_blocks_hold_their_frames() -> None:
    frames = np.zeros(3, FRAME)
    frames["start"], frames["captured"], frames["wire"] = [0, 3, 62], [3, 8, 8], [3, 90, 8]
    frames["time_ns"] = 5 << 32 | 7
    data = np.arange(64, dtype=np.uint8)
    out = np.full(200, 255, np.uint8)
    used = pack_blocks(data, frames, out)
    assert used == 36 + 40  # the third does not lie in the buffer
    kind, total, _, high, low, captured, wire = struct.unpack_from("<7I", out, 36)
    assert (kind, total, high, low, captured, wire) == (6, 40, 5, 7, 8, 90)
    assert out[64:72].tolist() == list(range(3, 11))
    assert out[28:32].tolist() == [0, 1, 2, 0]
    assert struct.unpack_from("<I", out, 72)[0] == 40
