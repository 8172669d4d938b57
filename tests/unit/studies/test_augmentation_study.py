"""The campaign on toy data: two rounds, regimes, finalists by validation flows, ranks, predictors and its budget."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from flowlore.features.augment import AUGMENTATIONS
from flowlore.studies.augmentation import Augmentation
from flowlore.studies.augmentation.arms import finalists, later_runs, regimes, screened, steps_of
from flowlore.studies.augmentation.examination import lowest_quarter
from flowlore.studies.augmentation.predictors import correlation
from flowlore.studies.augmentation.scales import SCALES
from flowlore.studies.augmentation.shown import numbers_of, share_of_captures
from flowlore.studies.conduct import Order, conduct
from flowlore.studies.evidence import Evidence, Result, Shelf
from flowlore.studies.material import Facts, load

Make = Callable[..., Order]
TINY = replace(SCALES["smoke"], network_steps=4, trees=5, shots=(5,), seeds=2, seeds_of_variants=1, test_rows=60)
FIRST = ("words, none", "words, cutmix 0.5", "words, ensemble, inject", "words, searched")
LATER = (
    "scaled, none",
    "encoder, cutmix 0.5",
    "encoder, none",
    "words, sampler ½",
    "extra-trees, cutmix 0.5",
    "extra-trees, none",
    "1-nn, none",
    "bf16",
)


def test_two_rounds_on_toy_data(order: Make) -> None:
    told = []
    asked = order("augmentation", sets=("validated-toy",), arms=(*FIRST, *LATER), scale=TINY)
    done = conduct(asked, tell_plan=lambda plan, left_out: told.append(plan))
    assert done.failed == () and told[0].later_cpu_s > 0
    assert {one.run.arm for one in told[0].runs} == {*FIRST, "extra-trees, none", "1-nn, none", "bf16"}
    results = Shelf(order().output).evidence().results
    assert {one.arm for one in results} == {*FIRST, *LATER}
    none = [one for one in results if one.arm == "words, none"]
    assert sorted((one.shots or 0, one.values["share"] or 0, one.seed) for one in none) == [
        *((0, 0.02, 0), (0, 0.1, 0)),
        *((5, 0, 0), (5, 0, 1)),
    ]
    trees = next(one for one in results if one.arm == "extra-trees, cutmix 0.5")
    assert trees.number("natural.macro_f1") > 0.9 and trees.result["copies"] == 4
    encoder = next(one for one in results if one.arm == "encoder, cutmix 0.5")
    assert encoder.number("parameters") > 100_000 and encoder.number("natural.macro_f1") > 0.3
    cutmix = next(one for one in results if one.arm == "words, cutmix 0.5" and one.shots == 5)
    assert cutmix.result["device"] in ("cpu", "cuda") and 0 <= cutmix.number("measures.copies.kept") <= 1
    assert next(one for one in results if one.arm == "words, searched").result["found"]["policy"]
    assert "copies" not in none[0].result.get("measures", {})
    page = done.pages[1].read_text()
    for words in ("Every arm", "20 packets", "Ranks", "2% of captures", "5 a class", "lowest quarter", "flows/s"):
        assert words in page, words
    assert conduct(asked).made == 0


def test_all_arms_of_a_seed_are_shown_the_same_flows(order: Make) -> None:
    from flowlore.studies.augmentation.shown import flows_for
    from flowlore.studies.bench import Bench

    conduct(order("augmentation", sets=("validated-toy",), arms=("1-nn, none",), scale=TINY))
    facts = load(order().output / "data" / "validated-toy").facts
    runs = [run for run in Augmentation().runs(facts, TINY) if run.shots == 5 and run.seed == 0]
    bench = Bench(order().output, TINY)
    shown = {tuple(flows_for(run, bench).shown.tolist()) for run in runs}
    assert len(runs) > 25 and len(shown) == 1 and len(next(iter(shown))) == 10


def test_every_transform_policy_and_stack_is_screened() -> None:
    arms = dict(screened(SCALES["small"]))
    assert next(iter(arms)) == "none"
    used = {text.partition(":")[0] for settings in arms.values() for text in settings.transforms}
    assert used == set(AUGMENTATIONS.names())
    assert {settings.policy for settings in arms.values()} == {"replace", "inject", "pre-augment"}
    assert {settings.combine for settings in arms.values()} == {"ensemble", "random-stack", "masked-stack"}
    assert len(dict(screened(SCALES["full"]))) == len(arms) + 2 * len(AUGMENTATIONS.names())


def test_the_budget_of_the_whole_campaign() -> None:
    """At most twelve hours of one core for FG-Net as a whole, less than two for the small scale, which screens with 100
    labels a class as the whole does."""
    facts = fgnet_facts()
    hours = {
        name: (sum(run.cpu_s for run in Augmentation().runs(facts, scale)) + Augmentation().later_cpu_s([facts], scale))
        / 3600
        for name, scale in SCALES.items()
    }
    assert hours["smoke"] < hours["small"] < 2 and 2 < hours["full"] < 12
    full = Augmentation().runs(facts, SCALES["full"])
    assert {run.shots for run in full if run.arm == "words, wrap 1"} == {100}
    assert len({run.seed for run in full if run.arm == "words, wrap 1"}) == 3


def test_finalists_are_chosen_by_validation_flows() -> None:
    scale = replace(SCALES["small"], shots=(20,))
    arms = [arm for arm, _ in screened(scale)]
    results = [
        result(f"words, {arm}", seed=0, validation=(10 + place) / 100, test=(90 - place) / 100)
        for place, arm in enumerate(arms)
    ]
    chosen = [arm for arm, _ in finalists(evidence(results), scale)]
    assert chosen == list(reversed(arms))[:5]
    elsewhere = [replace(one, data="iot-sentinel", result={"validation": {"macro_f1": 0.0}}) for one in results[-5:]]
    more = [result(f"words, {chosen[0]}", seed=4, validation=0.0, test=0.0)]
    assert [arm for arm, _ in finalists(evidence([*results, *elsewhere, *more]), scale)] == chosen
    later = list(later_runs([fgnet_facts()], scale, evidence(results)))
    words = {run.arm for run in later if run.arm.startswith("words, ")}
    tail = {f"words, {chosen[0]}, sampler ½", "words, sampler ½", "words, sampler 1"}
    assert words == {"words, none", *(f"words, {arm}" for arm in chosen)} | tail
    assert {run.seed for run in later if run.arm == "words, none" and run.shots == 20} == set(range(5))
    assert not list(later_runs([fgnet_facts()], scale, evidence([])))


def test_the_long_tail_takes_whole_captures_of_every_class(order: Make) -> None:
    conduct(order("augmentation", sets=("validated-toy",), arms=("1-nn, none",), scale=TINY))
    material = load(order().output / "data" / "validated-toy")
    rows = share_of_captures(material, 0.1, np.random.default_rng(0))
    taken = material.groups[rows]
    for capture in np.unique(taken):
        assert (material.groups[material.train] == capture).sum() == (taken == capture).sum()
    labels, counts = np.unique(material.labels[rows], return_counts=True)
    assert labels.tolist() == ["large", "small"] and counts.max() <= 10
    assert set(rows.tolist()) <= set(material.train.tolist())


def test_the_lowest_quarter_is_by_what_was_shown() -> None:
    shown = np.repeat(np.arange(8), [9, 9, 9, 9, 9, 9, 1, 2])
    truth = np.repeat(np.arange(8), 4)
    answers = truth.copy()
    answers[24:28] = 0  # class 6 is never right, class 7 always
    assert lowest_quarter(shown, truth, answers) == pytest.approx(0.5)
    answers[:4] = 3  # what happens to other classes does not matter
    assert lowest_quarter(shown, truth, answers) == pytest.approx(0.5)


def test_rank_correlation_by_hand() -> None:
    """Four of six arms in order: 1 - 6 Σd² / n(n² - 1)."""
    gains, measured = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06], [1.0, 2.0, 3.0, 4.0, 6.0, 5.0]
    results = [result("words, none", seed=0, test=0.3)]
    for place, (gain, value) in enumerate(zip(gains, measured, strict=True)):
        results.append(result(f"words, a{place}", seed=0, test=0.3 + gain, measures={"after": {"purity": value}}))
    found = correlation(results, "after.purity")
    assert found is not None and found[0] == pytest.approx(1 - 6 * 2 / (6 * 35)) and found[3] == 6
    assert correlation(results, "after.silhouette") is None
    assert correlation(results[:4], "after.purity") is None


def test_numbers_are_laid_out_as_trees_of_other_studies_see_them(order: Make) -> None:
    from flowlore.features.augment.tables import series_of_table

    conduct(order("augmentation", sets=("validated-toy",), arms=("1-nn, none",), scale=TINY))
    material = load(order().output / "data" / "validated-toy")
    series = series_of_table(material.flows.to_arrow(), 32)
    numbers = numbers_of(series)
    assert np.isfinite(numbers[:, -40:]).all()
    assert np.allclose(numbers[:, -40:-20] * 1500, (series.direction * series.size)[:, :20])
    assert numbers_of(series.take(np.arange(0))).shape == (0, numbers.shape[1])


def test_steps_grow_with_the_root_of_what_is_shown() -> None:
    assert [steps_of(rows, SCALES["small"]) for rows in (1000, 4000, 0)] == [600, 1200, 19]
    assert len(regimes(SCALES["small"])) == 4


def fgnet_facts() -> Facts:
    return Facts(
        name="fgnet",
        title="FG-Net",
        checksum="c",
        licence="",
        split_by="",
        proof="",
        train=105_000,
        validation=15_000,
        test=4_000,
        novel=3_000,
        whole_train=105_000,
        whole_test=30_000,
        classes=53,
        groups=7_000,
        smallest_class=200,
        modalities=("quantities", "series"),
        lacks=(),
        identity=(),
        context="",
        shortcuts="",
    )


def result(arm: str, *, seed: int, test: float, validation: float = 0.1, measures: Any = None) -> Result:
    made: dict[str, Any] = {"natural": {"macro_f1": test}, "validation": {"macro_f1": validation}}
    return Result(
        hash=f"{arm}{seed}",
        question="few labels",
        data="fgnet",
        arm=arm,
        seed=seed,
        shots=20,
        values={"share": None},
        result=made if measures is None else made | {"measures": measures},
        cost={"cpu_s": 1.0},
    )


def evidence(results: list[Result]) -> Evidence:
    return Evidence(study={}, facts={}, results=tuple(results), failed=())
