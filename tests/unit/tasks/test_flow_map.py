"""A map of flows: what is on it, by what it can be coloured, and how new flows come onto it."""

import numpy as np
import pytest

from flowlore.errors import TaskError
from flowlore.flows.table import Flows
from flowlore.tasks.few_shot import prepare, teach
from flowlore.tasks.flow_map import FlowMapper, map_flows
from flowlore.tasks.predictor import Predictor
from flowlore.tasks.projection import project


def drawn(predictor: Predictor, flows: Flows, **more: object):
    return map_flows(predictor, flows, rng=np.random.default_rng(0), **more)


def test_every_flow_has_a_place_and_groupings(pretrained: Predictor, office: Flows) -> None:
    found = drawn(pretrained, office)
    assert len(found) + found.blank == len(office) == found.seen
    assert found.places.shape == (len(found), 2)
    by = {one.name: one for one in found.colourings}
    assert {"label", "application", "server name"} <= set(by)
    assert "predicted" not in by and "new or known" not in by
    labels = found.flows.column("label").to_pylist()
    coloured = [None if code < 0 else by["label"].names[code] for code in by["label"].codes]
    assert coloured == labels
    assert by["label"].counts() == sorted(by["label"].counts(), reverse=True)
    assert found.rule == "all 198 flows"
    assert found.as_json()["colourings"]["label"]["dns"] == labels.count("dns")


def test_a_taught_bundle_colours_by_answer_and_confidence(pretrained: Predictor, office: Flows) -> None:
    rng = np.random.default_rng(0)
    lesson = prepare(pretrained, office, by="random-which-leaks", rng=rng)
    taught, _ = teach(pretrained, lesson, shots=2, rng=rng, drop_small_classes=True)
    found = drawn(taught, office)
    predicted = found.colouring("predicted")
    answers = taught.predict(office)["label"].to_pylist()
    assert [predicted.names[code] for code in predicted.codes] == answers
    sure = found.colouring("confidence")
    assert sure.is_ordered and sum(sure.counts()) == len(found)
    assert found.confidence is not None
    for code, value in zip(sure.codes, found.confidence, strict=True):
        least = (0.99, 0.9, 0.7, 0.5, 0.0)[code]
        assert value >= least - 1e-6


def test_of_many_some_are_drawn(pretrained: Predictor, office: Flows) -> None:
    found = drawn(pretrained, office, most=60)
    assert len(found) == 60
    assert found.seen == 198
    assert found.rule.startswith("60 of 198 flows")
    labels = set(found.flows.column("label").to_pylist())
    assert labels == set(office.to_arrow().column("label").to_pylist())


def test_new_flows_are_placed_and_do_not_shape_the_map(pretrained: Predictor, office: Flows) -> None:
    early, late = office[:120], office[120:]
    alone, both = drawn(pretrained, early), drawn(pretrained, early, new=late)
    np.testing.assert_array_equal(both.places[:120], alone.places)
    by = both.colouring("new or known")
    assert [by.names[code] for code in by.codes] == ["known"] * 120 + ["new"] * 78
    again = drawn(pretrained, early, new=early)
    assert len(again) == 120  # a flow that is there already is not drawn twice


def test_batches_and_the_whole_give_the_same_map(pretrained: Predictor, office: Flows) -> None:
    """Vectors of a batch may differ in their last bit, and two pictures drawn from such are alike, not equal."""
    mapper = FlowMapper(pretrained)
    for batch in office.to_batches(rows=50):
        mapper.add(batch)
    found, whole = mapper.finish(rng=np.random.default_rng(0)), drawn(pretrained, office)
    assert found.flows.column("flow_id").to_pylist() == whole.flows.column("flow_id").to_pylist()
    np.testing.assert_allclose(found.vectors, whole.vectors, atol=1e-5)
    np.testing.assert_array_equal(found.places, project(found.vectors, rng=np.random.default_rng(0)).places)
    assert found.faith.trustworthiness == pytest.approx(whole.faith.trustworthiness, abs=0.05)


def test_nothing_to_draw_is_told(pretrained: Predictor, office: Flows) -> None:
    with pytest.raises(TaskError, match="no flow to draw"):
        drawn(pretrained, office[:0])
    with pytest.raises(TaskError, match="cannot be coloured by `colour`"):
        drawn(pretrained, office[:30]).colouring("colour")
