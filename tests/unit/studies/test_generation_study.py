"""The study of generation on toy data: generators, modes, fidelity, dose and response, and its budget."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from test_augmentation_study import fgnet_facts

from flowlore.models.generators import GENERATORS
from flowlore.studies.conduct import Order, conduct
from flowlore.studies.evidence import Shelf
from flowlore.studies.generation import Generation
from flowlore.studies.generation.scales import SCALES

Make = Callable[..., Order]
TINY = replace(SCALES["smoke"], network_steps=4, trees=5, test_rows=60, pretrain_steps=2)
ARMS = (
    *("none", "hand-crafted", "real only", "hand-crafted 0.5", "transformer 1.3", "extra-trees, wgan"),
    *("transformer", "diffusion", "wgan", "diffusion, real and made", "transformer, made only"),
    *("wgan, hand-crafted and made", "transformer asked where it is thin", "transformer from augmented flows"),
    *("joint: classifier with made flows", "joint: classifier without", "transformer, real and made"),
)


def test_on_toy_data(order: Make) -> None:
    done = conduct(order("generation", sets=("validated-toy",), arms=ARMS, scale=TINY))
    assert done.failed == ()
    results = {(one.question, one.arm): one for one in Shelf(order().output).evidence().results}
    assert {arm for _, arm in results} == set(ARMS)
    shown = results["use", "none"].result["taught"]
    assert results["use", "diffusion, real and made"].result["made"] == shown
    assert results["use", "transformer, made only"].result["made"] == 3 * shown
    for name in GENERATORS.names():
        faithful = results["fidelity", name]
        assert faithful.result["made"] == shown and faithful.result["generator"]["parameters"] > 500_000
        assert 0 <= faithful.number("copied") <= 1
    joint = results["use", "joint: classifier with made flows"]
    assert 0 <= joint.number("natural.macro_f1") <= 1 and joint.result["generator"]["steps"] >= 2
    dose = [one for one in Shelf(order().output).evidence().results if one.question == "dose and response"]
    assert {one.values["dose"]["share"] for one in dose if "dose" in one.values} == {0.25, 0.5, 0.75, 1.0}
    page = done.pages[1].read_text()
    for words in ("what made-up flows teach", "how faithful they are", "Targets", "TSTR", "temperature"):
        assert words in page, words
    kept = len(list((order().output / "kept").glob("*.npz")))
    assert kept == 7, "one generator of each kind and mode, whoever asks for it"


def test_generators_are_those_of_the_registry_and_see_what_the_classifier_sees() -> None:
    runs = Generation().runs(fgnet_facts(), SCALES["small"])
    assert {run.values["generator"] for run in runs if "generator" in run.values} == set(GENERATORS.names())
    assert {run.shares for run in runs} == {"20 0", "20 1"}
    doses = [run for run in runs if run.question == "dose and response"]
    assert len(doses) == 1 + 4 * (3 + 3)


@pytest.mark.parametrize(("name", "hours"), [("small", 1.5), ("full", 24)])
def test_the_budget(name: str, hours: float) -> None:
    runs = Generation().runs(fgnet_facts(), SCALES[name])
    assert 0.2 < sum(run.cpu_s for run in runs) / 3600 < hours
