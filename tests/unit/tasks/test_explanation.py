"""What decided is found: an encoder that looks at one thing only is explained by that thing."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from flowlore.features.batch import FeatureBatch
from flowlore.features.quantities import quantities
from flowlore.flows.table import Flows
from flowlore.tasks.explanation import Explanation, explain, summary_by_class
from flowlore.tasks.few_shot import prepare, teach
from flowlore.tasks.predictor import Predictor

BYTES_FWD = [quantity.name for quantity in quantities()].index("bytes_fwd")


class Watching:
    """Two numbers: the size of the third packet, and the bytes of the asker. Zeros where a flow lacks them."""

    unit = "flow"
    needs = ("quantities", "series.size")
    width = 2

    def __init__(self, sees: tuple[float, float] = (1.0, 1.0)) -> None:
        self.sees = np.array(sees, np.float32)

    def embed(self, batch: FeatureBatch) -> np.ndarray:
        found = np.zeros((len(batch), 2), np.float32)
        if "series.size" in batch.channels:
            found[:, 0] = batch.channels["series.size"][:, 2] / 100.0
        if "quantities" in batch.channels:
            found[:, 1] = np.log1p(np.nan_to_num(batch.channels["quantities"][:, BYTES_FWD]))
        return found * self.sees

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        return {"sees": self.sees}, {}

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray], values: Mapping[str, Any]) -> "Watching":
        return cls(tuple(arrays["sees"]))


def taught(office: Flows, sees: tuple[float, float]) -> Predictor:
    from flowlore.features.settings import FeatureSettings

    predictor = Predictor(model="stub", encoder=Watching(sees), features=FeatureSettings())
    rng = np.random.default_rng(0)
    lesson = prepare(predictor, office, by="random-which-leaks", rng=rng)
    found, _ = teach(predictor, lesson, shots=2, rng=rng, drop_small_classes=True, head="probe")
    return found


def kinds(one: Explanation, kind: str) -> dict[str, float]:
    return {part.what: part.weight for part in one.parts if part.kind == kind}


def test_the_packet_that_decides_is_named(office: Flows) -> None:
    flows = office.where("packets_fwd + packets_rev >= 3 and app_protocol = 'tls'")[:5]
    found = explain(taught(office, (1.0, 0.0)), flows)
    assert len(found) == 5
    for one in found:
        assert set(kinds(one, "packet")) <= {"packet 3"}
        assert kinds(one, "quantity") == {}
        assert set(kinds(one, "modality")) <= {"series of packets"}
    decided = [part for one in found for part in one.of_kind("packet")]
    assert decided and all("bytes" in part.value for part in decided)
    assert {part.what for one in found for part in one.of_kind("channel")} == {"sizes of packets"}


def test_the_quantity_that_decides_is_named(office: Flows) -> None:
    found = explain(taught(office, (0.0, 1.0)), office[:8])
    assert {what for one in found for what in kinds(one, "quantity")} == {"bytes_fwd"}
    assert {what for one in found for what in kinds(one, "modality")} == {"totals and statistics"}
    assert not any(kinds(one, "packet") for one in found)
    for one, row in zip(found, office.to_polars().head(8).iter_rows(named=True), strict=True):
        assert one.flow_id == row["flow_id"]
        value = next(part.value for part in one.of_kind("quantity"))
        assert float(value.split()[0].replace(",", "")) == pytest.approx(row["bytes_fwd"], rel=1e-5)


def test_change_and_log_odds_agree(office: Flows) -> None:
    predictor = taught(office, (1.0, 1.0))
    one = explain(predictor, office[:1])[0]
    assert predictor.calibration is not None and predictor.head is not None
    part = next(part for part in one.parts if part.what == "totals and statistics")
    assert 0.0 <= one.confidence - part.change <= 1.0
    assert np.sign(part.change) == np.sign(part.weight)
    before, without = np.clip([one.confidence, one.confidence - part.change], 1e-12, 1 - 1e-12)
    odds = np.log(before / (1 - before)) - np.log(without / (1 - without))
    assert part.weight == pytest.approx(odds, abs=0.01)


def test_neighbours_are_the_nearest_labelled_flows(office: Flows) -> None:
    predictor = taught(office, (1.0, 1.0))
    assert predictor.support is not None
    shown = {
        row.tobytes().hex(): str(label)
        for row, label in zip(*(predictor.support.flow_ids, predictor.support.labels), strict=True)
    }
    mask = np.array([one in shown for one in office.to_polars()["flow_id"].to_list()])
    for one in explain(predictor, office[mask]):
        assert one.neighbours[0].likeness == pytest.approx(1.0, abs=1e-4)
        assert shown[one.neighbours[0].flow_id] == one.neighbours[0].label


def test_what_answers_rest_on_by_class(office: Flows) -> None:
    found = explain(taught(office, (0.0, 1.0)), office[:20])
    summary = summary_by_class(found)
    assert set(summary) <= {one.label for one in found}
    assert {what for held in summary.values() for what in held} == {"totals and statistics"}


def test_no_flows_need_no_explanation(office: Flows) -> None:
    assert explain(taught(office, (1.0, 1.0)), office[:0]) == []


def test_a_bundle_without_labels_says_so(office: Flows) -> None:
    from flowlore.errors import BundleError

    with pytest.raises(BundleError, match="knows no labels"):
        explain(replace(taught(office, (1.0, 1.0)), head=None), office[:1])
