"""Small captures with the flow table that they must give. `pytest --update-golden` rewrites; the diff is reviewed."""

import ipaddress
import json
from pathlib import Path
from typing import Any

import make_captures
import pytest

from comparing import rows_of, settings
from flowlore.flows.table import Flows
from flowlore.sources.reading import read

HERE = Path(__file__).resolve().parent
VIEWS = ("inner", "outer")  # of tunnels; the second only where it differs


def golden_cases() -> list[Path]:
    return sorted(path.parent for path in HERE.glob("*/in.pcap"))


@pytest.mark.parametrize("case", golden_cases(), ids=lambda case: case.name)
def test_golden(case: Path, request: pytest.FixtureRequest) -> None:
    got = views_as_jsonl(case / "in.pcap")
    if request.config.getoption("--update-golden"):
        (case / "expected.jsonl").write_text(got)
    assert got == (case / "expected.jsonl").read_text(), (case / "why.md").read_text()


@pytest.mark.parametrize("case", golden_cases(), ids=lambda case: case.name)
def test_capture_is_small_and_as_its_script_makes_it(case: Path, tmp_path: Path) -> None:
    frames, snap_length = make_captures.CASES[case.name]
    made = make_captures.write_pcap(tmp_path / "in.pcap", frames, snap_length=snap_length)
    assert made.read_bytes() == (case / "in.pcap").read_bytes()
    assert (case / "in.pcap").stat().st_size < 20_000


def test_every_case_of_the_script_is_there() -> None:
    assert {case.name for case in golden_cases()} == set(make_captures.CASES)


def views_as_jsonl(capture: Path) -> str:
    inner, outer = (as_jsonl(read(capture, settings=settings(tunnels=view))) for view in VIEWS)
    return inner if inner == outer else f"{inner}outer\n{outer}"


def as_jsonl(flows: Flows) -> str:
    """A line for each flow with what is known of it, then one for the account."""
    rows = sorted(rows_of(flows), key=lambda row: (row["start"], row["part"], row["flow_id"]))
    account = flows.account
    told = {"packets": account.packets, "packets_in_flows": account.packets_in_flows, "flows": account.flows,
            "skipped": dict(account.skipped), "notes": dict(account.notes)}  # fmt: skip
    lines = [_readable(row) for row in rows] + [told]
    return "".join(json.dumps(line) + "\n" for line in lines)


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    return {name: _text(name, value) for name, value in row.items() if value is not None and name != "capture"}


def _text(name: str, value: Any) -> Any:
    if name in ("src_ip", "dst_ip"):
        address = ipaddress.IPv6Address(value)
        return str(address.ipv4_mapped or address)
    if isinstance(value, bytes):
        return value.hex(":") if name.endswith("mac") else value.hex()
    return round(value, 6) if isinstance(value, float) else value
