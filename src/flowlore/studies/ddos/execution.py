"""One run: scenes that teach, a detector, a quiet day that sets its thresholds, and a later day that asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...features.rates.rates import rates
from ...tasks.ddos import DETECTORS
from ...tasks.ddos.attacks import QUIET, UNTOLD, codes_of
from ...tasks.ddos.decoder import (
    DecoderDetector,
    decoder_settings,
    fresh_on_signs,
    pretrained_on_signs,
    pretraining_settings,
)
from ...tasks.ddos.detector import Detector, Lesson
from ...tasks.ddos.examination import FALSE_ALARMS_A_DAY, examined
from ...tasks.ddos.signs import Signs, Values, signs_of
from ...tasks.ddos.thresholds import DAY_S
from ..bench import Bench, Made
from ..materials.floods import ASKING, TEACHING, FloodMaterial, load_floods
from ..study import ALL_LABELS, Run
from .arms import FEW, LABELS, OWN
from .episodes import SETTINGS, Scene, scene_of, scenes_of, sides_of

if TYPE_CHECKING:
    from ...models.settings import TrainingSettings

OWN_ALLOWED = (1.0, 10.0)  # in the time that asks: a run of minutes can show nothing of days
ASKED_ATTACKS = {"smoke": 16, "small": 64, "full": 200}
LABORATORY_STEP = "2s"


def executed(run: Run, bench: Bench) -> dict[str, Any]:
    material: FloodMaterial = bench.at_hand({"floods": run.data}, lambda: load_floods(bench.folder(run.data)))
    if run.question == OWN:
        return _laboratory(run, bench, material)
    unseen = run.values.get("kind")
    sampled = int(run.values.get("sampled", 1))
    teaching, asking = sides_of(material.sources, unseen=unseen, seed=run.seed)
    words = {"scenes": run.question, "data": run.data, "seed": run.seed, "kind": unseen, "sampled": sampled}
    rng = bench.rng_for(run.question, run.data, str(unseen), str(sampled), seed=run.seed)

    def make() -> tuple[list[Scene], Scene, Scene]:
        shown = max(run.shots or 0, 100 if run.question == LABELS else 2 * FEW)
        taught = scenes_of(material, TEACHING, teaching, shown, rng, sampled=sampled)
        days = [one for one in material.backgrounds if one.side == ASKING]
        calm = scene_of(days[run.seed % len(days)], asking, 0, rng, sampled=sampled)
        asked = scene_of(
            days[(run.seed + 1) % len(days)], asking, ASKED_ATTACKS[bench.scale.name], rng, sampled=sampled
        )
        return taught, calm, asked

    taught, calm, asked = bench.at_hand(words, make)
    kinds = tuple(sorted({attack.kind for scene in taught for attack in scene.attacks}))
    detector = _made(run, bench, material)
    if detector.learns:
        detector.fit(_lessons(taught, kinds, run), kinds, bench.rng_for("fit", run.arm, str(run.shots), seed=run.seed))
    scores = detector.scores(asked.signs, asked.quiet_steps)
    quiet = detector.scores(calm.signs, calm.quiet_steps)[:, calm.quiet_steps :]
    known = {"kind_places": detector.kind_places(asked.signs), "kinds": kinds} if unseen is None else {}
    return _found(scores, asked.signs, asked.attacks, quiet, bench, run, asked.quiet_steps, **known) | {
        "sources_that_teach": [one.name for one in teaching],
        "sources_that_ask": [one.name for one in asking],
        "attacks_laid": len(asked.attacks),
    }


def _found(
    scores: Values, signs: Signs, attacks: Sequence[Any], quiet: Values, bench: Bench, run: Run, asked_from: int,
    **known: Any,
) -> dict[str, Any]:  # fmt: skip
    return examined(
        scores, signs, attacks, quiet, bench.rng_for("resample", run.data, seed=run.seed), settings=SETTINGS,
        asked_from=asked_from, allowed_a_day=_allowed_a_day(run, signs, asked_from), **known,
    )  # fmt: skip


def _allowed_a_day(run: Run, signs: Signs, asked_from: int) -> tuple[float, ...]:
    if run.question != OWN:
        return FALSE_ALARMS_A_DAY
    asked_s = (signs.steps - asked_from) * signs.step_s
    return tuple(round(one * DAY_S / asked_s) for one in OWN_ALLOWED)


def _lessons(taught: Sequence[Scene], kinds: Sequence[str], run: Run) -> list[Lesson]:
    """Of all attacks only so many are labelled; the steps of the others teach nothing at all."""
    order = [(place, attack) for place, scene in enumerate(taught) for attack in scene.attacks]
    turns = np.random.default_rng(run.seed).permutation(len(order))
    shown = {int(one) for one in (turns if run.shots in (None, ALL_LABELS) else turns[: run.shots])}
    lessons = []
    for place, scene in enumerate(taught):
        labelled = [attack for row, (own, attack) in enumerate(order) if own == place and row in shown]
        hidden = [attack for row, (own, attack) in enumerate(order) if own == place and row not in shown]
        codes = codes_of(scene.signs, labelled, kinds)
        codes[codes_of(scene.signs, hidden, kinds) != QUIET] = UNTOLD
        lessons.append(Lesson(signs=scene.signs, codes=codes))
    return lessons


def _made(run: Run, bench: Bench, material: FloodMaterial) -> Detector:
    name = str(run.values["detector"])
    if name != "flowgen":
        detector: Detector = DETECTORS.load(name)()
        return detector
    from ...models.flowgen.detecting import TEACHING as TEACHING_SETTINGS

    return DecoderDetector(
        _encoder(run, bench, material),
        frozen=bool(run.values["frozen"]),
        gently=bool(run.values["pretrained"]),
        training=_training(bench, TEACHING_SETTINGS),
    )


def _training(bench: Bench, usual: TrainingSettings) -> TrainingSettings:
    """With the smallest scale only as much as shows that it works."""
    return replace(usual, epochs=1, least_steps=12, batch_rows=32) if bench.scale.name == "smoke" else usual


def _encoder(run: Run, bench: Bench, material: FloodMaterial) -> Any:
    """Pre-trained on the days that teach, without any attack laid over them; or fresh, with the same bins."""
    from ...models.flowgen.encoder import FlowgenEncoder

    if not run.values["pretrained"]:
        rng = bench.rng_for("fresh", run.data, seed=run.seed)
        return fresh_on_signs(_unlabelled(bench, run, material), rng)
    words = {"data": run.data, "encoder": "signs", "seed": run.seed, "scale": bench.scale.name}

    def make() -> Made:
        settings = decoder_settings()
        encoder = pretrained_on_signs(
            _unlabelled(bench, run, material),
            bench.rng_for("pretrain", run.data, seed=run.seed),
            settings=replace(settings, least_windows=1) if bench.scale.name == "smoke" else settings,
            training=_training(bench, pretraining_settings()),
        )
        made: Made = encoder.state()
        return made

    arrays, values = bench.kept(words, make)
    return FlowgenEncoder.from_state(arrays, values)


def _unlabelled(bench: Bench, run: Run, material: FloodMaterial) -> list[Signs]:
    if run.question == OWN:
        signs, split = _laboratory_signs(bench, run, material)
        return [signs.until(taught_until(split))]

    def make() -> list[Signs]:
        return [one.signs for one in scenes_of(material, TEACHING, (), 0, np.random.default_rng(0))]

    made: list[Signs] = bench.at_hand({"calm": run.data}, make)
    return made


def _laboratory_signs(bench: Bench, run: Run, material: FloodMaterial) -> tuple[Signs, int]:
    """Signs of the whole run, and the step at which asking begins."""

    def make() -> tuple[Signs, int]:
        from ...tasks.ddos.entropy import with_entropy

        flows = material.backgrounds[0].flows
        found = rates(flows, "host", LABORATORY_STEP)
        signs = with_entropy(signs_of(found, SETTINGS), flows.to_batches())
        return signs, signs.steps // 2

    made: tuple[Signs, int] = bench.at_hand({"signs": run.data}, make)
    return made


def _laboratory(run: Run, bench: Bench, material: FloodMaterial) -> dict[str, Any]:
    """The first third of the run teaches, the second half asks; quiet steps between them set the thresholds."""
    signs, split = _laboratory_signs(bench, run, material)
    taught = taught_until(split)
    taught_ns, split_ns = (signs.start_ns + one * signs.step_ns for one in (taught, split))
    kinds = tuple(sorted({one.kind for one in material.attacks}))
    before = [one for one in material.attacks if one.end_ns <= taught_ns]
    after = [one for one in material.attacks if one.begin_ns >= split_ns]
    every = codes_of(signs, material.attacks, kinds)
    codes = codes_of(signs, before, kinds)
    codes[:, taught:] = UNTOLD
    codes[(every != QUIET) & (codes == QUIET)] = UNTOLD
    detector = _made(run, bench, material)
    if detector.learns:
        detector.fit([Lesson(signs=signs, codes=codes)], kinds, bench.rng_for("fit", run.arm, seed=run.seed))
    scores = detector.scores(signs, split)
    quiet = np.where((every == QUIET)[:, taught:split], scores[:, taught:split], np.nan)
    places = detector.kind_places(signs)
    known = {} if places is None else {"kind_places": places, "kinds": kinds}
    return _found(scores, signs, after, quiet, bench, run, split, **known) | {
        "attacks_taught": len(before),
        "by_kind": _by_kind(scores, signs, after, quiet, bench, run, split),
    }


def taught_until(split: int) -> int:
    """The step at which the time begins that sets the thresholds: nobody learnt from it."""
    return 2 * split // 3


def _by_kind(
    scores: Values, signs: Signs, after: Sequence[Any], quiet: Values, bench: Bench, run: Run, split: int
) -> dict[str, Any]:
    made = {}
    for kind in sorted({one.kind for one in after}):
        own = [one for one in after if one.kind == kind]
        others = codes_of(signs, [one for one in after if one.kind != kind], [kind]) != QUIET
        alone = np.where(others & (codes_of(signs, own, [kind]) == QUIET), np.nan, scores)
        made[kind] = _found(alone, signs, own, quiet, bench, run, split)["strata"].get("all", {})
    return made
