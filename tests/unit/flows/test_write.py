import gzip
import json
import resource
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flowlore.errors import OutputError
from flowlore.flows.parquet import ROW_GROUP_ROWS
from flowlore.flows.schema import arrow_schema, column_names
from flowlore.flows.table import Flows, concat
from flowlore.flows.write import open_writer


@pytest.fixture
def flows(make_flows):
    return Flows(
        make_flows(
            [0.000000001, 1, None],
            server_name=['say "a,b"', "naïve\n", None],
            packet_direction=[[1, -1], [], None],
            packet_gap_ns=[[0, 5], [], None],
            gap_mean_ns_fwd=[0.5, 1e300, None],
            payload_fwd=[b"\x00\xff", b"", None],
        )
    )


@pytest.mark.parametrize("background", [False, True])
def test_parquet_holds_the_same_table_and_says_what_it_is(flows, tmp_path, background):
    path = tmp_path / "flows.parquet"
    with open_writer(path, metadata={"config_hash": "abc"}, background=background) as writer:
        for batch in flows.to_batches(2):
            writer.write(batch)
        assert not path.exists()
    assert writer.rows == 3
    table = pq.read_table(path)
    assert table.equals(flows.to_arrow())
    metadata = pq.read_schema(path).metadata
    assert metadata[b"flowlore.schema_version"] == b"1"
    assert metadata[b"flowlore.config_hash"] == b"abc"
    assert metadata[b"flowlore.version"]
    assert [file.name for file in tmp_path.iterdir()] == ["flows.parquet"]


def test_other_readers_read_our_parquet(flows, tmp_path):
    flows.write(tmp_path / "flows.parquet")
    frame = pl.read_parquet(tmp_path / "flows.parquet")
    assert frame["server_name"].to_list() == ['say "a,b"', "naïve\n", None]
    assert frame["packet_gap_ns"].to_list() == [[0, 5], [], None]


def test_row_groups_are_of_one_size_however_batches_come(make_flows, tmp_path):
    batch = make_flows([0.0] * 50_000).select(["start", "dst_port", "src_ip"])
    with open_writer(tmp_path / "flows.parquet") as writer:
        for _ in range(6):
            writer.write(batch)
    about = pq.ParquetFile(tmp_path / "flows.parquet").metadata
    groups = [about.row_group(index).num_rows for index in range(about.num_row_groups)]
    whole, rest = divmod(300_000, ROW_GROUP_ROWS)
    assert groups == [ROW_GROUP_ROWS] * whole + [rest]


def test_json_lines_hold_text_lists_and_no_nulls(flows, tmp_path):
    flows.write(tmp_path / "flows.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "flows.jsonl").read_text().splitlines()]
    assert lines[0]["start"] == "2020-06-20T12:00:00.000000001Z"
    assert lines[0]["src_ip"] == "10.0.0.1"
    assert lines[0]["server_name"] == 'say "a,b"'
    assert lines[0]["packet_direction"] == [1, -1]
    assert lines[0]["payload_fwd"] == "00ff"
    assert lines[1]["server_name"] == "naïve\n"
    assert lines[1]["packet_gap_ns"] == []
    assert lines[2]["start"] is None and "server_name" not in lines[2]
    assert all(value is not None for line in lines[:2] for value in line.values())


def test_json_knows_no_nan(make_flows, tmp_path):
    Flows(make_flows([0, 1], gap_mean_ns_fwd=[float("nan"), float("inf")])).write(tmp_path / "flows.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "flows.jsonl").read_text().splitlines()]
    assert all("gap_mean_ns_fwd" not in line for line in lines)


@pytest.mark.parametrize("text", [',"label":null', '"', ',"', '\\",\\"a\\":null', "null", ",", '{"a":null}'])
def test_text_that_looks_like_a_null_stays(make_flows, tmp_path, text):
    Flows(make_flows([0, 1], server_name=[text, text], label=[None, text])).write(tmp_path / "flows.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "flows.jsonl").read_text().splitlines()]
    assert [line["server_name"] for line in lines] == [text, text]
    assert "label" not in lines[0] and lines[1]["label"] == text


def test_csv_has_a_header_text_and_json_lists(flows, tmp_path):
    with open_writer(tmp_path / "flows.csv") as writer:
        for batch in flows.to_batches(1):
            writer.write(batch)
    frame = pl.read_csv(tmp_path / "flows.csv", infer_schema_length=0)
    assert frame.columns == list(column_names())
    assert frame["start"].to_list() == ["2020-06-20T12:00:00.000000001Z", "2020-06-20T12:00:01.000000000Z", None]
    assert frame["server_name"].to_list() == ['say "a,b"', "naïve\n", None]
    assert frame["packet_gap_ns"].to_list() == ["[0,5]", "[]", None]


def test_no_flows_still_make_a_whole_file(tmp_path):
    for name in ("none.parquet", "none.csv", "none.jsonl", "none.csv.gz"):
        with open_writer(tmp_path / name):
            pass
    assert pq.read_table(tmp_path / "none.parquet").schema == arrow_schema()
    assert (tmp_path / "none.csv").read_text().count("\n") == 1
    assert (tmp_path / "none.jsonl").read_text() == ""
    assert gzip.decompress((tmp_path / "none.csv.gz").read_bytes()).startswith(b"start,duration_ns")


@pytest.mark.parametrize("name", ["flows.jsonl.gz", "flows.ndjson.zst", "flows.csv.gz"])
def test_compressed_text_is_the_same_text(flows, tmp_path, name):
    flows.write(tmp_path / name)
    plain = tmp_path / name.rpartition(".")[0]
    flows.write(plain)
    with pa.input_stream(str(tmp_path / name), compression="gzip" if name.endswith("gz") else "zstd") as stream:
        assert stream.read() == plain.read_bytes()


def test_standard_output_is_json_lines(flows, capfdbinary):
    flows.write("-")
    assert len(capfdbinary.readouterr().out.splitlines()) == 3


@pytest.mark.parametrize("name", ["flows.parquet", "flows.csv", "flows.jsonl.gz", "lake/"])
@pytest.mark.parametrize("background", [False, True])
def test_an_exception_leaves_nothing_behind(flows, tmp_path, name, background):
    with pytest.raises(KeyError), open_writer(f"{tmp_path}/{name}", background=background) as writer:
        writer.write(flows.to_arrow().to_batches()[0])
        raise KeyError
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


def test_what_is_there_is_not_overwritten_unasked(flows, tmp_path):
    path = tmp_path / "flows.csv"
    path.write_text("precious")
    with pytest.raises(OutputError, match=r"already there[\s\S]*overwrite"):
        flows.write(path)
    with pytest.raises(KeyError), open_writer(path, overwrite=True) as writer:
        writer.write(flows.to_arrow().to_batches()[0])
        raise KeyError
    assert path.read_text() == "precious"
    flows.write(path, overwrite=True)
    assert path.read_text().startswith("start,")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("flows.xlsx", r"not known from the name[\s\S]*`.*flows.xlsx/`"),
        ("flows", r"not known from the name"),
        ("flows.parquet.gz", r"not known from the name[\s\S]*compressed inside"),
        ("missing/flows.csv", r"its folder does not exist"),
        ("file/flows.csv", r"a part of its path is a file"),
    ],
)
def test_a_place_that_cannot_be_says_why(flows, tmp_path, name, message):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=message):
        flows.write(tmp_path / name)


@pytest.mark.parametrize("name", ["flows.parquet", "flows.csv", "flows.jsonl.gz", "lake/"])
@pytest.mark.parametrize("background", [False, True])
def test_a_full_disk_leaves_nothing_behind(flows, make_flows, tmp_path, name, background):
    many = concat([Flows(make_flows([float(row) for row in range(2_000)]))] * 20)
    many.write(f"{tmp_path}/kernels.jsonl.gz")  # compiled code is kept on disk too, and the limit would hit it
    (tmp_path / "kernels.jsonl.gz").unlink()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, before[1]))
    try:
        with (
            pytest.raises(OutputError, match="larger than the system allows"),
            open_writer(f"{tmp_path}/{name}", background=background) as writer,
        ):
            for batch in many.to_batches(1_000):
                writer.write(batch)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


def test_any_fsspec_path_may_be_written(flows):
    import fsspec

    path = "memory://writing/flows.parquet"
    flows.write(path)
    files = fsspec.filesystem("memory")
    assert [file.rpartition("/")[2] for file in files.find("/writing")] == ["flows.parquet"]
    with files.open("/writing/flows.parquet") as stream:
        assert pq.read_table(stream).num_rows == 3
    with pytest.raises(OutputError, match="already there"):
        flows.write(path)


def test_suffixes_are_read_in_any_case(flows, tmp_path):
    flows.write(tmp_path / "FLOWS.CSV")
    assert Path(tmp_path / "FLOWS.CSV").read_text().startswith("start,")
