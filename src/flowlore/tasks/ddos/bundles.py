"""A detector that learnt from attacks: taught, calibrated, kept as a bundle, and asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...errors import BundleError, FlowloreError, TaskError
from ...features.rates.rates import Rates, rates
from ...features.rates.settings import step_words
from ...settings import settings_from, settings_values
from ..bundle import Bundle, damaged, plain, save_bundle
from .alarms import BUSY, Answers, Detection, detect
from .attacks import QUIET, Attack, codes_of
from .detector import Lesson
from .settings import DetectionSettings
from .signs import Signs, Values, most_watched, signs_of
from .thresholds import DAY_S, FEWEST_SCORES, TAIL, USUAL_EXCESS

if TYPE_CHECKING:
    import pyarrow as pa

    from ...models.settings import TrainingSettings
    from ...models.training import Progress
    from .decoder import DecoderDetector

MODEL = "flowgen"
HELD_OUT = 5  # one in so many hosts without attacks is kept from learning, and tells how often quiet hosts score high
DEFAULTS = DetectionSettings()


@dataclass(frozen=True, kw_only=True)
class Tail:
    """How often quiet hosts score above `start`, and how far on average: it is taken to fall off exponentially."""

    start: float
    excess: float
    steps_a_host_day: float

    @classmethod
    def of(cls, quiet: Values, step_s: float) -> Tail:
        """From scores of quiet steps of hosts that taught nothing."""
        if len(quiet) < FEWEST_SCORES:
            raise TaskError(
                f"detect: {len(quiet):,} quiet steps are too few to tell what is usual (at least {FEWEST_SCORES})",
                hint="a longer record, or more hosts",
            )
        start = float(np.quantile(quiet, 1 - TAIL))
        beyond = quiet[quiet > start] - start
        return cls(
            start=start,
            excess=float(beyond.mean()) if len(beyond) else USUAL_EXCESS,
            steps_a_host_day=TAIL * DAY_S / step_s,
        )

    def threshold(self, false_alarms_a_day: float, hosts: int) -> float:
        """For so many hosts together."""
        share = self.steps_a_host_day * max(hosts, 1) / false_alarms_a_day
        return self.start + self.excess * float(np.log(max(share, 1.0)))


@dataclass(frozen=True, kw_only=True)
class FloodDetector:
    """What `flowlore fit --task ddos` made. It takes `Rates`, or flows, of which it makes rates by host."""

    detector: DecoderDetector
    settings: DetectionSettings
    step_ns: int
    shift: float
    tail: Tail
    data: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""

    def answers(self, traffic: Any) -> tuple[Rates, Signs, Answers]:
        """Rates and signs of the hosts that receive most, and what is said of each of their steps."""
        found = traffic if isinstance(traffic, Rates) else rates(traffic, "host", step_words(self.step_ns))
        found = found.named()
        if found.by != "host" or found.step_ns != self.step_ns:
            raise BundleError(
                f"bundle: `{self.name or 'detector'}` was taught hosts in steps of {step_words(self.step_ns)}, and "
                f"these rates are by {found.by} and {step_words(found.step_ns)}",
                hint=f"`--by host --step {step_words(self.step_ns)}`",
            )
        signs = signs_of(found, self.settings)
        logits, kinds = self.detector.answers(signs)
        said = Answers(names=signs.names, scores=logits, shift=self.shift, kinds=self.detector.kinds, kind_places=kinds)
        return found, signs, said

    def detect(self, traffic: Any, *, learn: float = 0.5, false_alarms_a_day: float | None = None) -> Detection:
        """Alarms after the first `learn` of the time. With 0 the threshold is that of the hosts that taught nothing,
        for as many hosts as receive enough to be judged."""
        settings = self.settings
        if false_alarms_a_day is not None:
            settings = replace(settings, false_alarms_a_day=false_alarms_a_day)
        found, signs, said = self.answers(traffic)
        if not learn:
            judged_from = settings.least_packets_per_s * signs.step_s / BUSY
            judged = int((np.nan_to_num(signs.packets) >= judged_from).any(axis=1).sum())
            said = replace(said, threshold=self.tail.threshold(settings.false_alarms_a_day, judged))
        return detect(found, settings, learn=learn, answers=said)

    def probabilities(self, traffic: Any) -> pa.Table:
        """A row for each host and step with traffic: entity, step, probability of an attack, and the likeliest kind."""
        import pyarrow as pa

        _, signs, said = self.answers(traffic)
        assert said.kind_places is not None
        asked = np.isfinite(said.scores) & (np.nan_to_num(signs.packets) > 0)
        host, step = np.nonzero(asked)
        chance = 1 / (1 + np.exp(-np.clip(said.scores[asked] - self.shift, -60, 60)))
        kinds = np.asarray(self.detector.kinds, object)[said.kind_places[asked]]
        return pa.table(
            {
                "entity": pa.array(np.asarray(signs.names, object)[host].tolist(), pa.string()),
                "step": pa.array(signs.times_ns()[step]).cast(pa.timestamp("ns", tz="UTC")),
                "probability": pa.array(chance.astype(np.float32)),
                "kind": pa.array(kinds.tolist(), pa.string()),
            }
        )

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        arrays, values = self.detector.state()
        bundle = Bundle(
            model=MODEL,
            config={
                "model": {"name": MODEL, **settings_values(self.detector.encoder.settings)},
                "detection": settings_values(self.settings),
            },
            needs=tuple(self.detector.encoder.needs),
            states=plain(
                {
                    "encoder": values["encoder"],
                    "detector": values["detector"]
                    | {"step_ns": self.step_ns, "shift": self.shift, "tail": vars(self.tail)},
                }
            ),
            arrays=arrays,
            labels=self.detector.kinds,
            data=self.data,
            metrics=self.metrics,
        )
        return save_bundle(bundle, path, overwrite=overwrite)

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> FloodDetector:
        from .decoder import DecoderDetector

        if "detector" not in bundle.states:
            raise BundleError(
                f"bundle: `{bundle.name}` was taught no attacks",
                hint="`flowlore fit --task ddos BUNDLE TRAFFIC --attacks FILE -o NEW` teaches it some",
            )
        try:
            held = bundle.states["detector"]
            return cls(
                detector=DecoderDetector.from_state(bundle.arrays, bundle.states),
                settings=settings_from(DetectionSettings, bundle.config["detection"]),
                step_ns=int(held["step_ns"]),
                shift=float(held["shift"]),
                tail=Tail(**held["tail"]),
                data=bundle.data,
                metrics=bundle.metrics,
                name=bundle.name,
            )
        except (FlowloreError, KeyError, TypeError, ValueError) as error:
            raise damaged(bundle.name, "detector", error) from error


def taught(
    parts: Sequence[tuple[Rates, Sequence[Attack]]],
    *,
    rng: np.random.Generator,
    encoder: Any = None,
    settings: DetectionSettings = DEFAULTS,
    frozen: bool = True,
    training: TrainingSettings | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> FloodDetector:
    """A detector from rates of hosts and the attacks in them. `encoder` has learnt from signs of floods before.

    It stays as it is (`frozen`) unless all of it is to follow the attacks: that knows taught kinds and hosts a little
    better where there are many, and new kinds worse.
    """
    from .decoder import DecoderDetector

    kinds = tuple(sorted({one.kind for _, attacks in parts for one in attacks}))
    lessons, kept = [], []
    for found, attacks in parts:
        signs = signs_of(found, settings, names=watched(found.named(), attacks))
        codes = codes_of(signs, attacks, kinds)
        back = _kept_back(codes, rng)
        lessons.append(Lesson(signs=signs.of(np.flatnonzero(~back)), codes=codes[~back]))
        kept.append(signs.of(np.flatnonzero(back)) if back.any() else None)
    detector = DecoderDetector(encoder, frozen=frozen, training=training, progress=progress)
    detector.fit(lessons, kinds, rng)
    quiet = [detector.scores(one, 0).ravel() for one in kept if one is not None]
    if not quiet:  # every host was attacked, or there are too few: their own quiet steps must do
        quiet = [detector.scores(one.signs, 0)[one.codes == QUIET] for one in lessons]
    scores = np.concatenate(quiet)
    attacked = sum(int((one.codes > QUIET).sum()) for one in lessons)
    whole = sum(one.codes.size for one in lessons)
    return FloodDetector(
        detector=detector,
        settings=settings,
        step_ns=lessons[0].signs.step_ns,
        shift=float(-np.log(attacked / max(whole - attacked, 1))) if attacked else 0.0,
        tail=Tail.of(scores[np.isfinite(scores)], lessons[0].signs.step_s),
        data={
            "attacks": sum(len(attacks) for _, attacks in parts),
            "kinds": list(kinds),
            "hosts": sum(len(one.signs) for one in lessons),
            "steps": sum(one.signs.steps for one in lessons),
            "step_s": lessons[0].signs.step_s,
            "threshold_from": "hosts that taught nothing"
            if any(one is not None for one in kept)
            else "the hosts taught",
            "entities": "none by name: each host is seen beside its own mean",
        },
    )


def watched(found: Rates, attacks: Sequence[Attack]) -> tuple[str, ...]:
    """The hosts that receive most, and every victim."""
    names = found.largest()
    known = set(names)
    victims = [one.victim for one in attacks if one.victim in known]
    return tuple(dict.fromkeys([*victims, *names[: most_watched(found)]]))


def _kept_back(codes: npt.NDArray[np.int16], rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    quiet = np.flatnonzero((codes == QUIET).all(axis=1))
    back = np.zeros(len(codes), np.bool_)
    if len(quiet) >= HELD_OUT:
        back[rng.choice(quiet, len(quiet) // HELD_OUT, replace=False)] = True
    return back
