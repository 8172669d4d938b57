"""Every file is claimed by one source of records at most, and by none where it is something else."""

from pathlib import Path
from typing import Any

import pytest

from flowlore.sources.inputs import FileInput
from flowlore.sources.records.argus import ArgusSource
from flowlore.sources.records.flowtables import FlowsSource
from flowlore.sources.records.nfdump import NfdumpSource
from flowlore.sources.records.suricata import SuricataSource
from flowlore.sources.records.tables import TablesSource
from flowlore.sources.records.zeek import ZeekSource
from flowlore.sources.source import Head

SOURCES: list[Any] = [ArgusSource, FlowsSource, NfdumpSource, SuricataSource, TablesSource, ZeekSource]


def claims(head: Head) -> dict[str, str]:
    found = {source.name: source.recognise(head) for source in SOURCES}
    return {name: words for name, words in found.items() if words is not None}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00",
        b"\x00\x05\x00\x01",
        b"{",
        b"[1]",
        b'{"name": "not a log"}\n',
        b'{"ts": 1}\n',
        b"a,b,c\n1,2,3\n",
        b"#!/bin/sh\n",
        b"# a comment\n",
        b"\xff" * 100,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"event_type":' * 100_000,
        b'{"start":' + b"[" * 100_000,
    ],
)
def test_other_things_are_claimed_by_none(data: bytes) -> None:
    assert claims(Head(name="x", data=data, complete=True)) == {}


@pytest.mark.shared_data
def test_real_records_are_claimed_by_one(shared_data: Path) -> None:
    unclaimed = []
    owners: dict[str, set[str]] = {}
    for path in sorted((shared_data / "records").rglob("*")):
        if path.is_file():
            found = claims(FileInput(path).head())
            assert len(found) <= 1, (path, found)
            owners.setdefault(path.parent.name, set()).update(found)
            if not found:
                unclaimed.append(path.relative_to(shared_data / "records").as_posix())
    assert unclaimed == ["zeek/test9-mixed-zeek-dir/loaded_scripts.log"]  # names of scripts, and nothing else
    assert owners == {
        "argus": {"argus"},
        "mixed": {"argus", "nfdump", "suricata", "zeek"},
        "nfdump": {"nfdump"},
        "nfstream": {"tables"},
        "tranalyzer": {"tables"},
        "suricata": {"suricata"},
        "zeek": {"zeek"},
        "test9-mixed-zeek-dir": {"zeek"},
        "test10-mixed-zeek-dir": {"zeek"},
    }


@pytest.mark.shared_data
def test_captures_and_datagrams_are_claimed_by_none(shared_data: Path) -> None:
    for folder in ("ndpi", "stopddos", "netflow", "hostile", "series/nab"):
        paths = [path for path in sorted((shared_data / folder).rglob("*")) if path.is_file()]
        assert paths
        for path in paths[::7]:
            assert claims(Head(path.name, path.read_bytes()[:65_536], complete=False)) == {}, path
