"""What `pretrain`, `fit` and `detect` do about floods: rates of hosts, known attacks, detectors that learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SettingError

if TYPE_CHECKING:
    from ..config import PipelineConfig
    from ..features.rates.rates import Rates
    from ..tasks.ddos.settings import DetectionSettings

TASKS = ("classify", "ddos", "roles")
NONE = "none"
STEP = "10s"


def check_task(task: str) -> None:
    if task not in TASKS:
        from ..registry import nearest_name_hint

        raise SettingError(
            f"fit: no task is called `{task}`", hint=nearest_name_hint(task, list(TASKS)) or "classify, ddos or roles"
        )


def pretrain_floods(
    inputs: Sequence[str], output: Path, settings: PipelineConfig, *, step: str | None, where: str | None, seed: int,
    overwrite: bool, training: Any, place: Any, watch: Any,
) -> dict[str, Any]:  # fmt: skip
    """A decoder that has seen the signs of floods in unlabelled traffic."""
    import time
    from dataclasses import replace

    import numpy as np

    from ..tasks.ddos.decoder import decoder_settings, pretrained_on_signs
    from ..tasks.ddos.signs import signs_of
    from ..tasks.forecast.bundles import save_flowgen

    signs = signs_of(_rates(inputs, settings, step, where), settings.detection)
    began = time.perf_counter()
    encoder = pretrained_on_signs(
        [signs], np.random.default_rng(seed), settings=replace(decoder_settings(), size=settings.flowgen.size),
        training=training, place=place, progress=watch,
    )  # fmt: skip
    card = {
        "task": "ddos",
        "hosts": len(signs),
        "steps": signs.steps,
        "step_s": signs.step_s,
        "training_s": round(time.perf_counter() - began, 1),
        "parameters": encoder.parameters(),
        "entities": "none by name: each host is seen beside its own mean",
    }
    save_flowgen(encoder, card, output, overwrite=overwrite)
    return {"bundle": str(output), "model": "flowgen", **card}


def fit_floods(
    bundle: str, inputs: Sequence[str], attacks: Path | None, output: Path, settings: PipelineConfig, *,
    step: str | None, test_share: float, where: str | None, seed: int, overwrite: bool, fine_tune: bool,
    watch: Any,
) -> dict[str, Any]:  # fmt: skip
    """Teach a detector with the attacks before some time, and examine it on those after it, beside simple methods."""
    from dataclasses import replace

    import numpy as np

    from ..models.settings import TrainingSettings
    from ..tasks.ddos.attacks import read_attacks
    from ..tasks.ddos.teaching import taught_and_examined
    from ..tasks.forecast.bundles import load_flowgen

    if attacks is None:
        raise SettingError(
            "fit: `--task ddos` learns from known attacks, and no file of them is given",
            hint="`--attacks FILE` with victim, from, to, kind, such as `episodes.jsonl` of a laboratory run",
        )
    known = read_attacks(attacks)
    encoder = None if bundle == NONE else load_flowgen(bundle)
    found = _rates(inputs, settings, step, where)
    training = None if settings.training == TrainingSettings() else settings.training
    detector, report = taught_and_examined(
        found, known, rng=np.random.default_rng(seed), encoder=encoder, settings=settings.detection,
        frozen=not fine_tune, test_share=test_share, training=training, progress=watch,
    )  # fmt: skip
    replace(detector, metrics=report).save(output, overwrite=overwrite)
    return report | {"bundle": str(output), "seed": seed}


def print_floods(report: dict[str, Any]) -> None:
    from .text import print_table, printable

    print(
        f"{report['taught']:,} attacks taught, {report['asked']:,} later ones asked; {report['hosts']:,} hosts, "
        f"{report['asked_days']:.3g} days"
    )
    rows = []
    for name, found in report["scores"].items():
        of_all, rate = found["strata"].get("all", {}), found["at"]["1"]["false_alarms_a_day"]
        at = of_all.get("at", {}).get("1", {})
        delay = at.get("median_delay_s")
        rows.append(
            [
                name,
                f"{of_all.get('pr_auc', float('nan')):.3f}",
                f"{at.get('found', float('nan')):.0%}",
                "-" if delay is None else f"{delay:.0f} s",
                f"{rate:.1f}",
            ]
        )
    headings = ["method", "PR AUC", "found at 1 a day", "median delay", "false alarms a day"]
    print_table(headings, rows, numbers=(1, 2, 3, 4))
    if left_out := report["hosts_left_out"]:
        print(f"the {left_out:,} hosts that receive least were left out: memory holds no more")
    if report["best"] != "flowgen":
        print(f"`{report['best']}` does better here than what was taught")
    elif better := _finding_more(report["scores"]):
        print(f"at one false alarm a day {' and '.join(f'`{name}`' for name in better)} find more of them here")
    print(f"bundle → {printable(report['bundle'])}")


def _finding_more(scores: Mapping[str, Any]) -> list[str]:
    found = {
        name: one["strata"].get("all", {}).get("at", {}).get("1", {}).get("found", 0.0) for name, one in scores.items()
    }
    return [name for name, share in found.items() if share > found["flowgen"]]


def split_bundle(inputs: list[str], bundle: str | None) -> tuple[str | None, list[str]]:
    """The bundle that is named, or the first input where that is a folder of one."""
    from ..tasks.bundle import MANIFEST

    if bundle is None and len(inputs) > 1 and (Path(inputs[0]) / MANIFEST).is_file():
        return inputs[0], inputs[1:]
    return bundle, inputs


def asked(
    bundle: str, inputs: Sequence[str], settings: PipelineConfig, *, step: str | None, where: str | None, learn: float,
    false_alarms: float | None,
) -> Any:  # fmt: skip
    """What a taught detector finds."""
    from ..features.rates.settings import step_words
    from ..tasks.bundle import load_bundle
    from ..tasks.bundle_shelf import find_bundle
    from ..tasks.ddos.bundles import FloodDetector

    detector = FloodDetector.from_bundle(load_bundle(find_bundle(bundle)))
    refuse_other_detection(detector.settings, settings.detection, bundle)
    step = step or step_words(detector.step_ns)
    found = _rates(inputs, settings, step, where)
    return detector.detect(found, learn=learn, false_alarms_a_day=false_alarms), detector


def refuse_other_detection(own: DetectionSettings, asked: DetectionSettings, bundle: str) -> None:
    """How a detector judges was decided when it was taught: settings that want it otherwise would do nothing."""
    from dataclasses import fields

    usual = type(asked)()
    for name in (one.name for one in fields(asked)):
        wanted = getattr(asked, name)
        if wanted not in (getattr(own, name), getattr(usual, name)):
            raise SettingError(
                f"detect: `{bundle}` was taught with `detection.{name}` {getattr(own, name):g}, and {wanted:g} was "
                "asked for",
                hint="`--false-alarms` says how many are allowed; the rest is set when `flowlore fit --task ddos` "
                "teaches",
            )


def _rates(inputs: Sequence[str], settings: PipelineConfig, step: str | None, where: str | None) -> Rates:
    from .seriesinputs import read_rates

    return read_rates(inputs, settings, by="host", step=step, default_step=STEP, where=where, cut=True).named()
