"""Whatever is in a flow table, files and the lake give it back, and no order or cut of the rows matters."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from flowlore.flows.lake import Lake
from flowlore.flows.lines import json_lines
from flowlore.flows.schema import arrow_schema
from flowlore.flows.table import Flows, concat
from flowlore.flows.write import open_writer

text = st.text(alphabet=st.characters(codec="utf-8"), max_size=12)
by_type = {
    "start": st.integers(-(2**63) + 1, 2**63 - 1),
    "part": st.integers(0, 3),
    "duration_ns": st.integers(0, 2**63 - 1),
    "src_ip": st.binary(min_size=16, max_size=16),
    "flow_id": st.sampled_from([bytes(16), b"\x01" * 16, b"\xff" * 16]),
    "src_port": st.integers(0, 65_535),
    "bytes_fwd": st.integers(0, 2**64 - 1),
    "gap_mean_ns_fwd": st.floats(allow_nan=False, allow_infinity=False),
    "packet_gap_ns": st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3),
    "server_name": text,
    "payload_fwd": st.binary(max_size=5),
    "label": text,
}
rows = st.lists(st.fixed_dictionaries({name: st.none() | values for name, values in by_type.items()}), max_size=12)


def table_of(found):
    schema = arrow_schema()
    arrays = []
    for field in schema:
        values = [row.get(field.name) for row in found]
        is_time = field.name == "start"
        array = pa.array(values, pa.int64() if is_time else field.type)
        arrays.append(array.cast(field.type) if is_time else array)
    return Flows(pa.Table.from_arrays(arrays, schema=schema))


@settings(max_examples=20, deadline=None)
@given(rows, st.integers(1, 5))
def test_parquet_and_the_lake_give_back_every_row(found, batch_rows):
    flows = table_of(found)
    with TemporaryDirectory() as folder:
        for target in (f"{folder}/flows.parquet", f"{folder}/lake/"):
            with open_writer(target) as writer:
                for batch in flows.to_batches(batch_rows):
                    writer.write(batch)
        assert pq.read_table(f"{folder}/flows.parquet").equals(flows.to_arrow())
        back = Lake(f"{folder}/lake").read()
        assert len(back) == len(flows)
        assert sorted(back["bytes_fwd"].to_pylist(), key=str) == sorted(flows["bytes_fwd"].to_pylist(), key=str)


@settings(max_examples=20, deadline=None)
@given(rows)
def test_json_lines_hold_what_the_table_holds(found):
    flows = table_of(found)
    lines = [json.loads(line) for batch in flows.to_batches() for line in json_lines(batch).splitlines()]
    assert len(lines) == len(found)
    for line, row in zip(lines, found, strict=True):
        for name in ("server_name", "label", "src_port", "bytes_fwd", "packet_gap_ns", "gap_mean_ns_fwd"):
            assert line.get(name) == row[name]
        assert line.get("payload_fwd") == (None if row["payload_fwd"] is None else row["payload_fwd"].hex())


@settings(max_examples=20, deadline=None)
@given(rows)
def test_csv_has_one_record_for_each_flow(found):
    with TemporaryDirectory() as folder:
        table_of(found).write(f"{folder}/flows.csv")
        frame = pl.read_csv(Path(folder) / "flows.csv", infer_schema_length=0)
        assert len(frame) == len(found)
        for got, row in zip(frame["server_name"].to_list(), found, strict=True):
            assert (got or "") == (row["server_name"] or "")


@settings(max_examples=20, deadline=None)
@given(rows, st.randoms(use_true_random=False))
def test_sorting_undoes_any_shuffle(found, random):
    found = [row | {"src_port": number} for number, row in enumerate(found)]
    unique = {(row["start"], row["flow_id"], row["part"]): row for row in found}
    found = list(unique.values())
    shuffled = random.sample(found, len(found))
    cut = concat([table_of([row]) for row in shuffled]) if shuffled else table_of([])
    assert cut.sort().equals(table_of(found).sort())


@settings(max_examples=25, deadline=None)
@given(rows, st.integers(0, 65_535))
def test_where_splits_the_rows_in_two(found, port):
    flows = table_of(found)
    kept = flows.where(f"src_port >= {port}")
    left = flows.where(f"not coalesce(src_port >= {port}, false)")
    assert len(kept) + len(left) == len(flows)
    assert all(value >= port for value in kept["src_port"].to_pylist())
