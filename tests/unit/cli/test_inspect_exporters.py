"""What `flowlore inspect --exporters` says of exporters, and that strangers' names steer no terminal."""

import json
import struct
from pathlib import Path

import pytest

from flowlore.cli import run

UPTIME_MS, EXPORT_S = 10_000, 1_700_000_000
FIELDS = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (1, 4), (2, 4), (22, 4), (21, 4))


def a_set(number: int, body: bytes) -> bytes:
    return struct.pack(">HH", number, 4 + len(body)) + body


def v9(sequence: int, *sets: bytes, domain: int = 70_000) -> bytes:
    head = struct.pack(">HHIIII", 9, len(sets), UPTIME_MS, EXPORT_S + sequence, sequence, domain)
    return head + b"".join(sets)


def exports() -> bytes:
    """A template, options that name an interface and say the sampling, flows, a gap, and data without template."""
    fields = b"".join(struct.pack(">HH", *field) for field in FIELDS)
    options = struct.pack(">HHHHHHHHHHH", 257, 4, 12, 2, 4, 82, 8, 34, 4, 35, 1)
    learn = a_set(0, struct.pack(">HH", 256, len(FIELDS)) + fields) + a_set(1, options)
    said = struct.pack(">I8sIB", 5, b"up\x1b[31m", 100, 1)
    flow = bytes([10, 0, 0, 1, 10, 0, 0, 2]) + struct.pack(">HHBIIII", 4000, 53, 17, 100, 1, 9000, 9500)
    return v9(1, learn) + v9(2, a_set(257, said)) + v9(3, a_set(256, flow)) + v9(9, a_set(300, flow))


@pytest.fixture
def path(tmp_path: Path) -> str:
    (tmp_path / "exports.bin").write_bytes(exports())
    return str(tmp_path / "exports.bin")


def test_exporters_with_what_they_said(path: str, capsys: pytest.CaptureFixture) -> None:
    assert run(["inspect", path, "--exporters"]) == 0
    printed = capsys.readouterr().out
    assert "5 datagrams" in printed and "domain 70000" in printed and "70,000" not in printed
    assert "sampling: 1 in 100, said by options, 1 records" in printed
    assert r"interfaces: 5 up\x1b[31m" in printed and "\x1b" not in printed
    assert "template 256, 8 s old: sourceIPv4Address, destinationIPv4Address" in printed
    fields = printed.partition("template 256")[2].partition("template 257")[0].splitlines()
    assert len(fields) > 1 and max(map(len, fields)) <= 110  # long lists of fields are broken
    assert "options template 257" in printed


def test_exporters_as_json_say_the_same(path: str, capsys: pytest.CaptureFixture) -> None:
    assert run(["inspect", path, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["skipped"] == {"data-before-template": 1}
    (exporter,) = found["details"]["exporters"]
    assert (exporter["domain"], exporter["missing"], exporter["missing_unit"]) == (70_000, 5, "datagrams")
    assert exporter["sampling"] == [{"from": "options", "rate": 100, "records": 1}]


def test_version_5_has_fields_of_its_own_and_no_templates(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    record = bytes([10, 0, 0, 1, 10, 0, 0, 2]) + bytes(8) + struct.pack(">IIIIHH", 1, 100, 9000, 9500, 4000, 53)
    record += bytes([0, 0, 17, 0]) + bytes(8)
    head = struct.pack(">HHIIIIBBH", 5, 1, UPTIME_MS, EXPORT_S, 0, 0, 0, 0, 0)
    (tmp_path / "v5.bin").write_bytes(head + record)
    page = tmp_path / "page.html"
    assert run(["inspect", str(tmp_path / "v5.bin"), "--exporters", "--html", str(page)]) == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) < 110
    assert "NetFlow v5" in printed and "template 5" not in printed
    assert "- · NetFlow v5 · domain 0" in page.read_text() and "None" not in page.read_text()
    assert "What exporters sent" in page.read_text() and "Templates" not in page.read_text()


def test_the_page_shows_templates(path: str, capsys: pytest.CaptureFixture) -> None:
    assert run(["inspect", path, "--exporters", "--html", str(Path(path).with_suffix(".html"))]) == 0
    assert "Templates" in Path(path).with_suffix(".html").read_text()
