"""The report of learning: its numbers are those of the answers, and its page shows them."""

import sys
from pathlib import Path

import numpy as np
import pytest

import flowlore
import flowlore.models
from flowlore.cli.demo import DEMO, DEMO_CAPTURE
from flowlore.pages.learning_page import learning_page
from flowlore.pages.learning_pictures import confidences, confusion_picture
from flowlore.registry import Registry
from flowlore.tasks.learning_report import LearningReport, learn_and_report
from flowlore.tasks.pretraining import pretrain

STUB = Path(__file__).resolve().parent.parent / "tasks"


@pytest.fixture(scope="module")
def report() -> LearningReport:
    sys.path.insert(0, str(STUB))
    before = flowlore.models.MODELS
    flowlore.models.MODELS = Registry("model", {"stub": "stub_encoder:StubEncoder"}, with_plugins=False)
    try:
        flows, _ = flowlore.annotate(flowlore.read(DEMO_CAPTURE), DEMO / "labels.csv")
        predictor = pretrain("stub", flows, rng=np.random.default_rng(0))
        _, found = learn_and_report(predictor, flows, shots=2, drop_small_classes=True, baselines=("nearest",))
        return found
    finally:
        flowlore.models.MODELS = before
        sys.path.remove(str(STUB))


def test_numbers_are_those_of_the_answers(report: LearningReport) -> None:
    asked = report.examination["asked"]
    assert len(report.truth) == len(report.answers) == len(report.confidence) == asked
    classes, counts = report.confusion()
    assert counts.sum() == asked
    right = report.examination["scores"]["probe"]["natural"]["accuracy"]
    assert np.trace(counts) / asked == pytest.approx(right, abs=1e-4)
    assert sum(count for _, _, count in report.reliability()) == asked
    assert sum(support for _, support in report.f1().values()) == asked
    assert set(report.f1()) == set(classes)
    assert len(report.explanations) == len(report.explained)
    assert set(report.seconds) == {"embed", "learn", "examine", "map", "explain"}


def test_the_page_shows_them(report: LearningReport) -> None:
    page = learning_page(report, "Names", "from a test")
    for words in (
        "What was taken for what",
        "nearest flow, raw numbers",
        "How this was done",
        "nearest labelled flows",
    ):
        assert words in page
    assert f"{report.examination['asked']:,}</b><span>others asked" in page
    assert page.count("<section") == page.count("</section>")


def test_a_confusion_of_strange_names_is_text() -> None:
    picture = confusion_picture(["<b>", "a & b"], np.array([[3, 1], [0, 2]]))
    assert "<b>" not in picture and "&lt;b&gt; called a &amp; b: 1 (25%" in picture


def test_of_many_classes_the_frequent_ones_are_drawn() -> None:
    counts = np.diag(np.arange(1, 61))
    picture = confusion_picture([f"class {place:02}" for place in range(60)], counts)
    assert "class 59 called class 59: 60" in picture and "class 00 called" not in picture


def test_nothing_asked_is_said() -> None:
    assert "nothing was asked" in confidences([])
    assert "nothing was asked" in confusion_picture([], np.zeros((0, 0), np.int64))
