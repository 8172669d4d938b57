"""A detector taught with the attacks before some time, and examined on those after it, beside simple methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...errors import InputError, TaskError
from ...features.rates.rates import Rates
from ..extra import require_learning
from . import DETECTORS
from .attacks import QUIET, UNTOLD, Attack, codes_of
from .bundles import FloodDetector, taught, watched
from .detector import Lesson
from .examination import examined
from .settings import DetectionSettings
from .signs import Values, signs_of
from .thresholds import DAY_S

if TYPE_CHECKING:
    from ...models.settings import TrainingSettings
    from ...models.training import Progress

BESIDE = ("static", "percentile", "ewma", "z-score", "lightgbm", "gru")
DEFAULTS = DetectionSettings()


def taught_and_examined(
    rates: Rates,
    attacks: Sequence[Attack],
    *,
    rng: np.random.Generator,
    encoder: Any = None,
    settings: DetectionSettings = DEFAULTS,
    frozen: bool = True,
    test_share: float = 0.5,
    beside: Sequence[str] = BESIDE,
    training: TrainingSettings | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> tuple[FloodDetector, dict[str, Any]]:
    """Attacks that begin in the last `test_share` of the time teach nothing: they ask. One that goes on into it does
    neither there."""
    require_learning()
    if not len(rates):
        raise InputError("detect: there is no traffic of any host", hint="`flowlore inspect` shows what is in it")
    start_ns = int(pc.min(rates.table["step"]).cast(pa.int64()).as_py())
    split = int((1 - test_share) * rates.steps)
    split_ns = start_ns + split * rates.step_ns
    known, end_ns = set(rates.largest()), start_ns + rates.steps * rates.step_ns
    met = [one for one in attacks if one.victim in known and one.begin_ns < end_ns]
    before = [one for one in met if one.end_ns <= split_ns and one.end_ns > start_ns]
    after = [one for one in met if one.begin_ns >= split_ns]
    if not before or not after:
        raise TaskError(
            f"detect: {len(before)} attacks on hosts of these rates end before the time of the examination and "
            f"{len(after)} begin after it; both are needed",
            hint="another `--test-share`, more attacks, or times and victims as the rates have them",
        )
    detector = taught(
        [(_until(rates, split_ns), [one for one in met if one.begin_ns < split_ns])],
        rng=rng,
        encoder=encoder,
        settings=settings,
        frozen=frozen,
        training=training,
        progress=progress,
    )
    signs = signs_of(rates, settings, names=watched(rates, met))
    kinds = detector.detector.kinds
    codes = codes_of(signs, met, kinds)
    unknown = codes_of(signs, met, sorted({one.kind for one in met}))
    codes[:, split:] = np.where(unknown[:, split:] != QUIET, UNTOLD, codes[:, split:])
    lesson = codes.copy()
    lesson[:, split:] = UNTOLD
    calibrating = (codes == QUIET) & (np.arange(signs.steps) < split)
    logits, places = detector.detector.answers(signs)
    found: dict[str, Any] = {}

    def ask(scores: Values, **known: Any) -> dict[str, Any]:
        quiet = np.where(calibrating, scores, np.nan)[:, :split]
        return examined(scores, signs, after, quiet, rng, settings=settings, asked_from=split, **known)

    found["flowgen"] = ask(logits, kind_places=places, kinds=kinds)
    for name in beside:
        other = DETECTORS.load(name)()
        other.fit([Lesson(signs=signs, codes=lesson)], kinds, rng)
        found[name] = ask(other.scores(signs, split))
    area = {name: one["strata"].get("all", {}).get("pr_auc", 0.0) for name, one in found.items()}
    return detector, {
        "taught": len(before),
        "asked": len(after),
        "hosts": len(signs),
        "hosts_left_out": len(known) - len(signs),
        "asked_days": (signs.steps - split) * signs.step_s / DAY_S,
        "kinds": list(kinds),
        "scores": found,
        "best": max(area, key=lambda name: area[name]),
    }


def _until(rates: Rates, end_ns: int) -> Rates:
    instant = pa.scalar(end_ns, pa.int64()).cast(rates.table["step"].type)
    gaps = tuple((begin, min(end, end_ns)) for begin, end in rates.gaps if begin < end_ns)
    return replace(rates, table=rates.table.filter(pc.less(rates.table["step"], instant)), gaps=gaps)
