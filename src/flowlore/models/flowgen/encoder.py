"""`FlowgenEncoder`: the decoder behind the `Encoder` promise, and what else it can say: forecasts, oddness, samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as torched

from ...errors import ModelError
from ...features.batch import FeatureBatch
from ...settings import settings_from, settings_values
from ..encoder import Floats, State, Unit
from ..kept_state import arrays_of, reading_state, weights_of
from ..settings import TrainingSettings
from ..training import CheckpointPlace, Progress, TrainingReport, device_of, train
from .disturbances import disturbed
from .identities import UNKNOWN, Entities, Identities
from .inputs import Inputs, Window, inputs_of, window
from .network import QUANTILES, Network, initialise
from .representation import Bins, Values, counted_logs, scales_of
from .settings import SHAPES, FlowgenSettings

FORMAT = 1
DEFAULTS = FlowgenSettings()
TRAINING = TrainingSettings(
    epochs=9, batch_rows=16, learning_rate=2e-3, weight_decay=0.05, warm_up=0.1, largest_gradient=1.0
)
WARM_STEPS = 32  # of a window: too little is known there to be judged
SERIES_AT_ONCE = 32
HOUR_NS = 3_600_000_000_000
ENOUGH_WEEKS_NS = 21 * 24 * HOUR_NS  # a weekend seen once or twice would only be learnt by heart
Starts = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldOut:
    """What says when a training stops: values [series, features, steps], judged from the step `since` on.

    Steps before it are known to the decoder. `scales` are those of the values where not given.
    """

    values: Values
    starts_ns: Starts
    steps_ns: int | Starts
    scales: Values | None = None
    entities: Entities | None = None
    since: int = 0


class FlowgenEncoder:
    """Learns how rates move, from step to step and from day to day; embeds a host by how its rates moved."""

    unit: ClassVar[Unit] = "host"

    def __init__(self, settings: FlowgenSettings = DEFAULTS) -> None:
        self.settings = settings
        self.features: tuple[str, ...] = ()
        self.step_ns = 0
        self.bins: Bins | None = None
        self.network: Network | None = None
        self.has_weekdays = False
        self.identities: Identities | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        return ("rates.values",)

    @property
    def width(self) -> int:
        return SHAPES[self.settings.size].width

    @property
    def horizons(self) -> tuple[int, ...]:
        return self.settings.horizons

    def fit(
        self,
        batches: Sequence[FeatureBatch],
        rng: np.random.Generator,
        *,
        validation: Sequence[FeatureBatch] = (),
        training: TrainingSettings = TRAINING,
        place: CheckpointPlace | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> TrainingReport:
        """Learn from hosts: `rates.values` [hosts, steps, features], `rates.start_ns` and `rates.step_ns` [hosts].

        With identities also `rates.entity` [hosts], which `entity_numbers` makes of names.
        """
        hosts = FeatureBatch.concat(list(batches))
        if "rates.values" not in hosts.channels or not len(hosts):
            raise ModelError("models: there are no rates to learn from", hint="`flowlore rates` makes them of flows")
        values, starts, step_ns = _of_batch(hosts)
        names = tuple(f"feature-{place}" for place in range(values.shape[1]))
        return self.learn(
            values,
            starts,
            step_ns,
            names,
            rng,
            entities=hosts.channels.get("rates.entity"),
            validation=_held_out(validation) if validation else None,
            training=training,
            place=place,
            progress=progress,
        )

    def learn(
        self,
        values: Values,
        starts_ns: Starts,
        step_ns: int | Starts,
        features: Sequence[str],
        rng: np.random.Generator,
        *,
        scales: Values | None = None,
        bins: Bins | None = None,
        windows: int | None = None,
        known_from: Starts | None = None,
        entities: Entities | None = None,
        go_on: bool = False,
        validation: HeldOut | None = None,
        training: TrainingSettings = TRAINING,
        place: CheckpointPlace | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> TrainingReport:
        """Learn from values [series, features, steps], NaN where unknown: all of them are of the training time.

        The length of a step is one for all series, or that of each. `scales` [series, features] are theirs where they
        are known before; else the means of the values. `bins` are taken in place of such as fit these values, and
        `windows` are those of an epoch, in place of as many as cover the time once; none begins before the step that
        `known_from` says of each series. With `go_on` the weights and bins that are there are trained on, and no entity
        is met for the first time. `entities` [series] are numbers of names, which settings with `identities` learn a
        vector for.
        """
        if values.shape[2] < 4 or not np.isfinite(values).any():
            raise ModelError(
                f"models: series of {values.shape[2]} steps are too short to learn from", hint="a finer step, more data"
            )
        scales = scales_of(values) if scales is None else scales
        if go_on and self.network is not None and len(features) != len(self.features):
            raise ModelError("models: other features cannot be trained on", hint="the same as before, or begin anew")
        originals, is_fresh = len(values), not go_on or self.network is None
        if is_fresh:
            self.bins = bins or Bins.fit(values / scales[:, :, None], self.settings.bins)
            self.features = tuple(features)
            self.network = self._empty_network()
            initialise(self.network, torch.Generator().manual_seed(int(rng.integers(2**62))))
            most = self.settings.identities
            self.identities = Identities.of(entities, scales.mean(axis=1), most, rng) if most else None
        steps_ns = np.broadcast_to(np.asarray(step_ns, np.int64), len(values))
        lengths, counts = np.unique(steps_ns, return_counts=True)
        self.features, self.step_ns = tuple(features), int(lengths[counts.argmax()])
        if self.settings.disturbed:
            chosen = rng.permutation(len(values))[: round(len(values) * self.settings.disturbed)]
            values = np.concatenate([values, disturbed(values[chosen], rng)])
            scales, starts_ns, steps_ns = (np.concatenate([one, one[chosen]]) for one in (scales, starts_ns, steps_ns))
            known_from = None if known_from is None else np.concatenate([known_from, known_from[chosen]])
            entities = None if entities is None else np.concatenate([entities, entities[chosen]])
        self.has_weekdays = bool(values.shape[2] * steps_ns.min() >= ENOUGH_WEEKS_NS)
        network, inputs = self._made(), self.inputs(values, starts_ns, steps_ns, scales, entities=entities)
        if is_fresh and self.settings.counted:
            logs = counted_logs(inputs.tokens[:originals].numpy(), network.bins)
            network.follows.copy_(torch.from_numpy(logs))
        heavy = torch.from_numpy(np.sqrt(scales / scales.mean(axis=0)).astype(np.float32))
        series, length = self._drawn_rows(scales, inputs.steps, windows, rng), min(self.settings.context, inputs.steps)
        firsts = None if known_from is None else torch.from_numpy(known_from)
        network.to(device_of(training))

        def loss(rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
            spare = inputs.steps - length
            where = generator.device
            if firsts is None:
                begins = torch.randint(0, spare + 1, (len(rows),), generator=generator, device=where).cpu()
            else:
                room = spare + 1 - firsts[series[rows]].clamp(max=spare)
                begins = spare - (torch.rand(len(rows), generator=generator, device=where).cpu() * room).long()
            return self._loss(inputs, series[rows], begins, length, heavy, generator)

        validate = None if validation is None else self._validator(validation)
        report = train(network, loss, len(series), training, rng, validate=validate, place=place, progress=progress)
        network.to("cpu").eval()
        return report

    def _validator(self, held_out: HeldOut) -> Callable[[], float]:
        """The mean loss over windows that are judged from `since` on, all series as heavy as each other."""
        kept = self.inputs(
            held_out.values, held_out.starts_ns, held_out.steps_ns, held_out.scales, entities=held_out.entities
        )
        length = min(self.settings.context, kept.steps)
        unjudged, spare = min(WARM_STEPS, length // 4), kept.steps - length
        first = min(max(held_out.since - unjudged, 0), spare)
        begins = sorted({*range(first, spare + 1, max(length - unjudged, 1)), spare})
        even = torch.ones(held_out.values.shape[:2])

        def judge() -> float:
            losses, weights = [], []
            for begin in begins:
                for part in _portions(len(kept)):
                    losses.append(float(self._loss(kept, part, torch.full_like(part, begin), length, even, None)))
                    weights.append(len(part))
            return float(np.average(losses, weights=weights))

        return judge

    def embed(self, batch: FeatureBatch) -> Floats:
        """One vector a host: the mean of its steps' states; one of which nothing is known is all zeros."""
        out = np.zeros((len(batch), self.width), np.float32)
        if "rates.values" not in batch.channels or not len(batch):
            return out
        values, starts, step_ns = _of_batch(batch)
        before = max(values.shape[2] - self.settings.context, 0)
        values, starts = values[:, :, before:], starts + before * step_ns
        entities = batch.channels.get("rates.entity")
        network, inputs = self._made(), self.inputs(values, starts, step_ns, entities=entities)
        known = inputs.is_known.any(dim=1).float()
        with torch.inference_mode():
            for rows in _portions(len(batch)):
                states = network.states(window(inputs, rows, torch.zeros_like(rows), inputs.steps, self.horizons))
                weight = known[rows][..., None]
                mean = (states * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)
                out[rows.numpy()] = mean.numpy()
        return out

    def inputs(
        self,
        values: Values,
        starts_ns: Starts,
        step_ns: int | Starts,
        scales: Values | None = None,
        *,
        entities: Entities | None = None,
    ) -> Inputs:
        """What the network sees of values [series, features, steps]; scales are those of the values where not given."""
        if self.bins is None:
            raise ModelError("models: this decoder was not trained yet", hint="`fit` it first")
        scales = scales_of(values) if scales is None else scales
        identity = None if self.identities is None else self.identities.rows(entities, len(values))
        return inputs_of(
            values, scales, self.bins, starts_ns, step_ns, has_weekdays=self.has_weekdays, identity=identity
        )

    def quantiles(self, inputs: Inputs, last_steps: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """[series, features, last_steps, horizons, QUANTILES] in units of the scales, after each of these steps.

        Each is seen with at least half a context before it, or all that there is; steps are ascending.
        """
        network = self._made()
        context, features = min(self.settings.context, inputs.steps), len(self.features)
        out = np.empty((len(inputs), features, len(last_steps), len(self.horizons), len(QUANTILES)), np.float32)
        done = 0
        with torch.inference_mode():
            while done < len(last_steps):
                begin = max(0, int(last_steps[done]) + 1 - (context if len(last_steps) == 1 else -(-context // 2)))
                begin = min(begin, inputs.steps - context)
                chosen = last_steps[done : np.searchsorted(last_steps, begin + context)]
                at = torch.from_numpy(chosen - begin)
                for rows in _portions(len(inputs)):
                    seen = window(inputs, rows, torch.full_like(rows, begin), context, self.horizons)
                    said = network.forecasts(network.states(seen), seen)[:, at]
                    out[rows.numpy(), :, done : done + len(chosen)] = said.permute(0, 2, 1, 3, 4).numpy()
                done += len(chosen)
        return out

    def bits(self, inputs: Inputs, since: int = 0) -> Values:
        """How unlikely each step was after those before it, in bits: [series, features, steps]; NaN where not told.

        Steps before `since` need not be told.
        """
        network = self._made()
        context = min(self.settings.context, inputs.steps)
        out = np.full((len(inputs), len(self.features), inputs.steps), np.nan)
        begins = sorted({*range(0, max(inputs.steps - context, 0), -(-context // 2)), max(inputs.steps - context, 0)})
        with torch.inference_mode():
            for begin in (one for one in begins if one + context > since):
                skipped = 0 if begin == 0 else context // 2 - 1
                for rows in _portions(len(inputs)):
                    seen = window(inputs, rows, torch.full_like(rows, begin), context, self.horizons[:1])
                    logits = network.next_logits(network.states(seen), seen.tokens_BTF)[:, :-1]
                    came = seen.tokens_BTF[:, 1:]
                    costs = torched.cross_entropy(
                        logits.flatten(0, 2), came.clamp(max=network.bins - 1).flatten(), reduction="none"
                    ).view(came.shape) / np.log(2)
                    costs = torch.where(came < network.bins, costs, torch.nan)
                    out[rows.numpy(), :, begin + 1 + skipped : begin + context] = costs[:, skipped:].transpose(1, 2)
        return out

    def parameters(self) -> int:
        return sum(weight.numel() for weight in self._made().parameters())

    def state(self) -> State:
        network = self._made()
        assert self.bins is not None
        arrays = arrays_of(network)
        return arrays, {
            "format": FORMAT,
            "settings": settings_values(self.settings),
            "features": list(self.features),
            "step_ns": self.step_ns,
            "has_weekdays": self.has_weekdays,
            "bins": self.bins.state(),
            **({} if self.identities is None else {"identities": self.identities.state()}),
        }

    @classmethod
    def from_state(cls, arrays: Mapping[str, npt.NDArray[Any]], values: Mapping[str, Any]) -> Self:
        with reading_state("decoder", values, FORMAT):
            encoder = cls(settings_from(FlowgenSettings, values["settings"]))
            encoder.features, encoder.step_ns = tuple(values["features"]), int(values["step_ns"])
            encoder.has_weekdays = bool(values["has_weekdays"])
            encoder.bins = Bins.from_state(values["bins"])
            encoder.network = encoder._empty_network()
            if encoder.settings.identities:
                encoder.identities = Identities.from_state(values["identities"], encoder.settings.identities)
            held = weights_of(arrays)
            held.setdefault("follows", encoder.network.follows)  # decoders of before had none
            encoder.network.load_state_dict(held)
        encoder.network.eval()
        return encoder

    def _loss(
        self,
        inputs: Inputs,
        rows: torch.Tensor,
        begins: torch.Tensor,
        length: int,
        heavy: torch.Tensor,
        generator: torch.Generator | None,
    ) -> torch.Tensor:
        """Mean quantile loss over horizons and the next step's likelihood; with a generator features are hidden."""
        network = self._made()
        device = network.norm.weight.device
        seen = window(inputs, rows, begins, length, self.horizons).to(device)
        if generator is not None and self.settings.hidden_features and len(self.features) > 1:
            seen = hide(seen, self.settings.hidden_features, len(self.features), network.bins, generator)
        if generator is not None and self.identities is not None:
            seen = forget(seen, self.settings.identity_dropout, generator)
        states = network.states(seen, generator=generator)
        said = network.forecasts(states, seen)
        ahead = torch.tensor(self.horizons)
        at = begins[:, None, None] + torch.arange(length)[None, :, None] + ahead
        inside = at < inputs.steps
        places = at.clamp(max=inputs.steps - 1)
        truth = inputs.levels[..., 0][rows[:, None, None], :, places].transpose(2, 3)
        known = (inputs.is_known[rows[:, None, None], :, places].transpose(2, 3)) & inside[:, :, None]
        known = known & (torch.arange(length) >= min(WARM_STEPS, length // 4))[None, :, None, None]
        levels, truth, known = torch.tensor(QUANTILES).to(device), truth.to(device), known.to(device)
        away = truth[..., None] - said
        costs = torch.maximum(levels * away, (levels - 1) * away).mean(dim=-1)
        weights = known * heavy[rows].to(device)[:, None, :, None] * (ahead.float() ** -0.25).to(device)
        total = (costs * weights).sum() / weights.sum().clamp(min=1e-6)
        if self.settings.likelihood:
            logits = network.next_logits(states, seen.tokens_BTF)[:, :-1]
            came = inputs.tokens[rows[:, None], :, at[:, :-1, 0].clamp(max=inputs.steps - 1)].long()
            came = torch.where(inside[:, :-1, :1], came, network.bins).to(device)
            likelihood = torched.cross_entropy(logits.flatten(0, 2), came.flatten(), ignore_index=network.bins)
            total = total + self.settings.likelihood * torch.nan_to_num(likelihood)
        return total

    def _drawn_rows(self, scales: Values, steps: int, windows: int | None, rng: np.random.Generator) -> torch.Tensor:
        """Series of the windows of an epoch, as many as cover the time once; large ones come more often."""
        size = np.sqrt(scales / scales.mean(axis=0)).mean(axis=1)
        count = windows or max(len(scales) * -(-steps // self.settings.context), self.settings.least_windows)
        return torch.from_numpy(rng.choice(len(scales), count, p=size / size.sum()))

    def _made(self) -> Network:
        if self.network is None:
            raise ModelError("models: this decoder was not trained yet", hint="`fit` it first")
        return self.network

    def _empty_network(self) -> Network:
        assert self.bins is not None
        return Network(self.settings, len(self.features), self.bins.count)


def _portions(count: int) -> Iterator[torch.Tensor]:
    """Places of so many series, a few at a time."""
    for first in range(0, count, SERIES_AT_ONCE):
        yield torch.arange(first, min(first + SERIES_AT_ONCE, count))


def hide(seen: Window, share: float, features: int, unknown: int, generator: torch.Generator) -> Window:
    """The same with some features of each series as if they were not known."""
    batch, steps = seen.tokens_BTF.shape[:2]
    hidden = torch.rand((batch, 1, features), generator=generator, device=generator.device) < share
    hidden[:, :, 0] &= ~hidden.all(dim=2)
    numbers = seen.numbers_BTN.view(batch, steps, features, -1).masked_fill(hidden[..., None], 0.0)
    return replace(seen, numbers_BTN=numbers.flatten(2), tokens_BTF=seen.tokens_BTF.masked_fill(hidden, unknown))


def forget(seen: Window, share: float, generator: torch.Generator) -> Window:
    """The same with some series as of entities that were never seen."""
    forgotten = torch.rand(len(seen.identity_B), generator=generator, device=generator.device) < share
    return replace(seen, identity_B=seen.identity_B.masked_fill(forgotten, UNKNOWN))


def _held_out(batches: Sequence[FeatureBatch]) -> HeldOut:
    hosts = FeatureBatch.concat(list(batches))
    values, starts_ns, step_ns = _of_batch(hosts)
    return HeldOut(values=values, starts_ns=starts_ns, steps_ns=step_ns, entities=hosts.channels.get("rates.entity"))


def _of_batch(batch: FeatureBatch) -> tuple[Values, Starts, int]:
    """Values [hosts, features, steps], when each host's steps begin, and their length."""
    values = np.asarray(batch.channels["rates.values"], np.float64).transpose(0, 2, 1)
    starts = batch.channels.get("rates.start_ns", np.zeros(len(batch), np.int64))
    steps = np.unique(batch.channels.get("rates.step_ns", np.full(len(batch), HOUR_NS)))
    if len(steps) > 1:
        raise ModelError("models: rates of several steps cannot be in one batch", hint="one step for all")
    return values, starts.astype(np.int64), int(steps[0]) if len(steps) else HOUR_NS
