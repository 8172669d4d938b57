"""Series that go on as they might: the next step is drawn from its likelihood, again and again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from ...errors import ModelError
from .encoder import FlowgenEncoder
from .identities import Entities
from .inputs import LEAST_SPREAD, Inputs, Motion, window
from .network import Cache
from .representation import Values, scales_of


def sampled_paths(
    encoder: FlowgenEncoder,
    values: Values,
    starts_ns: npt.NDArray[np.int64],
    step_ns: int,
    steps: int,
    paths: int,
    rng: np.random.Generator,
    *,
    entities: Entities | None = None,
) -> Values:
    """[series, paths, features, steps] that may follow values [series, features, steps so far].

    What a path drew is what its next step sees. Steps that are seen are kept in a cache, so each costs the same.
    """
    network, bins, context = encoder.network, encoder.bins, encoder.settings.context
    if network is None or bins is None:
        raise ModelError("models: this decoder was not trained yet", hint="`fit` it first")
    if not 0 < steps < context:
        raise ModelError(
            f"models: {steps:,} steps cannot be drawn by a decoder that sees {context:,} at once",
            hint=f"at most {context - 1:,}",
        )
    scales = scales_of(values)
    known = encoder.inputs(values, starts_ns, step_ns, scales, entities=entities)
    inputs = _with_room(known, paths, steps)
    rows = torch.arange(len(inputs))
    past = min(known.steps, context - steps)
    motion = _last_motion(inputs, known.steps)
    out = np.empty((len(rows), len(encoder.features), steps))
    cache, begin = Cache(), known.steps - past
    with torch.inference_mode():
        for step in range(steps):
            length = past if step == 0 else 1
            seen = window(inputs, rows, torch.full_like(rows, begin), length, encoder.horizons[:1])
            begin += length
            logits = network.next_logits(network.states(seen, cache), seen.tokens_BTF)[:, -1].double().numpy()
            tokens = (logits + rng.gumbel(size=logits.shape)).argmax(axis=-1)
            for feature in range(out.shape[1]):
                out[:, feature, step] = bins.drawn(tokens[:, feature], feature, rng)
            motion = motion.moved(out[:, :, step])
            inputs.levels[:, :, begin] = torch.from_numpy(motion.levels).float()
            inputs.spread[:, :, begin] = torch.from_numpy(motion.change + LEAST_SPREAD).float()
            inputs.tokens[:, :, begin] = torch.from_numpy(tokens).to(inputs.tokens.dtype)
    shaped = out.reshape(len(values), paths, len(encoder.features), steps)
    return np.asarray(shaped * scales[:, None, :, None])


def _with_room(inputs: Inputs, paths: int, steps: int) -> Inputs:
    """Each series as often as paths are wanted, and room for the steps that will be drawn."""

    def longer(held: torch.Tensor) -> torch.Tensor:
        repeated = held.repeat_interleave(paths, dim=0)
        room = repeated[:, :, -1:].repeat_interleave(steps, dim=2)
        return torch.cat([repeated, room], dim=2)

    return replace(
        inputs,
        levels=longer(inputs.levels),
        spread=longer(inputs.spread),
        tokens=longer(inputs.tokens),
        is_known=torch.cat(
            [
                inputs.is_known.repeat_interleave(paths, dim=0),
                torch.ones((len(inputs) * paths, inputs.is_known.shape[1], steps), dtype=torch.bool),
            ],
            dim=2,
        ),
        starts_ns=inputs.starts_ns.repeat_interleave(paths, dim=0),
        steps_ns=inputs.steps_ns.repeat_interleave(paths, dim=0),
        seasons=inputs.seasons.repeat_interleave(paths, dim=0),
        identity=inputs.identity.repeat_interleave(paths, dim=0),
    )


def _last_motion(inputs: Inputs, steps: int) -> Motion:
    return Motion(
        levels=inputs.levels[:, :, steps - 1].double().numpy(),
        change=inputs.spread[:, :, steps - 1].double().numpy() - LEAST_SPREAD,
        begun=inputs.is_known[:, :, :steps].any(dim=2).numpy(),
    )
