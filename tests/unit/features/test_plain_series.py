"""Tables of numbers over time → series: how times are read, and what of the numbers cannot be."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from flowlore.errors import InputError, QueryError
from flowlore.features.rates.plain import plain_batch, plain_series
from flowlore.sources.plainseries import is_plain_series, read_plain_table
from ratesmade import MINUTE, S

TIMES = [datetime(2026, 5, 1, 12) + timedelta(minutes=5 * place) for place in range(6)]


def test_a_wide_table_has_a_series_a_column() -> None:
    table = pa.table({"time": TIMES, "a>b": [1.0, 2, 3, 4, 5, 6], "b>a": [0.0] * 6, "place": list("xxxxxx")})
    series = plain_series(table)
    assert (series.names, series.step_ns, series.steps) == (("a>b", "b>a"), 300 * S, 6)
    assert series.flags == {"b>a": ("constant",)}
    assert series.start_ns == int(np.datetime64("2026-05-01T12:00", "ns").astype(np.int64))


def test_a_long_table_has_a_row_for_each_series() -> None:
    table = pa.table(
        {"date": ["2006-07-01", "2006-07-01", "2006-07-02"], "host": [0, 1, 0], "as": [701, 701, 701], "f": [1, 2, 3]}
    )
    series = plain_series(table, entity=("host", "as"), value="f")
    assert series.names == ("0/701", "1/701")
    np.testing.assert_array_equal(series.values, [[1, 3], [2, np.nan]])
    assert plain_series(table.drop_columns(["as"]), entity=("host",)).values[0, 1] == 3
    with pytest.raises(QueryError, match="which column holds the numbers"):
        plain_series(table, entity=("host",))


@pytest.mark.parametrize(
    "words",
    [
        ["2018-01-08 23:00:00", "2018-01-09 00:00:00", "2018-01-09 01:00:00"],
        ["01/08/2018 23:00", "01/09/2018 00:00", "01/09/2018 01:00"],
        [1_515_452_400, 1_515_456_000, 1_515_459_600],
        [1_515_452_400_000, 1_515_456_000_000, 1_515_459_600_000],
        ["01/08/2018 23:00", "1/9/18 0:00", "1/9/18 1:00"],
        ["2018-01-08T23:00:00Z", "2018-01-09T00:00:00Z", "2018-01-09T01:00:00Z"],
    ],
)
def test_times_are_read_as_people_write_them(words: list[object]) -> None:
    series = plain_series(pa.table({"Time": words, "load": [1.0, 2.0, 5.0]}))
    assert series.start_ns == 1_515_452_400 * S and series.step_ns == 3_600 * S


def test_gaps_negatives_and_repeats_are_told() -> None:
    times = [TIMES[place] for place in (0, 1, 1, 2, 5)]
    table = pa.table({"time": times, "load": [1.0, 2.0, 2.5, -3.0, 4.0], "flat": [7.0] * 5})
    series = plain_series(table)
    np.testing.assert_array_equal(series.values[0], [1, 2.5, np.nan, np.nan, np.nan, 4])
    assert series.notes == {"negative-values": 1, "repeated-times": 1}
    assert series.flags == {"load": ("negative-1", "gap-of-15m"), "flat": ("constant", "gap-of-10m")}


def test_clocks_that_step_back_and_rows_without_time() -> None:
    table = pa.table({"time": [TIMES[0], TIMES[2], TIMES[1], None], "load": [1.0, 3.0, 2.0, 9.0]})
    series = plain_series(table)
    assert series.values.tolist() == [[1.0, 2.0, 3.0]]
    assert series.notes == {"clock-steps": 1, "rows-without-time": 1}


def test_counters_wrap_and_are_reset() -> None:
    counted = [2.0**32 - 100, 50.0, 1050.0, 20.0, 30.0]
    series = plain_series(pa.table({"time": TIMES[:5], "ifInOctets": counted}), counters=True)
    np.testing.assert_array_equal(series.values[0], [np.nan, 150, 1000, np.nan, 10])
    assert series.notes == {"counter-wraps": 1, "counter-resets": 1}
    assert "resets-1" in series.flags["ifInOctets"]


def test_a_coarser_step_is_a_mean() -> None:
    table = pa.table({"time": TIMES, "load": [1.0, 3.0, None, 5.0, None, None]})
    coarse = plain_series(table).coarser(10 * MINUTE)
    np.testing.assert_array_equal(coarse.values, [[2, 5, np.nan]])
    with pytest.raises(InputError, match="no multiple"):
        coarse.coarser(15 * MINUTE)


def test_spans_are_cut_by_the_clock() -> None:
    series = plain_series(pa.table({"time": TIMES, "load": [1.0, 2, 3, 4, 5, 6]}))
    cut = series.between(series.start_ns + 300 * S, series.start_ns + 900 * S)
    assert cut.values.tolist() == [[2, 3]] and cut.start_ns == series.start_ns + 300 * S


def test_the_table_of_a_series_tells_null_from_zero() -> None:
    batch = plain_batch(plain_series(pa.table({"time": TIMES[:3], "load": [0.0, None, 2.0], "other": [1.0, 2, 3]})))
    assert batch["value"].to_pylist() == [0.0, None, 2.0, 1.0, 2.0, 3.0]
    assert batch["entity"].to_pylist() == ["load"] * 3 + ["other"] * 3


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"load": [1.0, 2.0]}, "none of the columns is known to be the time"),
        ({"time": ["soon", "later"], "load": [1.0, 2.0]}, "`soon` in column `time` is no time"),
        ({"time": [TIMES[0], TIMES[0]], "load": [1.0, 2.0]}, "all rows have the same time"),
        ({"time": TIMES[:2], "words": ["a", "b"]}, "no column of numbers"),
        ({"time": pa.array([None, None], pa.timestamp("s")), "load": [1.0, 2.0]}, "no row has a time"),
        ({"time": [*range(10), 10**12], "load": [1.0] * 11}, "more than a matrix should hold"),
    ],
)
def test_tables_that_are_no_series(table: dict[str, object], words: str) -> None:
    with pytest.raises((InputError, QueryError), match=words):
        plain_series(pa.table(table))


def test_files_are_told_by_their_columns(tmp_path: Path) -> None:
    (tmp_path / "loads.csv").write_text("timestamp;value\n2026-05-01 12:00:00;3\n2026-05-01 12:05:00;NA\n")
    (tmp_path / "flows.csv").write_text("ts,src_ip,dst_ip\n1,a,b\n")
    assert is_plain_series(tmp_path / "loads.csv") and not is_plain_series(tmp_path / "flows.csv")
    assert not is_plain_series(tmp_path) and not is_plain_series(tmp_path / "no.csv")
    assert plain_series(read_plain_table(tmp_path / "loads.csv")).values[0, 0] == 3
    with pytest.raises(InputError, match="does not exist"):
        read_plain_table(tmp_path / "no.csv")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match="is no table"):
        read_plain_table(tmp_path / "cut.parquet")


@pytest.mark.shared_data
def test_public_matrices_and_loads(shared_data: Path) -> None:
    abilene = plain_series(read_plain_table(shared_data / "traffic_matrices" / "abilene.parquet"))
    assert (len(abilene), abilene.steps, abilene.step_ns) == (132, 4032, 300 * S)
    assert abs(np.isnan(abilene.values).mean() - 0.02) < 0.005
    germany = plain_series(read_plain_table(shared_data / "traffic_matrices" / "germany50.parquet"))
    assert (len(germany), germany.steps, germany.step_ns) == (2116, 28, 86_400 * S)
    esnet = plain_series(read_plain_table(shared_data / "series" / "esnet_hourly_2018.parquet"))
    assert (len(esnet), esnet.steps, esnet.step_ns) == (8, 6552, 3_600 * S)
    daily = read_plain_table(shared_data / "series" / "hosts_daily_2006.parquet")
    assert plain_series(daily, entity=("l_ipn", "r_asn"), value="f").step_ns == 86_400 * S
