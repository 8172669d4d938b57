"""Strange flows without labels: what is unlike all others scores higher, and groups hold what varies together."""

import numpy as np

from flowlore.features.batch import FeatureBatch
from flowlore.tasks.anomaly.ensemble import AutoencoderEnsemble, groups_that_vary_together
from flowlore.tasks.anomaly.reconstructed_graph import ReconstructedGraph
from graphs_in_words import flows_between


def rows_of_two_kinds(rows: int = 600, strange: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Thirty numbers that follow three; in strange rows they do not, though each number alone is usual."""
    rng = np.random.default_rng(0)
    three = rng.random((rows, 3))
    numbers = np.repeat(three, 10, axis=1) + rng.normal(0, 0.02, (rows, 30))
    is_strange = np.zeros(rows, np.bool_)
    is_strange[rng.choice(rows, strange, replace=False)] = True
    numbers[is_strange] = rng.random((strange, 30))
    numbers[:, 7] = 3.0
    numbers[::5, 8] = np.nan
    return numbers, is_strange


def test_the_ensemble_finds_what_does_not_vary_together() -> None:
    numbers, is_strange = rows_of_two_kinds()
    made = AutoencoderEnsemble(np.random.default_rng(1), epochs=20, steps=400).fit(numbers[~is_strange])
    scores = made.score(numbers)
    assert np.isfinite(scores).all()
    assert np.median(scores[is_strange]) > np.quantile(scores[~is_strange], 0.99)
    assert sorted(one for group in made.groups_ for one in group) == list(range(29)), "the constant one tells nothing"
    assert max(map(len, made.groups_)) <= 10
    again = AutoencoderEnsemble(np.random.default_rng(1), epochs=20, steps=400).fit(numbers[~is_strange])
    assert np.array_equal(again.score(numbers), scores)


def test_groups_are_of_numbers_that_vary_together() -> None:
    numbers = rows_of_two_kinds(strange=0)[0]
    numbers = numbers[:, [*range(7), *range(10, 30)]]
    groups = groups_that_vary_together(np.nan_to_num(numbers), 10)
    assert groups == [list(range(7)), list(range(7, 17)), list(range(17, 27))]


def hosts_that_scan(rows: int = 900) -> tuple[FeatureBatch, np.ndarray]:
    """Clients ask one server with large flows; one host sends tiny ones to many hosts, and one flow has no ends."""
    rng = np.random.default_rng(0)
    is_scan = np.zeros(rows, np.bool_)
    is_scan[rng.choice(rows, 30, replace=False)] = True
    ends = [
        (66, int(rng.integers(100, 200))) if scan else (int(client), 1)
        for scan, client in zip(is_scan, rng.integers(10, 20, rows), strict=True)
    ]
    ends[0] = (0, 0)
    flows = flows_between(ends, np.sort(rng.uniform(0, 300, rows)).tolist())
    numbers = np.exp(rng.normal(6, 0.3, (rows, 6))).astype(np.float32)
    numbers[is_scan] = np.exp(rng.normal(3, 0.3, (30, 6)))
    return (
        FeatureBatch(
            length=rows,
            channels={**flows.channels, "quantities": numbers},
            present={**flows.present, "quantities": np.ones(rows, np.bool_)},
        ),
        is_scan,
    )


def test_the_reconstructed_graph_finds_a_scan() -> None:
    flows, is_scan = hosts_that_scan()
    made = ReconstructedGraph(np.random.default_rng(0), epochs=5, steps=40).fit(flows.take(~is_scan))
    scores = made.score(flows)
    assert np.isnan(scores[0]) and np.isfinite(scores[1:]).all()
    assert np.median(scores[is_scan]) > np.nanquantile(scores[~is_scan], 0.95)
    assert 10_000 < made.parameters() < 300_000
