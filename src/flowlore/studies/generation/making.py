"""Generators that are taught by shown flows, kept for every run of a seed, and the flows that they make up."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...features.augment.packets import PacketSeries
from ...features.augment.policy import Augmenter
from ...features.augment.settings import AugmentSettings
from ...models.generators import GENERATORS
from ...models.settings import TrainingSettings
from ...models.training import fastest_device, gains_by_bf16
from ...tasks.thin_places import ShownVectors
from ..augmentation.arms import SCREENED, steps_of
from ..augmentation.examination import train_network
from ..augmentation.shown import SEEN_PACKETS, Flows
from ..bench import Bench, Made
from ..study import Run
from .arms import FROM_AUGMENTED, HAND_CRAFTED, JOINT, LATENT
from .scales import WGAN_EPOCHS

Codes = npt.NDArray[np.int64]
COPIES = 4  # that a generator learns from beside each flow, where it learns from augmented flows
JOINT_WEIGHT = 1.0
ALONE = 1e-9  # a weight at which the classifier is there, and the maker hears nothing of it


def generator_for(run: Run, bench: Bench, flows: Flows) -> tuple[Any, ShownVectors | None, dict[str, Any]]:
    """The taught generator, the vectors that it was told where it was, and what teaching it cost."""
    values = run.values
    words = {
        "generator": values["generator"],
        "mode": values["mode"],
        "joint_made": values.get("joint_made"),
        "data": run.data,
        "shots": run.shots,
        "seed": run.seed,
        "epochs": [bench.scale.epochs, bench.scale.pretrain_steps, bench.scale.network_steps],
    }
    arrays, known = bench.kept(words, lambda: _taught(run, bench, flows))
    held = dict(arrays)
    shown = None
    if "_vectors" in held:
        shown = ShownVectors(vectors=held.pop("_vectors"), codes=held.pop("_codes"))
    return GENERATORS.load(values["generator"]).from_state(held, known["state"]), shown, known["cost"]


def made_up(
    generator: Any, shown: ShownVectors | None, flows: Flows, values: Any, count: int, rng: np.random.Generator
) -> tuple[PacketSeries, Codes]:
    """So many flows, of classes as often as they were shown."""
    if values.get("temperature") is not None:
        generator.settings = replace(generator.settings, temperature=values["temperature"])
    codes = flows.codes[flows.shown]
    if shown is not None:
        latents, asked = shown.asked(np.ones(flows.classes, np.bool_), count, rng, values.get("place", "as-learnt"))
        return generator.sample(asked, rng, latents=latents), asked
    asked = np.tile(codes, -(-count // len(codes)))[:count]
    return generator.sample(asked, rng), asked


def _taught(run: Run, bench: Bench, flows: Flows) -> Made:
    values, scale = run.values, bench.scale
    make = GENERATORS.load(values["generator"])
    rng = bench.rng_for("generator", run.data, str(run.shots), values["generator"], values["mode"], seed=run.seed)
    series, codes = flows.series.take(flows.shown).cut(SEEN_PACKETS), flows.codes[flows.shown]
    changed: dict[str, Any] = {"packets": SEEN_PACKETS}
    vectors: ShownVectors | None = None
    if values["mode"] == LATENT:
        vectors = _vectors(run, bench, flows)
        changed["latent"] = vectors.vectors.shape[1]
    if values["mode"] == JOINT:
        changed |= {"joint": JOINT_WEIGHT if values["joint_made"] else ALONE, "joint_made": values["joint_made"]}
    if values["mode"] == FROM_AUGMENTED:
        copying = replace(HAND_CRAFTED, policy="pre-augment", copies=COPIES)
        enlarged, rows = Augmenter(copying).enlarged(flows.series.take(flows.shown), rng, codes=codes)
        series, codes = enlarged.seen().cut(SEEN_PACKETS), codes[rows]
    generator = make(replace(make().settings, **changed))
    usual: TrainingSettings = generator.usual_training
    epochs = scale.epochs * (WGAN_EPOCHS if values["generator"] == "wgan" else 1)
    if values["mode"] == FROM_AUGMENTED:
        epochs = max(1, round(epochs * len(flows.shown) / len(series) * 2))  # of more flows fewer epochs, more steps
    device = fastest_device()
    training = replace(
        usual,
        epochs=epochs,
        least_steps=scale.pretrain_steps,
        bf16=values["generator"] != "wgan" and gains_by_bf16(device),
        device=device,
    )
    began = time.process_time()
    told: dict[str, Any] = {} if vectors is None else {"latents": vectors.vectors}
    report = generator.fit(series, codes, flows.classes, rng, training=training, **told)
    arrays, state = generator.state()
    if vectors is not None:
        arrays = arrays | {"_vectors": vectors.vectors, "_codes": vectors.codes}
    cost = {
        "learning_s": round(time.process_time() - began, 1),
        "steps": report.steps,
        "parameters": generator.parameters(),
        "bf16": training.bf16,
    }
    return arrays, {"state": state, "cost": cost}


def _vectors(run: Run, bench: Bench, flows: Flows) -> ShownVectors:
    """Where a classifier that saw these flows, and no others, places them."""
    series, codes = flows.series.take(flows.shown), flows.codes[flows.shown]
    rng = bench.rng_for("placing", run.data, str(run.shots), seed=run.seed)
    steps = steps_of(len(series), bench.scale)
    network = train_network(series, codes, flows.classes, SCREENED, AugmentSettings(), steps, rng)
    return ShownVectors.of(network.embed(series), codes)
