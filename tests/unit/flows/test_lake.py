from datetime import UTC, datetime, timedelta, timezone

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from flowlore.errors import InputError, QueryError
from flowlore.flows.lake import Lake
from flowlore.flows.query import query
from flowlore.flows.schema import INSTANT, SCHEMA_VERSION, arrow_schema, column_names
from flowlore.flows.table import Flows
from flowlore.flows.write import open_writer

HOUR = 3600.0


@pytest.fixture(params=["disk", "memory"])
def lake_path(request, tmp_path):
    if request.param == "disk":
        yield f"{tmp_path}/lake"
        return
    yield "memory://lake"
    files = fsspec.filesystem("memory")
    if files.exists("/lake"):
        files.rm("/lake", recursive=True)


@pytest.fixture
def five_hours(make_flows):
    return make_flows([0.5, HOUR + 1, 2 * HOUR, 2 * HOUR - 1e-9, 30 * HOUR, None], dst_port=[1, 2, 3, 4, 5, 6])


def test_parts_lie_in_the_folder_of_their_hour(lake_path, five_hours):
    lake = Lake(lake_path, {"config_hash": "abc"})
    lake.append(five_hours)
    assert not fsspec.core.url_to_fs(lake_path)[0].exists(lake_path)
    lake.flush()
    folders = [part.rsplit("/", 3)[1:3] for part in lake.parts()]
    assert folders == [
        ["date=2020-06-20", "hour=12"],
        ["date=2020-06-20", "hour=13"],
        ["date=2020-06-20", "hour=14"],
        ["date=2020-06-21", "hour=18"],
        ["date=unknown", "hour=unknown"],
    ]
    assert lake.read()["dst_port"].to_pylist() == [1, 2, 4, 3, 5, 6]
    assert lake.read().sort().equals(Flows(five_hours).sort())
    with fsspec.open(f"{lake_path}/{'/'.join(lake.parts()[0].rsplit('/', 3)[1:])}") as stream:
        assert pq.read_schema(stream).metadata[b"flowlore.config_hash"] == b"abc"


def test_the_same_flows_again_replace_themselves(lake_path, five_hours):
    for _ in range(2):
        lake = Lake(lake_path)
        lake.append(five_hours)
        lake.flush()
    assert len(Lake(lake_path).read()) == 6
    other = five_hours.set_column(
        five_hours.schema.get_field_index("packets_fwd"), "packets_fwd", pa.array([9] * 6, pa.uint64())
    )
    lake.append(other)
    lake.flush()
    assert len(Lake(lake_path).read()) == 12


def test_rows_without_identity_are_never_replaced(lake_path, make_flows):
    batch = make_flows([0, 1], flow_id=[None, None])
    for _ in range(2):
        lake = Lake(lake_path)
        lake.append(batch)
        lake.flush()
    assert len(lake.read()) == 4


def test_only_hours_that_matter_are_opened(lake_path, five_hours):
    lake = Lake(lake_path)
    lake.append(five_hours)
    lake.flush()
    files = fsspec.core.url_to_fs(lake_path)[0]
    for part in lake.parts():
        if "hour=13" not in part:
            files.pipe(part, b"not Parquet")
    with pytest.raises(InputError, match="not a Parquet file"):
        lake.read()
    found = lake.read(since="2020-06-20T13:00", until=datetime(2020, 6, 20, 14, tzinfo=UTC))
    assert found["dst_port"].to_pylist() == [2, 4]


@pytest.mark.parametrize(
    ("since", "until", "ports"),
    [
        ("2020-06-20T14:00:00", None, [3, 5]),
        (None, "2020-06-20T14:00:00Z", [1, 2, 4]),
        ("2020-06-20T14:00:00", "2020-06-20T14:00:00", []),
        (datetime(2020, 6, 20, 15, tzinfo=timezone(timedelta(hours=1))), "2020-06-21", [3]),
        (1_592_654_400_500_000_000, 1_592_654_400_500_000_001, [1]),
        ("2021-01-01", None, []),
    ],
)
def test_since_is_included_and_until_is_not(lake_path, five_hours, since, until, ports):
    lake = Lake(lake_path)
    lake.append(five_hours)
    lake.flush()
    assert lake.read(since=since, until=until)["dst_port"].to_pylist() == ports
    assert lake.read(since=since, until=until, columns=["dst_port"]).column_names == ["dst_port"]


def test_what_is_no_time_says_so(lake_path, five_hours):
    lake = Lake(lake_path)
    lake.append(five_hours)
    lake.flush()
    with pytest.raises(QueryError, match=r"`yesterday` is not a time[\s\S]*2020-06-20"):
        lake.read(since="yesterday")


def test_scan_filters_and_picks_columns(lake_path, five_hours):
    lake = Lake(lake_path)
    lake.append(five_hours)
    lake.flush()
    batches = list(lake.scan(where="src_ip = '10.0.0.1' and dst_port > 2", columns=["start", "packets_fwd"]))
    assert [batch.schema.names for batch in batches] == [["start", "packets_fwd"]] * 4
    assert lake.read(columns=[], where="dst_port = 1").to_arrow().num_rows == 1
    with pytest.raises(QueryError, match=r"no column `dst_prt`"):
        list(lake.scan(columns=["dst_prt"]))
    with pytest.raises(QueryError, match=r"did you mean `dst_port`"):
        list(lake.scan(where="dst_prt = 1"))
    assert lake.read(where="dst_port = 99").column_names == list(column_names())


def test_query_reads_the_lake_in_place(lake_path, five_hours):
    lake = Lake(lake_path)
    lake.append(five_hours)
    lake.flush()
    answer = query("select src_ip, count(*) as n from flows where start >= '2020-06-20 14:00' group by 1", lake_path)
    assert answer.to_pylist() == [{"src_ip": "10.0.0.1", "n": 2}]
    late = pc.field("start") >= pa.scalar(datetime(2020, 6, 20, 14, tzinfo=UTC), INSTANT)
    assert len(list(lake.dataset().get_fragments(filter=late))) == 3  # with the part of unknown hour


def test_older_files_are_filled_with_nulls(tmp_path, five_hours):
    old = five_hours.select(["start", "src_ip", "dst_port"]).replace_schema_metadata({"flowlore.schema_version": "0"})
    pq.write_table(pa.Table.from_batches([old]), tmp_path / "old.parquet")
    Flows(five_hours).write(tmp_path / "new.parquet")
    lake = Lake(tmp_path)
    flows = lake.read()
    assert flows.column_names == list(column_names())
    assert sorted(map(str, flows["protocol"].to_pylist())) == ["6"] * 6 + ["None"] * 6
    assert query("select count(*) as n from flows where protocol is null", tmp_path)["n"].to_pylist() == [6]


def test_a_newer_schema_is_refused(tmp_path, five_hours):
    newer = {"flowlore.schema_version": str(SCHEMA_VERSION + 1)}
    pq.write_table(pa.Table.from_batches([five_hours]).replace_schema_metadata(newer), tmp_path / "new.parquet")
    for ask in (lambda: Lake(tmp_path).read(), lambda: query("select 1 from flows", tmp_path / "new.parquet")):
        with pytest.raises(InputError, match=rf"version {SCHEMA_VERSION + 1} of the flow table[\s\S]*upgrade flowlore"):
            ask()


def test_foreign_parquet_keeps_its_own_columns(tmp_path):
    pq.write_table(pa.table({"bytes": [1, 2], "name": ["a", "b"]}), tmp_path / "foreign.parquet")
    pq.write_table(pa.table({"bytes": [1.5]}), tmp_path / "foreign2.parquet")
    assert query("select sum(bytes) as n from flows", tmp_path)["n"].to_pylist() == [4.5]
    paths = [tmp_path / "foreign.parquet", tmp_path / "foreign2.parquet"]
    assert query("select count(name) as n, count(*) as all_rows from flows", paths).to_pylist() == [
        {"n": 2, "all_rows": 3}
    ]


def test_what_is_not_there_or_not_parquet_says_so(tmp_path):
    with pytest.raises(InputError, match="there is no"):
        Lake(tmp_path / "missing").read()
    (tmp_path / "flows.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(InputError, match="is not a Parquet file"):
        Lake(tmp_path / "flows.parquet").read()


def test_an_empty_lake_has_every_column_and_no_row(tmp_path):
    assert Lake(tmp_path).read().to_arrow().schema == arrow_schema()
    assert query("select count(*) as n from flows", tmp_path)["n"].to_pylist() == [0]


def test_a_writer_adds_all_or_nothing(lake_path, five_hours):
    with pytest.raises(KeyError), open_writer(lake_path + "/") as writer:
        writer.write(five_hours)
        raise KeyError
    files, root = fsspec.core.url_to_fs(lake_path)
    assert not files.exists(root) or not files.find(root)
    with open_writer(lake_path + "/", metadata={"config_hash": "x"}) as writer:
        writer.write(five_hours)
        assert writer.rows == 6
    assert len(Lake(lake_path).read()) == 6
    assert not [file for file in files.find(root) if file.rpartition("/")[2].startswith(".")]


def test_memory_is_bounded(tmp_path, make_flows, monkeypatch):
    monkeypatch.setattr("flowlore.flows.lake.HELD_ROWS", 100)
    lake = Lake(tmp_path)
    for hour in range(10):
        lake.append(make_flows([hour * HOUR] * 30, src_port=list(range(30 * hour, 30 * hour + 30))))
        assert sum(lake._held_rows.values()) < 100
    lake.flush()
    assert len(lake.read()) == 300


def test_times_at_the_ends_of_what_arrow_holds(tmp_path, make_flows):
    batch = make_flows([0, 0], part=[0, 1])
    ends = pa.array([-(2**63) + 1, 2**63 - 1]).cast(pa.timestamp("ns", tz="UTC"))
    lake = Lake(tmp_path)
    lake.append(batch.set_column(0, "start", ends))
    lake.flush()
    assert lake.read()["start"].cast(pa.int64()).to_pylist() == [-(2**63) + 1, 2**63 - 1]
    assert query("select count(*) as n from flows where start < '2000-01-01'", tmp_path)["n"].to_pylist() == [1]
