"""The decoder of rates as a detector: its states tell attacks from what is usual, taught with a few labelled ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from ...errors import ModelError, TaskError
from .detector import CONTEXT, Detector, Lesson, drawn_windows, joined, judged_windows
from .signs import SIGNS, Numbers, Signs, Values

if TYPE_CHECKING:
    from ...models.flowgen.network import Cache

WINDOWS = 3_072
PIECE = 2 * CONTEXT  # steps of the series that pre-training draws its windows from
MOST_PIECES = 6_000
FARTHEST, BINS = 6, 32


def pretrained_on_signs(
    parts: Sequence[Signs],
    rng: np.random.Generator,
    *,
    settings: Any = None,
    training: Any = None,
    place: Any = None,
    progress: Any = None,
) -> Any:
    """A decoder that has seen how hosts usually move, without any label."""
    from ...models.flowgen.encoder import FlowgenEncoder

    values = _pieces(parts, rng)
    encoder = FlowgenEncoder(_of_nobody(settings or decoder_settings()))
    encoder.learn(
        values.astype(np.float64),
        np.zeros(len(values), np.int64),
        parts[0].step_ns,
        SIGNS,
        rng,
        scales=np.ones(values.shape[:2]),
        training=training or pretraining_settings(),
        place=place,
        progress=progress,
    )
    return encoder


def fresh_on_signs(parts: Sequence[Signs], rng: np.random.Generator, *, settings: Any = None) -> Any:
    """The same decoder with its bins, but with random weights: what pre-training is compared with."""
    import torch

    from ...models.flowgen.encoder import FlowgenEncoder
    from ...models.flowgen.network import Network, initialise
    from ...models.flowgen.representation import Bins

    encoder = FlowgenEncoder(_of_nobody(settings or decoder_settings()))
    encoder.features, encoder.step_ns = SIGNS, parts[0].step_ns
    encoder.bins = Bins.fit(_pieces(parts, rng).astype(np.float64), encoder.settings.bins)
    encoder.network = Network(encoder.settings, len(SIGNS), encoder.bins.count)
    initialise(encoder.network, torch.Generator().manual_seed(int(rng.integers(2**62))))
    return encoder


def _of_nobody(settings: Any) -> Any:
    """Floods come to hosts that nobody taught, so that who a host is may not matter."""
    return replace(settings, identities=0)


def decoder_settings() -> Any:
    """Short windows, few horizons: floods are a matter of minutes."""
    from ...models.flowgen.settings import FlowgenSettings

    return FlowgenSettings(context=CONTEXT, bins=BINS, farthest=FARTHEST, disturbed=0.0, counted=False, likelihood=0.3)


def pretraining_settings() -> Any:
    from ...models.flowgen.encoder import TRAINING

    return replace(TRAINING, epochs=2, batch_rows=48)


class DecoderDetector(Detector):
    """The decoder of rates with a head for attacks; without an encoder one is pre-trained on the lessons first."""

    learns = True

    def __init__(
        self,
        encoder: Any = None,
        *,
        frozen: bool = False,
        gently: bool = True,
        training: Any = None,
        progress: Any = None,
    ) -> None:
        self.gently = gently
        self.encoder, self.frozen, self.training, self.progress = encoder, frozen, training, progress
        self.kinds: tuple[str, ...] = ()
        self._module: Any = None

    def fit(self, lessons: Sequence[Lesson], kinds: Sequence[str], rng: np.random.Generator) -> None:
        from ...models.flowgen.detecting import TEACHING, teach

        windows = drawn_windows(lessons, WINDOWS, rng)
        if self.encoder is None:
            self.encoder = pretrained_on_signs([one.signs for one in lessons], rng, progress=self.progress)
        check_decoder(self.encoder, windows.step_ns)
        self.kinds = tuple(kinds)
        self._module, _ = teach(
            self.encoder,
            windows.values.astype(np.float64),
            windows.codes,
            windows.step_ns,
            len(kinds),
            rng,
            frozen=self.frozen,
            gently=self.gently,
            training=self.training or TEACHING,
            progress=self.progress,
        )

    def scores(self, signs: Signs, quiet_steps: int) -> Values:
        return self.answers(signs)[0]

    def kind_places(self, signs: Signs) -> npt.NDArray[np.int64]:
        return self.answers(signs)[1]

    def answers(self, signs: Signs) -> tuple[Values, npt.NDArray[np.int64]]:
        """Logits of an attack, and the place of the likeliest kind: [hosts, steps]."""
        from ...models.flowgen.detecting import answered

        if self._module is None:
            raise ModelError("models: this detector was not taught yet", hint="`fit` it first")
        values, hosts, begins = judged_windows(signs)
        said = answered(self.encoder, self._module, values.astype(np.float64), signs.step_ns)
        logits = joined(said[..., 0], signs, hosts, begins)
        kinds = joined(said[..., 1:].argmax(axis=-1).astype(np.float64), signs, hosts, begins)
        return np.where(np.isnan(signs.packets), np.nan, logits), kinds.astype(np.int64)

    def said_last(self, values: Numbers, cache: Cache | None = None) -> npt.NDArray[np.float32]:
        """[hosts, 1 + kinds] of the last step of windows [hosts, SIGNS, steps]. A cache may hold all steps but that."""
        from ...models.flowgen.detecting import answered_last

        return answered_last(self.encoder, self._module, values.astype(np.float64), self.encoder.step_ns, cache)

    def state(self) -> tuple[dict[str, dict[str, npt.NDArray[Any]]], dict[str, Any]]:
        """Arrays and values of the encoder and of the head."""
        from ...models.flowgen.detecting import heads_state

        arrays, values = self.encoder.state()
        return {"encoder": arrays, "detector": heads_state(self._module)}, {
            "encoder": values,
            "detector": {"kinds": list(self.kinds)},
        }

    @classmethod
    def from_state(cls, arrays: Mapping[str, Any], values: Mapping[str, Any]) -> Self:
        from ...models.flowgen.detecting import from_heads
        from ...models.flowgen.encoder import FlowgenEncoder

        made = cls(FlowgenEncoder.from_state(arrays["encoder"], values["encoder"]))
        made.kinds = tuple(str(kind) for kind in values["detector"]["kinds"])
        made._module = from_heads(made.encoder.network, dict(arrays["detector"]))
        return made


def check_decoder(encoder: Any, step_ns: int) -> None:
    if tuple(encoder.features) != SIGNS:
        raise TaskError(
            "detect: this decoder learnt from rates as they are, not from signs of floods",
            hint="`flowlore pretrain flowgen TRAFFIC --task ddos --step 10s -o BUNDLE` makes one that did",
        )
    if encoder.step_ns != step_ns:
        raise TaskError(
            f"detect: this decoder learnt from steps of {encoder.step_ns / 1e9:g} s, not of {step_ns / 1e9:g} s",
            hint="the same `--step` for both",
        )


def _pieces(parts: Sequence[Signs], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """[pieces, SIGNS, PIECE] of all hosts, most of them where there is traffic."""
    pieces = []
    for signs in parts:
        steps = signs.steps - signs.steps % PIECE
        if not steps:
            raise TaskError(
                f"detect: {signs.steps} steps are too few to learn from (at least {PIECE})",
                hint="a longer record, or a finer `--step`",
            )
        cut = signs.values[:, :, :steps].reshape(len(signs), len(SIGNS), -1, PIECE).transpose(0, 2, 1, 3)
        pieces.append(cut.reshape(-1, len(SIGNS), PIECE))
    found = np.concatenate(pieces)
    busy = np.nan_to_num(found[:, SIGNS.index("in_packets itself")]).mean(axis=1)
    order = np.argsort(-busy * np.exp(rng.gumbel(size=len(busy))), kind="stable")[:MOST_PIECES]
    return found[np.sort(order)]
