"""A trained decoder as a bundle, and back."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import BundleError, FlowloreError
from ...features.rates.series import Series
from ...settings import settings_values
from ..bundle import Bundle, damaged, load_bundle, plain, save_bundle
from ..bundle_shelf import find_bundle

MODEL = "flowgen"


def pretrain_flowgen(
    series: Mapping[str, Series],
    *,
    rng: np.random.Generator,
    settings: Any = None,
    training: Any = None,
    place: Any = None,
    progress: Any = None,
) -> tuple[Any, dict[str, Any]]:
    """A decoder that has seen these series, by feature; all of the same entities and steps. And a card of the data."""
    from ...models.flowgen.encoder import TRAINING, FlowgenEncoder
    from ...models.flowgen.identities import entity_numbers
    from ...models.flowgen.representation import scales_of
    from ...models.flowgen.settings import FlowgenSettings

    first = next(iter(series.values()))
    values = np.stack([one.values for one in series.values()], axis=1)
    encoder = FlowgenEncoder(settings or FlowgenSettings())
    began = time.perf_counter()
    report = encoder.learn(
        values,
        np.full(len(first), first.start_ns),
        first.step_ns,
        tuple(series),
        rng,
        entities=entity_numbers(first.names),
        training=training or TRAINING,
        place=place,
        progress=progress,
    )
    assert encoder.bins is not None
    scaled = values / scales_of(values)[:, :, None]
    missed = np.nansum(np.abs(encoder.bins.oracle(scaled) - scaled)) / max(float(np.nansum(scaled)), 1e-12)
    card = {
        "series": len(first),
        "features": list(series),
        "steps": first.steps,
        "step_s": first.step_ns // 1_000_000_000,
        "first": f"{np.datetime64(first.start_ns // 10**9, 's')}Z",
        "training_s": round(time.perf_counter() - began, 1),
        "training_steps": report.steps,
        "parameters": encoder.parameters(),
        "oracle_bin_error": round(float(missed), 4),
        "entities": "none by name: scales of their own, no identity"
        if encoder.identities is None
        else f"{len(encoder.identities.known)} with a vector of their own, by keyed hashes of their names",
    }
    return encoder, card


def save_flowgen(
    encoder: Any, card: Mapping[str, Any], path: str | Path, *, metrics: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:  # fmt: skip
    arrays, values = encoder.state()
    bundle = Bundle(
        model=MODEL,
        config={"model": {"name": MODEL, **settings_values(encoder.settings)}},
        needs=tuple(encoder.needs),
        states=plain({"encoder": values}),
        arrays={"encoder": arrays},
        data=card,
        metrics=metrics or {},
    )
    return save_bundle(bundle, path, overwrite=overwrite)


def load_flowgen(name_or_path: str | Path) -> Any:
    """The decoder of a bundle."""
    return decoder_of(load_bundle(find_bundle(name_or_path)))


def decoder_of(bundle: Bundle) -> Any:
    from ...models.flowgen.encoder import FlowgenEncoder

    if bundle.model != MODEL:
        raise BundleError(
            f"bundle: `{bundle.name}` is of the model `{bundle.model}`, and forecasts need `{MODEL}`",
            hint="`flowlore pretrain flowgen RATES -o BUNDLE` makes one",
        )
    try:
        return FlowgenEncoder.from_state(bundle.arrays["encoder"], bundle.states["encoder"])
    except (FlowloreError, KeyError) as error:
        raise damaged(bundle.name, "decoder", error) from error


def check_features(encoder: Any, wanted: Sequence[str]) -> None:
    """A decoder of several features must know those that it is asked for; one of a single feature takes any."""
    if encoder.features and " " in encoder.features[0]:
        raise BundleError(
            "bundle: this decoder knows signs of floods, and forecasts nothing",
            hint="`flowlore detect --bundle` asks it",
        )
    if len(encoder.features) > 1:
        for name in wanted:
            if name not in encoder.features:
                raise BundleError(
                    f"bundle: this decoder knows no `{name}` (it knows {', '.join(encoder.features)})",
                    hint="choose one of these with `--feature`, or train one on what you have",
                )
