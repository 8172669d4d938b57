"""The study of latent spaces on toy data: measures, pictures, and what tells the gain beforehand."""

from collections.abc import Callable
from dataclasses import replace

from flowlore.studies.augmentation.scales import SCALES
from flowlore.studies.conduct import Order, conduct
from flowlore.studies.evidence import Shelf

Make = Callable[..., Order]
TINY = replace(SCALES["smoke"], network_steps=4, shots=(5,), seeds=1, test_rows=60)
ARMS = tuple(
    f"words, {arm}"
    for arm in ("none", "wrap 0.5", "cutmix 0.5", "window-mask 0.5", "change-rtt 0.5", "mtu 0.5", "random stack")
)


def test_on_toy_data(order: Make) -> None:
    done = conduct(order("latent", sets=("validated-toy",), arms=ARMS, scale=TINY))
    assert done.failed == ()
    results = {one.arm: one for one in Shelf(order().output).evidence().results}
    assert set(results) == set(ARMS)
    for arm, one in results.items():
        assert -1 <= one.number("measures.truth.silhouette") <= 1
        places = one.result["places"]
        assert len(places["before"]) == len(places["after"]) == len(places["codes"]) == len(places["kinds"])
        assert set(places["kinds"]) == ({0, 2} if arm == "words, none" else {0, 1, 2})
        assert max(max(place) for place in places["after"]) <= 1000
    none = results["words, none"].result["places"]
    assert none["before"] == none["after"], "without augmentation both are one network"
    still = results["words, change-rtt 0.5"]
    assert still.number("measures.copies.alignment") < results["words, random stack"].number(
        "measures.copies.alignment"
    )
    html, markdown = (page.read_text() for page in done.pages)
    assert html.count("<circle") > 500 and "rank correlation" in html
    for words in ("What tells the gain beforehand", "where changed flows land", "how classes lie", "| wrap 0.5 |"):
        assert words in markdown, words
