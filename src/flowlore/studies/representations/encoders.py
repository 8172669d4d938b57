"""Encoders of the study: pre-trained or fresh, taught to see all or some, kept on disk so that each is made once."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...features.batch import FeatureBatch
from ...features.extract import extract
from ..bench import Bench, Made
from ..material import Material
from ..study import Run

Floats = npt.NDArray[np.float32]
SIZES = ("series.size", "series.payload")
PATIENCE = 8  # rounds: the validation's contrast is noisy
WHOLE: dict[str, Any] = {
    "source": "everything",  # or `netflow`: the columns that an exporter knows
    "without": [],  # modalities that it never sees
    "exact_sizes": True,  # else packet sizes are rounded to half octaves, so that no size has a word of its own
    "context": True,  # whether training may know which flows are of one client
    "identity": [],  # features' settings that are switched on against the material's own
    "taught_by": "all",  # which flows of the teaching side: `all`, `members` or `known classes` (the audit's)
    "pretrained": True,  # else its weights are as they were drawn
}


def encoder_values(**changed: Any) -> dict[str, Any]:
    """How an encoder is made. Unchanged, it sees everything that the material admits, and is pre-trained."""
    if unknown := set(changed) - set(WHOLE):
        raise TypeError(f"an encoder has no {unknown}")
    return WHOLE | changed


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """Vectors of all rows of a data set, and what they cost. Times are of the processor."""

    encoder: Any
    vectors: Floats
    parameters: Mapping[str, int]
    pretrain_s: float
    embed_s: float  # of all rows


def encoded(bench: Bench, run: Run, *, use: Mapping[str, Any] | None = None) -> Encoded:
    """By `run.values["encoder"]`; `use` says which part of a flow it is then shown (`source`, `only`)."""
    use = dict(use or run.values.get("use") or {})
    words = {"vectors": run.values["encoder"], "use": use, "data": run.data, "seed": run.seed}
    found: Encoded = bench.at_hand(words, lambda: _encoded(bench, run, use))
    return found


def seen_by(bench: Bench, run: Run, values: Mapping[str, Any]) -> FeatureBatch:
    """Features of all rows as an encoder of these values sees them."""
    seen = ("source", "identity", "context", "exact_sizes")
    words = {"batch": {name: values[name] for name in seen}, "data": run.data}
    batch: FeatureBatch = bench.at_hand(words, lambda: _batch(bench.material(run.data), values))
    return batch.without(*values["without"]) if values["without"] else batch


def rows_that_teach(material: Material, part: str, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """`members`: half of the groups, drawn; `known classes`: without the classes that `unknown_classes` draws."""
    if part == "members":
        names = np.unique(material.groups[material.train])
        return material.train[np.isin(material.groups[material.train], rng.permutation(names)[: len(names) // 2])]
    if part == "known classes":
        return material.train[~np.isin(material.labels[material.train], unknown_classes(material, rng))]
    return np.concatenate([material.train, material.unlabelled])


def unknown_classes(material: Material, rng: np.random.Generator) -> npt.NDArray[Any]:
    """A fifth of the classes, one at least and two left at least."""
    names = np.unique(material.labels[material.train])
    count = min(max(len(names) // 5, 1), len(names) - 2)
    return np.sort(rng.permutation(names)[: max(count, 0)])


def _batch(material: Material, values: Mapping[str, Any]) -> FeatureBatch:
    from ..material import as_netflow

    changed: dict[str, Any] = dict.fromkeys(values["identity"], True)
    if not values["context"]:
        changed["context_s"] = 0.0
    flows = as_netflow(material.flows) if values["source"] == "netflow" else material.flows
    batch = extract(flows, replace(material.features, **changed))
    return batch if values["exact_sizes"] else _with_rounded_sizes(batch)


def _with_rounded_sizes(batch: FeatureBatch) -> FeatureBatch:
    """Sizes to the nearest half octave, their signs kept."""
    rounded = {}
    for name in SIZES:
        if name in batch.channels:
            sizes = batch.channels[name]
            octaves = np.round(2 * np.log2(np.maximum(np.abs(sizes), 1).astype(np.float32))) / 2
            rounded[name] = (np.sign(sizes) * np.round(2**octaves)).astype(sizes.dtype)
    return FeatureBatch(length=len(batch), channels={**batch.channels, **rounded}, present=batch.present)


def _encoded(bench: Bench, run: Run, use: Mapping[str, Any]) -> Encoded:
    values = run.values["encoder"]
    encoder, made = _encoder(bench, run, values)
    batch = seen_by(bench, run, values | {"source": use.get("source", values["source"])})
    if use.get("only"):
        hidden = {name.partition(".")[0] for name in batch.present} - set(use["only"])
        batch = batch.without(*hidden)
    return timed_vectors(encoder, batch, made)


def timed_vectors(encoder: Any, batch: FeatureBatch, made: Mapping[str, Any]) -> Encoded:
    """Vectors of a batch; `made` is what is kept of the encoder."""
    encoder.embed(batch.take(np.arange(min(len(batch), 64))))  # what is only slow the first time
    began = time.process_time()
    vectors = encoder.embed(batch)
    return Encoded(
        encoder=encoder,
        vectors=vectors,
        parameters=made["parameters"],
        pretrain_s=made["pretrain_s"],
        embed_s=time.process_time() - began,
    )


def _encoder(bench: Bench, run: Run, values: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    from ...models.autoencoder.encoder import AutoencoderEncoder

    facts, scale = bench.material(run.data).facts, bench.scale
    words = {
        "encoder": dict(values),
        "data": run.data,
        "rows": [facts.train, facts.unlabelled, facts.validation],
        "seed": run.seed,
        "epochs": [scale.epochs, scale.pretrain_steps] if values["pretrained"] else 0,
    }

    def make() -> Made:
        return _made(bench, run, values)

    arrays, state = bench.kept(words, make)
    return AutoencoderEncoder.from_state(arrays, state["encoder"]), state


def _made(bench: Bench, run: Run, values: Mapping[str, Any]) -> Made:
    from ...models.autoencoder.encoder import AutoencoderEncoder
    from ...models.settings import TrainingSettings
    from ...models.training import gains_by_bf16

    material, batch, encoder = bench.material(run.data), seen_by(bench, run, values), AutoencoderEncoder()
    rng = bench.rng_for("encoder", run.data, seed=run.seed)
    began = time.process_time()
    learn = batch.take(rows_that_teach(material, values["taught_by"], bench.rng_for("part", run.data, seed=run.seed)))
    if values["pretrained"]:
        training = TrainingSettings(
            epochs=bench.scale.epochs,
            least_steps=bench.scale.pretrain_steps,
            patience=PATIENCE,
            bf16=gains_by_bf16("cpu"),
        )
        may_stop = len(material.validation) and values["taught_by"] == "all"
        held_out = [batch.take(material.validation)] if may_stop else []
        encoder.fit([learn], rng, validation=held_out, training=training)
    else:
        encoder.prepare([learn], rng)
    arrays, state = encoder.state()
    return arrays, {
        "encoder": state,
        "parameters": encoder.parameters(),
        "pretrain_s": round(time.process_time() - began, 3),
    }
