"""What `flowlore warm` runs is real input: each datagram decodes without a remainder, so its kernels are compiled."""

import json

import pytest

from flowlore.cli import run, warming
from flowlore.sources.checks import MemoryInput
from flowlore.sources.records.netflow.source import NetflowSource
from flowlore.sources.records.sflow.source import SflowSource


@pytest.mark.parametrize(
    ("source", "datagram", "records"),
    [
        (NetflowSource, warming.netflow_v5(), 1),
        (NetflowSource, warming.netflow_v9(), 2),
        (NetflowSource, warming.ipfix(), 1),
        (SflowSource, warming.sflow(), 1),
    ],
)
def test_warming_input_decodes(source, datagram: bytes, records: int) -> None:  # type: ignore[no-untyped-def]
    reader = source([MemoryInput(datagram)])
    batches = list(reader.batches())
    assert reader.account.records_in_flows == records
    assert reader.account.skipped.total() == 0
    assert sum(batch.num_rows for batch in batches) == 1


def test_it_says_what_it_does(capsys: pytest.CaptureFixture) -> None:
    assert run(["warm", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [step["kernels"] for step in report["steps"]] == [what for what, _ in warming.steps()]
    assert run(["warm"]) == 0
    assert "compiling the meter and names on the wire; headers, exports, text and maps … " in capsys.readouterr().out
