"""The audit on toy data: attacks run, and find what is there to be found."""

from collections.abc import Callable
from dataclasses import replace

from flowlore.studies.conduct import Order, conduct
from flowlore.studies.evidence import Shelf

Make = Callable[..., Order]
ARMS = (
    *("autoencoder, probe, padding, 20%", "extra-trees, all three, 5%", "extra-trees, delays, 20%"),
    *("extra-trees", "1-nn", "autoencoder, probe", "vectors of the autoencoder", "raw numbers, as a control"),
)


def test_on_toy_data(order: Make) -> None:
    tiny = replace(order(seeds=1).scale, pretrain_steps=2)
    done = conduct(order("audit", sets=("toy",), arms=ARMS, scale=tiny))
    assert done.failed == ()
    results = {(one.question, one.arm): one for one in Shelf(order().output).evidence().results}
    assert set(results) == {("adversarial", arm) for arm in ARMS[:3]} | {("membership", arm) for arm in ARMS[3:]}
    padded = results["adversarial", "extra-trees, all three, 5%"]
    assert padded.number("before") > 0.9 and padded.number("attacked") <= padded.number("at_random") + 1e-9
    assert padded.number("overhead.bytes") > 0
    assert results["adversarial", "extra-trees, delays, 20%"].number("overhead.bytes") == 0
    looked_up = results["membership", "1-nn"]
    assert looked_up.result["members"] > 0 and 0.3 < looked_up.number("roc_auc") < 0.8
    assert "Disguised traffic" in done.pages[1].read_text()


def test_unknown_classes_and_what_is_read_back(order: Make) -> None:
    tiny = replace(order(seeds=1).scale, pretrain_steps=2)
    arms = (
        *("raw numbers: distance to the nearest labelled", "extra-trees: confidence"),
        *("dst_port from raw numbers", "dst_port from nothing (the most frequent)", "payload from autoencoder"),
    )
    done = conduct(order("audit", sets=("office",), arms=arms, scale=tiny))
    assert done.failed == ()
    results = {one.arm: one for one in Shelf(order().output).evidence().results}
    assert set(results) == set(arms)
    assert 0 <= results[arms[0]].number("roc_auc") <= 1 and results[arms[0]].result["hidden"]
    assert results[arms[2]].number("right") >= results[arms[3]].number("right")
    assert 0 < results[arms[4]].number("right") <= 1
