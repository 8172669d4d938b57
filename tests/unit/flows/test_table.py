import sys

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from flowlore.errors import MissingDependency, QueryError
from flowlore.flows.schema import arrow_schema, column_names
from flowlore.flows.table import Flows, concat


def test_every_view_shows_addresses_as_text(make_flows):
    flows = Flows(make_flows([0, 1], src_mac=[b"\x00\x1b\x44\x11\x3a\xb7", None]))
    assert flows.to_arrow()["src_ip"].type == pa.binary(16)
    frame = flows.to_polars()
    assert frame["src_ip"].to_list() == ["10.0.0.1", "10.0.0.1"]
    assert frame["src_mac"].to_list() == ["00:1b:44:11:3a:b7", None]
    assert frame["flow_id"].to_list() == ["0" * 32, "0" * 31 + "1"]
    assert frame["start"].dtype == pl.Datetime("ns", "UTC")
    assert frame.columns == list(column_names())
    pandas = flows.to_pandas()
    assert pandas["src_ip"].tolist() == ["10.0.0.1", "10.0.0.1"]
    assert str(pandas["src_port"].dtype) == "uint16[pyarrow]"


def test_pandas_is_asked_for_where_it_is_missing(make_flows, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingDependency, match="needs the package `pandas`"):
        Flows(make_flows([0])).to_pandas()


def test_columns_slices_and_masks(make_flows):
    flows = Flows(make_flows([0, 1, 2, 3], bytes_rev=[10, 20, None, 40]), account="kept")
    assert flows["bytes_rev"].to_pylist() == [10, 20, None, 40]
    assert len(flows[1:3]) == 2 and flows[1:3].account == "kept"
    assert flows[-1:]["src_port"].to_pylist() == [40_003]
    assert flows[::-2]["src_port"].to_pylist() == [40_003, 40_001]
    assert len(flows[3:1]) == 0
    for mask in (
        [True, False, False, True],
        np.array([True, False, False, True]),
        pa.array([True, None, False, True]),
        pl.Series([True, False, False, True]),
    ):
        assert flows[mask]["src_port"].to_pylist() == [40_000, 40_003]
    with pytest.raises(ValueError, match="the mask has 2 rows, the flows 4"):
        flows[[True, False]]
    with pytest.raises(TypeError, match="mask of booleans"):
        flows[[0, 1, 2, 3]]


def test_a_wrong_column_names_the_nearest(make_flows):
    flows = Flows(make_flows([0]))
    for ask in (lambda: flows["byts_fwd"], lambda: flows.select(["start", "byts_fwd"])):
        with pytest.raises(QueryError, match=r"no column `byts_fwd`[\s\S]*did you mean `bytes_fwd`"):
            ask()
    assert flows.select(["dst_port", "start"]).column_names == ["dst_port", "start"]


def test_where_keeps_what_is_true(make_flows):
    flows = Flows(make_flows([0, 1, 2], dst_port=[443, 53, None]))
    assert flows.where("dst_port = 443")["src_port"].to_pylist() == [40_000]
    assert len(flows.where("src_ip = '10.0.0.1'")) == 3


def test_sort_is_by_start_then_flow_id_then_part(make_flows):
    ids = [b"\xff" * 16, b"\x00" * 16, b"\x00" * 16, b"\x80" * 16, None]
    batch = make_flows([2, 2, 2, 1, None], flow_id=ids, part=[0, 1, 0, 0, 0])
    flows = Flows(batch)
    assert flows.sort()["src_port"].to_pylist() == [40_003, 40_002, 40_001, 40_000, 40_004]
    in_chunks = concat([flows[3:], flows[:1], flows[1:3]])
    assert in_chunks.sort().equals(flows.sort())
    assert flows.sort().sort().equals(flows.sort())
    assert len(Flows(batch.slice(0, 0)).sort()) == 0
    assert flows.select(["dst_port"]).sort()["dst_port"].to_pylist() == [443] * 5


def test_concat_fills_what_one_lacks(make_flows):
    whole = Flows(make_flows([0, 1]))
    joined = concat([whole, whole.select(["start", "src_ip"])])
    assert len(joined) == 4
    assert joined["dst_port"].to_pylist() == [443, 443, None, None]
    assert concat([]).to_arrow().schema == arrow_schema()


def test_no_batches_give_the_empty_table():
    assert Flows.from_batches([]).to_arrow().schema == arrow_schema()
    assert repr(Flows.from_batches([])) == f"Flows: 0 rows, {len(column_names())} columns"


def test_repr_shows_the_first_rows(make_flows):
    flows = Flows(make_flows([float(row) for row in range(30)]))
    assert "Flows: 30 rows" in repr(flows)
    assert "2020-06-20 12:00:00 to 2020-06-20 12:00:29 UTC" in repr(flows)
    assert "10.0.0.1" in repr(flows)
    assert "<table" in flows._repr_html_()
    assert "Flows: 2 rows, 1 columns" in repr(flows[:2].select(["payload_fwd"]))


def test_a_single_name_is_one_column(make_flows) -> None:
    assert Flows(make_flows([0])).select("start").column_names == ["start"]


def test_flows_are_no_list_of_rows(make_flows) -> None:
    flows = Flows(make_flows([0]))
    with pytest.raises(TypeError, match="a slice or a mask"):
        flows[0]
    with pytest.raises(TypeError, match="iter_rows"):
        list(flows)
