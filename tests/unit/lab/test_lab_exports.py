"""softflowd's records of a run, read back: the same traffic as the capture that they are of."""

import json
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tiny_laboratory import SCENARIO, namespaces_are_missing, spaces

from flowlore.cli import run as flowlore
from flowlore.lab.exports import SOFTFLOWD
from flowlore.lab.machine import missing_programs

EXPORTS = """
[exports.five]
capture = "outside"
version = "5"
[exports.nine]
capture = "lan"
version = "9"
[exports.ipfix]
capture = "lan"
version = "ipfix"
idle_s = 2
"""
MAPPED = bytes(10) + b"\xff\xff"  # IPv4 within IPv6
CAPTURES = {"five": "outside", "nine": "lan", "ipfix": "lan"}

pytestmark = pytest.mark.needs_root


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    reason = namespaces_are_missing()
    if reason is None and missing_programs([SOFTFLOWD]):
        reason = "softflowd is not installed"
    if reason is not None:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("exports")
    (folder / "tiny.toml").write_text(SCENARIO + EXPORTS)
    assert flowlore(["lab", "run", str(folder / "tiny.toml"), "-o", str(folder / "out"), "--json"]) == 0
    return folder


def packets_of(path: Path, folder: Path) -> tuple[int, int]:
    """Rows and packets of the flows that a file holds, IPv4 alone: version 5 has no other."""
    table = folder / f"{path.stem}-{path.parent.name}.parquet"
    assert flowlore(["flows", str(path), "-o", str(table), "--overwrite"]) == 0
    flows = pq.read_table(table)
    flows = flows.filter(pc.starts_with(pc.cast(flows["src_ip"], "binary"), pattern=MAPPED))
    counted = sum(pc.sum(flows[name]).as_py() or 0 for name in ("packets_fwd", "packets_rev"))
    return len(flows), counted


@pytest.mark.parametrize("name", CAPTURES)
def test_records_are_of_the_packets_captured(played: Path, name: str) -> None:
    flows, packets = packets_of(played / "out/exports" / f"{name}.pcapng", played)
    own_flows, own_packets = packets_of(played / "out/capture" / f"{CAPTURES[name]}.pcapng", played)
    assert own_flows > 4
    assert flows >= own_flows * 0.9
    assert packets == own_packets


def test_the_record_of_the_run_counts_them(played: Path) -> None:
    told = json.loads((played / "out/run.json").read_text())
    assert set(told["result"]["exported"]) == set(CAPTURES)
    assert min(told["result"]["exported"].values()) > 0
    assert told["scenario"]["exports"]["ipfix"]["idle_s"] == 2
    assert spaces() == set()
