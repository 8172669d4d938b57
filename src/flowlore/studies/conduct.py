"""From a study's name to its evidence: find the data, plan, tell the plan, run, gather, and write the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import FlowloreError, InputError, OutputError, UnknownName
from ..flows.place import output_errors
from ..registry import nearest_name_hint
from .evidence import STUDY, Shelf
from .execution import Finished, execute
from .machine import machine_class, machine_words
from .material import FLOWS, Facts, Places
from .plan import Plan, make_plan
from .report import as_html, as_markdown
from .study import Scale, Study

PAGES = ("report.html", "report.md")


@dataclass(frozen=True, kw_only=True)
class Order:
    """What was asked for."""

    name: str
    places: Places
    output: Path
    scale: Scale
    processes: int = 1
    sets: tuple[str, ...] = ()  # none: all that the study names
    arms: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    command: str = ""


@dataclass(frozen=True, kw_only=True)
class Conducted:
    """What came of it."""

    plan: Plan
    made: int
    failed: tuple[str, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    pages: tuple[Path, ...] = ()


def conduct(
    order: Order,
    *,
    tell_plan: Callable[[Plan, Mapping[str, str]], None] = lambda plan, left_out: None,
    tell: Callable[[Finished, int, int], None] = lambda finished, done, of: None,
    only_plan: bool = False,
) -> Conducted:
    """Run what is not there yet. A run that fails is told in the end; it is tried again in the next call."""
    from . import STUDIES

    study: type[Study] = STUDIES.load(order.name)
    shelf = _shelf(order.output, order.name)
    facts, left_out = gather_facts(order, study)
    if not facts:
        why = "; ".join(f"{name}: {words}" for name, words in left_out.items())
        raise InputError(
            f"studies: none of the data of `{order.name}` is here: {why}",
            hint="`--data FOLDER`, or set `FLOWLORE_DATA`; `flowlore datasets` says where each set comes from",
        )
    made_study = study()
    plan = _plan(order, made_study, facts, shelf)
    if not plan.runs:
        raise InputError("studies: nothing is left to run of what was named", hint="`--plan` lists questions and arms")
    tell_plan(plan, left_out)
    if only_plan:
        return Conducted(plan=plan, made=0, failed=(), left_out=left_out)
    shelf.write_study(_study_card(order, study, plan, left_out), facts)
    failed: list[str] = []
    made = _execute(order, study, plan, tell, failed)
    if plan.later_s:
        plan = _plan(order, made_study, facts, shelf, all_tried=True)
        known = {one["hash"] for one in shelf.evidence().failed}  # they are tried again in the next call
        plan = replace(plan, waiting=tuple(one for one in plan.waiting if one.hash not in known))
        tell_plan(plan, {})
        shelf.write_study(_study_card(order, study, plan, left_out), facts)
        made += _execute(order, study, plan, tell, failed)
    shelf.gather()
    return Conducted(
        plan=plan,
        made=made,
        failed=tuple(failed),
        left_out=left_out,
        pages=write_report(order.name, order.output),
    )


def write_report(name: str, output: Path) -> tuple[Path, ...]:
    """The pages, from the result files alone."""
    from . import STUDIES

    evidence = _shelf(output, name).evidence()
    report = STUDIES.load(name)().report(evidence)
    study = evidence.study
    notice = (
        f"Made by `{study['command']}` from `{STUDY}` and `results.json` beside this file; "
        f"scale {study['scale']['name']}, configuration {study['configuration']}, on {machine_words(study['machine'])}."
    )
    texts = (as_html(report, notice.replace("`", "")), as_markdown(report, notice))
    paths = tuple(output / page for page in PAGES)
    for path, text in zip(paths, texts, strict=True):
        with output_errors(str(path)):
            path.write_text(text, encoding="utf-8")
    return paths


def gather_facts(order: Order, study: type[Study]) -> tuple[list[Facts], dict[str, str]]:
    """Facts of every data set that is here, and why the others are not used."""
    from . import MATERIALS

    names = order.sets or study.materials
    unknown = [name for name in names if name not in MATERIALS.names()]
    if unknown:
        raise UnknownName(
            f"studies: no data set of a study is called `{unknown[0]}`",
            hint=nearest_name_hint(unknown[0], MATERIALS.names()) or f"known are {', '.join(MATERIALS.names())}",
        )
    facts, left_out = [], {}
    for name in names:
        try:
            gathered = MATERIALS.load(name)(order.places)
        except FlowloreError as error:
            left_out[name] = _without_places(error.problem, order.places)
            continue
        folder = order.output / "data" / name
        found = _facts(gathered, name, order.scale, folder)
        if (asks := getattr(study, "asks", FLOWS)) != found.holds:
            left_out[name] = f"it holds {found.holds}, and `{study.name}` asks {asks}"
            continue
        facts.append(found)
    return facts, left_out


def _plan(order: Order, study: Study, facts: Sequence[Facts], shelf: Shelf, *, all_tried: bool = False) -> Plan:
    return make_plan(
        study,
        facts,
        order.scale,
        shelf,
        processes=order.processes,
        arms=order.arms,
        questions=order.questions,
        all_tried=all_tried,
    )


def _execute(
    order: Order,
    study: type[Study],
    plan: Plan,
    tell: Callable[[Finished, int, int], None],
    failed: list[str],
) -> int:
    """How many of the waiting runs were made; what failed is added to the list."""
    done, failed_before = 0, len(failed)

    def count(finished: Finished) -> None:
        nonlocal done
        done += 1
        if finished.problem is not None:
            run = finished.planned.run
            failed.append(f"{run.data} {run.arm} seed {run.seed} shots {run.shots}: {finished.problem}")
        tell(finished, done, len(plan.waiting))

    execute(study, plan.waiting, order.output, order.scale, processes=order.processes, tell=count)
    return done - (len(failed) - failed_before)


def _without_places(words: str, places: Places) -> str:
    """What is kept and shown to others says nothing of where data lie on this machine."""
    words = words.replace(str(places.data), "DATA")
    for folder in places.laboratories:
        words = words.replace(str(folder), "LAB")
    return words


def _facts(gathered: Any, name: str, scale: Scale, folder: Path) -> Facts:
    with output_errors(str(folder)):
        made: Facts = gathered.prepare(name, scale, folder)
        return made


def _shelf(output: Path, name: str) -> Shelf:
    """The folder, which is empty, new, or of the same study."""
    shelf = Shelf(output)
    if output.exists() and not output.is_dir():
        raise OutputError(f"studies: `{output}` is a file", hint="name a folder for the results")
    if (output / STUDY).is_file() and (held := shelf.evidence(()).study.get("name")) != name:
        raise OutputError(f"studies: `{output}` holds the study `{held}`, not `{name}`", hint="choose another folder")
    return shelf


def _study_card(order: Order, study: type[Study], plan: Plan, left_out: Mapping[str, str]) -> dict[str, Any]:
    from dataclasses import asdict

    from .study import configuration_hash

    scale = asdict(order.scale)
    hashes = sorted(one.hash for one in plan.runs)
    return {
        "name": order.name,
        "question": study.question,
        "command": order.command,
        "scale": scale,
        "configuration": configuration_hash({"runs": hashes}),
        "machine": machine_class(),
        "runs": len(plan.runs),
        "estimated_cpu_s": round(sum(one.run.cpu_s for one in plan.runs), 1),
        "left_out": dict(left_out),
    }


def chosen_sets(names: Sequence[str]) -> tuple[str, ...]:
    """`fgnet,ndpi` and `fgnet ndpi` are both two names."""
    return tuple(part for name in names for part in name.split(",") if part)
