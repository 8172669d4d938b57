"""Every source in the registry keeps what every source must keep."""

from pathlib import Path

import pyarrow as pa
import pytest
from source_examples import EXAMPLES

from flowlore.settings import settings_given
from flowlore.sources import SOURCES
from flowlore.sources.checks import MemoryInput, SourceCheck, source_checks
from flowlore.sources.settings import SourceSettings


@pytest.mark.parametrize("name", SOURCES.names())
@pytest.mark.parametrize("check", source_checks(), ids=lambda check: check.__name__)
def test_source(check: SourceCheck, name: str) -> None:
    assert name in EXAMPLES, f"add an example of `{name}` to tests/conformance/source_examples.py"
    source = SOURCES.load(name)
    assert source.name == name
    check(source, EXAMPLES[name])


@pytest.mark.parametrize("name", [name for name in SOURCES.names() if name != "flows"])  # tables keep what they hold
def test_identities_are_as_the_settings_of_the_meter_say(name: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a long text")

    def rows(**meter: object) -> pa.Table:
        settings = settings_given(SourceSettings, {f"meter.{key}": value for key, value in meter.items()})
        inputs = [MemoryInput(example, f"{place}.log") for place, example in enumerate(EXAMPLES[name])]
        return pa.Table.from_batches(SOURCES.load(name)(inputs, settings).batches())

    plain, seen_elsewhere = rows(), rows(observation_point=7, community_id=False)
    keyed = rows(flow_id_key_file=str(secret))
    ids = [set(table["flow_id"].to_pylist()) for table in (plain, seen_elsewhere, keyed)]
    assert len(ids[0]) == len(ids[1]) == len(ids[2])
    assert not ids[0] & ids[1] and not ids[0] & ids[2] and not ids[1] & ids[2]
    assert set(seen_elsewhere["observation_point"].to_pylist()) == {7}
    assert seen_elsewhere["community_id"].null_count == plain.num_rows
