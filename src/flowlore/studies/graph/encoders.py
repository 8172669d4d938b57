"""Graph networks of the study: taught here, elsewhere or never, kept on disk so that each is made once."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...features.batch import FeatureBatch
from ...settings import settings_given
from ..bench import Bench, Made
from ..material import Material
from ..representations.encoders import Encoded, timed_vectors
from ..study import Run

Floats = npt.NDArray[np.float32]
OURS: dict[str, Any] = {  # where the study's network differs from the package's defaults
    "training_flows": 512,  # of a step: the sets are small
}
STEPS_TIMES = 2  # as many steps as the scale says are too few of so few flows each


def encoder_values(taught: str = "here", **settings: Any) -> dict[str, Any]:
    """How an encoder is made: `here` by the teaching side's flows, `elsewhere` by other networks', or `never`."""
    return {"taught": taught, "settings": OURS | settings}


def encoded(bench: Bench, run: Run) -> Encoded:
    """By `run.values["encoder"]`, over all flows of the run's data in order of time."""
    words = {"vectors": run.values["encoder"], "data": run.data, "seed": run.seed}
    found: Encoded = bench.at_hand(words, lambda: _encoded(bench, run))
    return found


def encoder_of(bench: Bench, run: Run, *, accustomed: bool = True) -> tuple[Any, dict[str, Any]]:
    """The encoder; one taught elsewhere is accustomed to the unlabelled teaching side of the run's data, or is not."""
    from ...models.graph.encoder import GraphEncoder

    values = run.values["encoder"]
    is_elsewhere = values["taught"] == "elsewhere"
    learns_from = run.also if is_elsewhere else (run.data,)
    scale = bench.scale
    words = {
        "graph": dict(values),
        "data": list(learns_from),
        "seed": run.seed,
        "steps": scale.pretrain_steps if values["taught"] != "never" else 0,
    }
    arrays, state = bench.kept(words, lambda: _made(bench, learns_from, values, run.seed))
    encoder = GraphEncoder.from_state(arrays, state["encoder"])
    if is_elsewhere and accustomed:
        encoder = encoder.accustomed(_teaching(bench.material(run.data)))
    return encoder, state


def teaching_rows(material: Material) -> npt.NDArray[np.int64]:
    """Flows that teach without labels: all that are not of a group of which anything is asked."""
    asked = np.unique(material.groups[material.test])
    return np.flatnonzero(~np.isin(material.groups, asked))


def _encoded(bench: Bench, run: Run) -> Encoded:
    encoder, made = encoder_of(bench, run)
    batch: FeatureBatch = bench.material(run.data).batch
    return timed_vectors(encoder, batch, made)


def _teaching(material: Material) -> FeatureBatch:
    return material.batch.take(teaching_rows(material))


def _made(bench: Bench, learns_from: Sequence[str], values: Mapping[str, Any], seed: int) -> Made:
    from ...models.graph.encoder import GraphEncoder
    from ...models.graph.settings import GraphEncoderSettings
    from ...models.settings import TrainingSettings

    encoder = GraphEncoder(settings_given(GraphEncoderSettings, values["settings"]))
    networks = [_teaching(bench.beside(name)) for name in learns_from]
    rng = bench.rng_for("graph", *learns_from, seed=seed)
    began = time.process_time()
    if values["taught"] == "never":
        encoder.prepare(networks, rng)
    else:
        training = TrainingSettings(
            epochs=1,
            least_steps=STEPS_TIMES * bench.scale.pretrain_steps,
            batch_rows=1,
            learning_rate=1e-3,
        )
        encoder.fit(networks, rng, training=training, apart=len(networks) > 1)
    arrays, state = encoder.state()
    return arrays, {
        "encoder": state,
        "parameters": encoder.parameters(),
        "pretrain_s": round(time.process_time() - began, 3),
    }
