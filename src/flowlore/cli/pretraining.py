"""`flowlore pretrain flowgen`: a decoder of rates instead of an encoder of flows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def pretrain_rates(
    inputs: Sequence[str],
    output: Path,
    settings: Any,
    *,
    by: str,
    step: str | None,
    where: str | None,
    seed: int,
    overwrite: bool,
) -> dict[str, Any]:
    """Learn from rates of the inputs, or from plain tables of numbers, and save a bundle; what it was made of."""
    import numpy as np

    from ..tasks.forecast.bundles import pretrain_flowgen, save_flowgen
    from .seriesinputs import FEATURES, read_series

    found = read_series(inputs, settings, by=by, step=step, features=FEATURES, where=where)
    encoder, card = pretrain_flowgen(found, rng=np.random.default_rng(seed), settings=settings.flowgen)
    save_flowgen(encoder, card, output, overwrite=overwrite)
    return {"bundle": str(output), "model": "flowgen", **card}


def print_made(made: dict[str, Any]) -> None:
    from .text import printable

    print(
        f"{made['series']:,} series of {made['steps']:,} steps, {len(made['features'])} features, "
        f"{made['training_s']} s of training; no identity"
    )
    print(f"error of one who knew every bin: {made['oracle_bin_error']:.3f} of the traffic")
    print(f"bundle → {printable(made['bundle'])}")
