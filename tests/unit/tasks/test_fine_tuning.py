"""Fine-tuning begins at the probe, is kept where it is better, and says so where it is not."""

from typing import Any

import numpy as np
import pytest

import flowlore
from flowlore.errors import TaskError
from flowlore.flows.schema import flow_batch
from flowlore.flows.table import Flows
from flowlore.models.autoencoder.settings import AutoencoderSettings
from flowlore.models.settings import AttentionSettings, FineTuningSettings, TrainingSettings
from flowlore.tasks.few_shot import examine, prepare, teach
from flowlore.tasks.fine_tuning import fine_tune
from flowlore.tasks.predictor import Predictor
from flowlore.tasks.pretraining import pretrain

ROUNDS = FineTuningSettings(epochs=4, least_steps=60, batch_rows=64, learning_rate=5e-3, least_steps_a_round=10)
QUICK = TrainingSettings(epochs=1, least_steps=5, batch_rows=128)


def apps(rows: int = 600, captures: int = 30) -> Flows:
    """Three apps; what tells them is whether the third size repeats the first, which no single number shows."""
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 3, rows)
    sizes = rng.choice([100, 200, 300, 400], (rows, 6))
    sizes[:, 2] = np.where(kind == 0, sizes[:, 0], sizes[:, 2])
    sizes[:, 3] = np.where(kind == 1, sizes[:, 1], sizes[:, 3])
    capture = rng.integers(0, captures, rows)
    columns: dict[str, Any] = {
        "start": capture * 10**9 + np.arange(rows),
        "duration_ns": np.full(rows, 5, np.int64),
        "packet_payload_bytes": sizes.tolist(),
        "packet_direction": np.tile([1, -1, 1, -1, 1, -1], (rows, 1)).tolist(),
        "label": np.array(["chat", "mail", "video"])[kind].tolist(),
        "capture": [f"c{number}" for number in capture],
    }
    return Flows(flow_batch(columns, rows))


@pytest.fixture(scope="module")
def untrained() -> Predictor:
    settings = AutoencoderSettings(size="small", packets=6)
    return pretrain("autoencoder", apps(), rng=np.random.default_rng(0), settings=settings, training=QUICK)


def tuned(predictor: Predictor, settings: FineTuningSettings, **more: Any) -> tuple[Predictor, Any, Any, dict]:
    rng = np.random.default_rng(1)
    lesson = prepare(predictor, apps(), by="capture", rng=rng, test_share=0.3, **more)
    taught, episode = teach(predictor, lesson, shots=None, rng=rng)
    made, lesson, report = fine_tune(taught, lesson, episode, rng=rng, settings=settings)
    return made, lesson, episode, report


def test_the_encoder_follows_the_labels(untrained: Predictor, tmp_path: Any) -> None:
    made, lesson, episode, report = tuned(untrained, ROUNDS, validation_share=0.2)
    assert report["kept"] == "tuned" and report["tuned_macro_f1"] > report["probe_macro_f1"]
    assert report["held_out_by"] == "capture"
    scores = examine(made, lesson, episode, rng=np.random.default_rng(0), baselines=())["scores"]["probe"]
    assert scores["natural"]["macro_f1"] > 0.42, "chance is 0.33"
    made.save(tmp_path / "tuned")
    again = flowlore.load(tmp_path / "tuned")
    assert again.predict(apps()).equals(made.predict(apps()))
    assert not np.allclose(again.embed(apps()).vectors, untrained.embed(apps()).vectors)


def test_many_labels_grow_attention_and_the_nearest_flows_answer_too(untrained: Predictor, tmp_path: Any) -> None:
    growing = AttentionSettings(layers=2, least_flows=300, epochs=1, learning_rate=5e-3)
    settings = FineTuningSettings(least_steps=150, batch_rows=64, least_steps_a_round=25, attention=growing)
    made, lesson, episode, report = tuned(untrained, settings, validation_share=0.2)
    assert report["kept"] == "tuned" and 0 <= report["neighbours_share"] < 1
    assert made.head_name == "joined" and made.head is not None
    before, vectors = untrained.embed(apps()).vectors, made.embed(apps()).vectors
    assert vectors.shape[1] > before.shape[1]
    np.testing.assert_allclose(vectors[:, : before.shape[1]], before, rtol=1e-5, atol=1e-6)
    scores = examine(made, lesson, episode, rng=np.random.default_rng(0), baselines=())["scores"]["joined"]
    assert scores["natural"]["macro_f1"] > 0.42, "chance is 0.33"
    made.save(tmp_path / "tuned")
    assert flowlore.load(tmp_path / "tuned").predict(apps()).equals(made.predict(apps()))


def test_what_is_no_better_is_not_kept(untrained: Predictor) -> None:
    rng = np.random.default_rng(1)
    lesson = prepare(untrained, apps(), by="capture", rng=rng)
    taught, episode = teach(untrained, lesson, shots=20, rng=rng)
    still = FineTuningSettings(epochs=1, least_steps=1, learning_rate=0.0)
    made, same, report = fine_tune(taught, lesson, episode, rng=rng, settings=still)
    assert report["kept"] == "probe" and made is taught and same is lesson
    assert report["tuned_macro_f1"] == report["probe_macro_f1"], "without learning, tuning stays where the probe is"


def test_too_few_flows_to_keep_some_back(untrained: Predictor) -> None:
    rng = np.random.default_rng(1)
    flows = apps(captures=1)
    lesson = prepare(untrained, flows, by="time", rng=rng)
    taught, episode = teach(untrained, lesson, shots=2, rng=rng)
    with pytest.raises(TaskError, match="2 flows of each class are too few to fine-tune with") as caught:
        fine_tune(taught, lesson, episode, rng=rng, settings=ROUNDS)
    assert "--shots 5" in str(caught.value.hint)


def test_an_encoder_that_cannot_be_tuned(pretrained: Predictor, office: Flows) -> None:
    rng = np.random.default_rng(1)
    lesson = prepare(pretrained, office, by="time", rng=rng)
    taught, episode = teach(pretrained, lesson, shots=2, rng=rng, drop_small_classes=True)
    with pytest.raises(TaskError, match="model `stub` cannot be fine-tuned"):
        fine_tune(taught, lesson, episode, rng=rng, settings=ROUNDS)


def test_a_graph_network_follows_labels_among_unlabelled_flows(tmp_path: Any) -> None:
    from scanned_network import network

    from flowlore.models.graph.settings import GraphEncoderSettings

    flows = network(500, scans=60)
    made = pretrain(
        "graph",
        flows,
        rng=np.random.default_rng(0),
        settings=GraphEncoderSettings(width=16, training_flows=128),
        training=TrainingSettings(epochs=1, least_steps=2, batch_rows=1),
    )
    rng = np.random.default_rng(1)
    lesson = prepare(made, flows, by="time", rng=rng, test_share=0.4)
    assert lesson.places is not None and len(lesson.among) == 500 > len(lesson.flows), "unlabelled flows are kept"
    taught, episode = teach(made, lesson, shots=10, rng=rng)
    rounds = FineTuningSettings(epochs=10, least_steps=40, learning_rate=1e-2, least_steps_a_round=5)
    tuned, after, report = fine_tune(taught, lesson, episode, rng=rng, settings=rounds)
    assert report["held_out"] == 4 and report["kept"] in ("tuned", "probe")
    is_other = not np.allclose(tuned.embed(flows).vectors, taught.embed(flows).vectors)
    assert is_other == (report["kept"] == "tuned")
    scores = examine(tuned, after, episode, rng=np.random.default_rng(0), baselines=())["scores"]["probe"]
    assert scores["natural"]["macro_f1"] > 0.9
    tuned.save(tmp_path / "tuned")
    assert flowlore.load(tmp_path / "tuned").predict(flows).equals(tuned.predict(flows))
