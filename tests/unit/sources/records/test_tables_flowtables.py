"""Flow tables that were written are read back as they were."""

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest

from flowlore.errors import InputError
from flowlore.flows.schema import SCHEMA_VERSION, arrow_schema, flow_batch
from flowlore.flows.table import Flows
from flowlore.sources.inputs import FileInput
from flowlore.sources.records.flowtables import FlowsSource
from flowlore.sources.records.settings import TablesSettings
from flowlore.sources.records.tables import TablesSource, why_not_parquet

ADDRESS = b"\0" * 10 + b"\xff\xff\x0a\0\0\x01"


def table() -> Flows:
    known = {
        "start": pa.array([1_574_123_456_789, 1_700_000_000_000_000_001, None], pa.timestamp("ns", "UTC")),
        "duration_ns": [5, None, 2**62],
        "part": [0, 1, 2],
        "src_ip": [ADDRESS, b"\xfe\x80" + bytes(14), None],
        "src_port": [1, 65535, None],
        "src_mac": [b"\0\x11\x22\x33\x44\x55", None, None],
        "flow_id": [bytes(range(16)), bytes(16), b"\xff" * 16],
        "packets_fwd": [2**63 + 5, 0, None],
        "size_mean_bytes_fwd": [1.5, None, 0.1],
        "packet_direction": [[1, -1], [], None],
        "packet_gap_ns": [[0, 123_456_789_012], [], None],
        "user_agent": ['quoted "text", with comma', "ünïcode \\ back", None],
        "payload_fwd": [b"\0\xff", b"x", None],
        "source": ["packets", "zeek", "zeek"],
        "label": ["a", None, None],
    }
    return Flows(flow_batch(known, 3))


def read(path: Path) -> tuple[pa.Table, FlowsSource]:
    source = FlowsSource([FileInput(path)])
    batches = list(source.batches())
    account = source.account
    assert account.records == account.records_in_flows + account.skipped.total()
    return pa.Table.from_batches(batches, schema=arrow_schema()), source


def test_what_another_program_wrote_anew_is_read_as_it_was(tmp_path: Path) -> None:
    """Polars keeps columns, with wider types, and not what the file says of itself."""
    table().write(tmp_path / "ours.parquet")
    pl.read_parquet(tmp_path / "ours.parquet").write_parquet(tmp_path / "theirs.parquet")
    assert not (pa.parquet.read_schema(tmp_path / "theirs.parquet").metadata or {})
    found, source = read(tmp_path / "theirs.parquet")
    assert found.equals(read(tmp_path / "ours.parquet")[0])
    assert list(source.account.recognised.values()) == ["Flow table, Parquet, written by another program"]
    item = FileInput(tmp_path / "theirs.parquet")
    assert FlowsSource.recognise(item.head()) is not None and TablesSource.recognise(item.head()) is None
    large = TablesSource([item])  # of which only the head was seen
    assert pa.Table.from_batches(list(large.batches()), schema=arrow_schema()).equals(found)
    assert why_not_parquet(item, TablesSettings()) is None


def test_columns_that_are_not_ours_make_no_flow_table(tmp_path: Path) -> None:
    pl.DataFrame({"start": [1], "part": [0], "flow_id": ["a"], "colour": ["red"]}).write_parquet(tmp_path / "a.parquet")
    assert FlowsSource.recognise(FileInput(tmp_path / "a.parquet").head()) is None


@pytest.mark.parametrize("name", ["flows.parquet", "flows.csv", "flows.jsonl", "flows.csv.gz", "flows.jsonl.zst"])
def test_every_column_comes_back(tmp_path: Path, name: str) -> None:
    table().write(tmp_path / name)
    found, source = read(tmp_path / name)
    for column in arrow_schema().names:
        assert found[column].to_pylist() == table().to_arrow()[column].to_pylist(), column
    assert source.account.flows == 3
    assert not source.account.notes
    head = FileInput(tmp_path / name).head()
    assert FlowsSource.recognise(head) is not None
    assert TablesSource.recognise(head) is None


def test_tables_hand_over_a_parquet_file_whose_head_does_not_tell(tmp_path: Path) -> None:
    table().write(tmp_path / "flows.parquet")
    source = TablesSource([FileInput(tmp_path / "flows.parquet")])
    assert sum(batch.num_rows for batch in source.batches()) == source.account.flows == 3
    assert list(source.account.recognised.values()) == ["Flow table, Parquet, schema version 1"]


def test_broken_lines_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "flows.jsonl"
    table().write(path)
    path.write_text(path.read_text() + "{broken\n")
    found, source = read(path)
    assert found.num_rows == 3
    assert dict(source.account.skipped) == {"bad-line": 1}


def test_a_table_of_a_later_version_is_refused(tmp_path: Path) -> None:
    later = table().to_arrow().replace_schema_metadata({"flowlore.schema_version": str(SCHEMA_VERSION + 1)})
    pyarrow.parquet.write_table(later, tmp_path / "later.parquet")
    with pytest.raises(InputError, match="schema version 2, this build reads up to 1"):
        read(tmp_path / "later.parquet")
