"""Tallies are exact until they must forget, and then say so."""

import polars as pl

from flowlore.pages.tally import Tally


def frame(keys: list[str | None], amounts: list[float]) -> pl.DataFrame:
    return pl.DataFrame({"key": keys, "bytes": amounts}, schema={"key": pl.String, "bytes": pl.Float64})


def test_sums_go_across_batches_and_ties_are_ordered() -> None:
    tally = Tally(["key"], ["bytes"], order="bytes")
    tally.add(frame(["b", "a", None], [1, 2, 50]))
    tally.add(frame(["a", "b", "c"], [3, 4, 9]))
    ranking = tally.ranking(2)
    assert ranking.rows == [{"key": "c", "bytes": 9}, {"key": "a", "bytes": 5}]
    assert (ranking.distinct, ranking.approximate) == (3, False)


def test_nothing_added_is_an_empty_ranking() -> None:
    ranking = Tally(["key"], ["bytes"], order="bytes").ranking(3)
    assert (ranking.rows, ranking.distinct) == ([], 0)


def test_small_keys_are_let_go_when_there_are_too_many() -> None:
    tally = Tally(["key"], ["bytes"], order="bytes", keys_kept=10)
    tally.add(frame([f"k{n:02}" for n in range(40)], [float(n) for n in range(40)]))
    ranking = tally.ranking(3)
    assert [row["key"] for row in ranking.rows] == ["k39", "k38", "k37"]
    assert ranking.approximate
    assert ranking.distinct == 5
