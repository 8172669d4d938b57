"""`flowlore pretrain flowgen`: a decoder of rates instead of an encoder of flows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SettingError

if TYPE_CHECKING:
    from ..config import PipelineConfig


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What was asked for beside the inputs."""

    by: str
    step: str | None
    where: str | None
    seed: int
    overwrite: bool
    task: str | None = None
    hold_out: float = 0.0
    checkpoints: Path | None = None
    augment: bool = False


def pretrain_rates(
    inputs: Sequence[str], output: Path, settings: PipelineConfig, wanted: Wanted, watch: Any
) -> dict[str, Any]:
    """Learn from rates of the inputs, or from plain tables of numbers, and save a bundle; what it was made of."""
    import numpy as np

    from ..models.flowgen.encoder import TRAINING
    from ..models.settings import TrainingSettings
    from ..tasks.bundle import require_place
    from ..tasks.checkpoint import CheckpointFolder
    from ..tasks.forecast.bundles import pretrain_flowgen, save_flowgen
    from .seriesinputs import FEATURES, read_series

    if wanted.augment:
        raise SettingError("pretrain: `--augment` changes flows, and flowgen learns from rates", hint="leave it out")
    if wanted.task not in (None, "ddos"):
        raise SettingError(f"pretrain: no task is called `{wanted.task}`", hint="`--task ddos`, or none")
    require_place(output, overwrite=wanted.overwrite)
    training = TRAINING if settings.training == TrainingSettings() else settings.training
    place = None if wanted.checkpoints is None else CheckpointFolder(wanted.checkpoints)
    if wanted.task == "ddos":
        from .floods import pretrain_floods

        return pretrain_floods(
            inputs, output, settings, step=wanted.step, where=wanted.where, seed=wanted.seed,
            overwrite=wanted.overwrite, training=None if training is TRAINING else training, place=place, watch=watch,
        )  # fmt: skip
    found = read_series(inputs, settings, by=wanted.by, step=wanted.step, features=FEATURES, where=wanted.where)
    if wanted.hold_out:
        end_ns = {
            name: int(one.start_ns + (1 - wanted.hold_out) * one.steps * one.step_ns) for name, one in found.items()
        }
        found = {name: one.between(one.start_ns, end_ns[name]) for name, one in found.items()}
    encoder, card = pretrain_flowgen(
        found, rng=np.random.default_rng(wanted.seed), settings=settings.flowgen, training=training, place=place,
        progress=watch,
    )  # fmt: skip
    card |= {"held_out_share": wanted.hold_out}
    save_flowgen(encoder, card, output, overwrite=wanted.overwrite)
    return {"bundle": str(output), "model": "flowgen", **card}


def print_made(made: dict[str, Any]) -> None:
    from .text import printable

    if "hosts" in made:
        print(f"{made['hosts']:,} hosts, {made['steps']:,} steps of {made['step_s']:g} s; no identity")
    else:
        print(
            f"{made['series']:,} series of {made['steps']:,} steps, {len(made['features'])} features, "
            f"{made['training_s']} s of training; no identity"
        )
        print(f"error of one who knew every bin: {made['oracle_bin_error']:.3f} of the traffic")
    print(f"bundle → {printable(made['bundle'])}")
