"""The capture that ships is small, well-formed, labelled, and names nobody."""

import csv
import ipaddress
import re
import struct
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest

DEMO = files("flowlore") / "data" / "demo"
DOCUMENTATION = [
    ipaddress.ip_network(text) for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
]


@pytest.fixture(scope="module")
def capture() -> bytes:
    return (DEMO / "office.pcapng").read_bytes()


@pytest.fixture(scope="module")
def labels() -> list[dict[str, str]]:
    with (DEMO / "labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_it_is_small_enough_to_ship(capture: bytes) -> None:
    assert len(capture) < 300_000


def test_every_frame_comes_from_documentation_addresses(capture: bytes) -> None:
    frames = _frames(capture)
    assert len(frames) > 1000
    for _, frame in frames:
        for address in _addresses(frame):
            assert any(address in network for network in DOCUMENTATION) or _is_local(address), address


def test_only_example_names_are_in_it(capture: bytes) -> None:
    """Names of programs' extensions (SSH algorithms at openssh.com, libssh.org) are constants of those programs."""
    names = set(re.findall(rb"[a-z0-9-]+\.(?:com|org|net|io|dev|local|internal|lan|home)\b", capture))
    assert names <= {b"openssh.com", b"libssh.org"}
    assert b"news.example" in capture


def test_labels_lie_inside_the_capture_and_use_its_addresses(capture: bytes, labels: list[dict[str, str]]) -> None:
    times = [time_ns for time_ns, _ in _frames(capture)]
    first, last = (datetime.fromtimestamp(edge / 1e9, UTC) for edge in (min(times), max(times)))
    seen = {str(address) for _, frame in _frames(capture) for address in _addresses(frame)}
    slack = timedelta(seconds=5)
    for label in labels:
        assert (
            first - slack < datetime.fromisoformat(label["from"]) < datetime.fromisoformat(label["to"]) < last + slack
        )
        for address in filter(None, (label["src_ip"], label["dst_ip"])):
            assert str(ipaddress.ip_address(address)) in seen
    assert {"web", "video", "remote-shell", "port-scan", "login-guessing", "telemetry"} <= {
        label["label"] for label in labels
    }


def test_the_note_of_origin_says_how_and_under_which_licence() -> None:
    note = (DEMO / "README.md").read_text()
    for word in ("scripts/make_demo_capture", "CC0", "office.pcapng", "labels.csv"):
        assert word in note


def _frames(capture: bytes) -> list[tuple[int, bytes]]:
    """(time in ns, frame) of each enhanced packet block; a second, simple reader that checks the file's structure."""
    at, found = 0, []
    while at < len(capture):
        kind, size = struct.unpack_from("<II", capture, at)
        assert size % 4 == 0 and struct.unpack_from("<I", capture, at + size - 4) == (size,)
        if kind == 6:
            high, low, kept = struct.unpack_from("<III", capture, at + 12)
            found.append((high << 32 | low, capture[at + 28 : at + 28 + kept]))
        at += size
    return found


def _addresses(frame: bytes) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    at = 18 if frame[12:14] == b"\x81\x00" else 14
    if frame[at - 2 : at] == b"\x08\x00":
        return [ipaddress.IPv4Address(frame[at + n : at + n + 4]) for n in (12, 16)]
    if frame[at - 2 : at] == b"\x86\xdd":
        return [ipaddress.IPv6Address(frame[at + n : at + n + 16]) for n in (8, 24)]
    return []


def _is_local(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.is_link_local or address.is_multicast or address.is_unspecified or str(address) == "255.255.255.255"


def test_the_laboratory_run_is_small_and_every_flow_of_it_is_labelled() -> None:
    import flowlore

    assert sum((DEMO / name).stat().st_size for name in ("laboratory.pcapng.zst", "laboratory.csv")) < 2_000_000
    flows, report = flowlore.annotate(flowlore.read(str(DEMO / "laboratory.pcapng.zst")), str(DEMO / "laboratory.csv"))
    assert report.unlabelled == 0 and len(flows) > 1000
    assert {"web", "video", "port-scan", "ssh-guessing", "beacon"} <= set(report.by_label)
    names = set(flows.to_polars()["server_name"].drop_nulls())
    assert names and all(name.endswith(".example") for name in names), names
