"""`flowlore study`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import learning, options

if TYPE_CHECKING:
    from ..studies.conduct import Conducted
    from ..studies.execution import Finished
    from ..studies.plan import Plan


def study(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Name of a study: `--list` shows them.")] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="FOLDER", help="Folder of public data sets; else what `FLOWLORE_DATA` says."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="OUT", help="Folder of results and report; one that is there goes on."),
    ] = None,
    scale: Annotated[str, typer.Option("--scale", metavar="NAME", help="smoke, small or full.")] = "small",
    sets: Annotated[
        list[str] | None, typer.Option("--sets", metavar="A,B", help="Only these data sets. May be repeated.")
    ] = None,
    arms: Annotated[
        list[str] | None,
        typer.Option("--arm", metavar="ARM", help="Only this arm, as the plan names it. May be repeated."),
    ] = None,
    questions: Annotated[
        list[str] | None,
        typer.Option("--question", metavar="WORD", help="Only this part of the study. May be repeated."),
    ] = None,
    seeds: Annotated[int | None, typer.Option("--seeds", metavar="N", min=1, help="Repetitions.")] = None,
    shots: Annotated[
        str | None, typer.Option("--shots", metavar="N,M", help="Labels a class; 0 is all of them, e.g. 5,10,0.")
    ] = None,
    lab: Annotated[
        list[Path] | None,
        typer.Option("--lab", metavar="FOLDER", help="A run of the laboratory, or a folder of runs. May be repeated."),
    ] = None,
    processes: Annotated[int, typer.Option("--processes", metavar="N", min=1, max=256, help="Runs at a time.")] = 1,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what would be run and how long it may take, and stop.")
    ] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Only write the report of OUT again, from its files.")
    ] = False,
    list_: Annotated[
        bool, typer.Option("--list", help="Name every study, its question and its data, and stop.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Answer a question by experiments with honest baselines, and write a report.

    Every run leaves one file; a run that has its file is not made again, so that a study that was stopped, or whose
    data have grown, goes on from there. Data that are not here are named and left out.

    \b
    flowlore study --list
    flowlore study representations --data data/ -o representations --scale small --processes 2
    """
    if list_:
        _print_studies(json)
        return
    from ..errors import SettingError

    if name is None:
        raise SettingError("study: no study is named", hint="`flowlore study --list`")
    from ..studies import STUDIES

    STUDIES.load(name)  # an unknown one is an error that tells the nearest
    if output is None:
        raise SettingError(
            f"study: where the results of `{name}` go is not said",
            hint=f"`flowlore study {name} -o {name}`",
        )
    learning.require_extra()
    import os

    from ..studies.conduct import Order, chosen_sets, conduct, write_report
    from ..studies.material import Places
    from ..studies.study import scale_called
    from .text import print_json, printable

    if report:
        pages = write_report(name, output)
        print_json({"pages": [str(page) for page in pages]}) if json else _print_pages(pages)
        return
    folder = data or Path(os.environ.get("FLOWLORE_DATA") or "data")
    order = Order(
        name=name,
        places=Places(data=folder, laboratories=tuple(lab or ())),
        output=output,
        scale=scale_called(scale, STUDIES.load(name)).changed(seeds=seeds, shots=_shots(shots)),
        processes=processes,
        sets=chosen_sets(sets or ()),
        arms=tuple(arms or ()),
        questions=tuple(questions or ()),
        command=_command(name, scale, seeds, shots, sets, arms, questions),
    )
    done = conduct(
        order,
        tell_plan=(lambda planned, left_out: None) if json else _print_plan,
        tell=(lambda finished, made, of: None) if json else _print_finished,
        only_plan=plan,
    )
    if json:
        print_json(_as_json(done, only_plan=plan))
    elif not plan:
        for problem in done.failed:
            print(f"failed: {printable(problem)}")
        _print_pages(done.pages)


def _print_studies(json: bool) -> None:
    from ..studies import STUDIES
    from .text import print_json, print_table

    found = [(name, STUDIES.load(name)) for name in STUDIES.names()]
    if json:
        print_json([{"name": name, "question": one.question, "data": list(one.materials)} for name, one in found])
    else:
        print_table(
            ["study", "data", "question"], [[name, ", ".join(one.materials), one.question] for name, one in found]
        )


def _print_plan(plan: Plan, left_out: Any) -> None:
    from ..pages.words import duration_words
    from .text import print_table, printable

    for name, why in left_out.items():
        print(f"left out: {name}: {printable(why)}")
    rows = [
        [data, question, f"{runs:,}", f"{waiting:,}", duration_words(round(cpu_s) * 1e9)]
        for data, question, runs, waiting, cpu_s in plan.by_data()
    ]
    print_table(["data", "question", "runs", "to be made", "CPU time, about"], rows, numbers=(2, 3, 4))
    cpu, wall = (duration_words(round(seconds) * 1e9) for seconds in (plan.cpu_s, plan.wall_s))
    print(
        f"{len(plan.waiting):,} of {len(plan.runs):,} runs are to be made: about {cpu} of CPU time, {wall} on "
        f"{plan.processes} process{'' if plan.processes == 1 else 'es'}",
        flush=True,
    )
    for question, arms in _arms(plan).items():
        print(f"arms of {printable(question)}: {printable(', '.join(arms))}", flush=True)
    if plan.later_s:
        words = duration_words(round(plan.later_cpu_s) * 1e9)
        print(f"what follows depends on their results: about {words} of CPU time more", flush=True)


def _arms(plan: Plan) -> dict[str, list[str]]:
    """What `--question` and `--arm` choose from, in the order of the runs."""
    found: dict[str, list[str]] = {}
    for one in plan.runs:
        arms = found.setdefault(one.run.question, [])
        if one.run.arm not in arms:
            arms.append(one.run.arm)
    return found


def _print_finished(finished: Finished, done: int, of: int) -> None:
    from .text import printable

    run = finished.planned.run
    shots = "" if run.shots is None else f", {run.shots or 'all'} labels"
    what = f"{run.data}, {run.question}, {run.arm}{shots}, seed {run.seed}"
    words = f"{finished.cpu_s:.1f} s" if finished.problem is None else f"FAILED: {finished.problem}"
    print(f"[{done}/{of}] {printable(what)}: {printable(words)}", flush=True)


def _print_pages(pages: Any) -> None:
    from .text import printable

    for page in pages:
        print(f"report → {printable(str(page))}")


def _as_json(done: Conducted, *, only_plan: bool) -> dict[str, Any]:
    return {
        "runs": len(done.plan.runs),
        "waiting": len(done.plan.waiting),
        "made": done.made,
        "failed": list(done.failed),
        "left_out": dict(done.left_out),
        "arms": _arms(done.plan),
        "estimated_cpu_s": round(done.plan.cpu_s, 1),
        "estimated_later_cpu_s": round(done.plan.later_cpu_s, 1),
        "pages": [str(page) for page in done.pages],
        "only_plan": only_plan,
    }


def _shots(text: str | None) -> tuple[int, ...] | None:
    from ..errors import SettingError

    if text is None:
        return None
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = (-1,)
    if any(number < 0 for number in numbers):
        raise SettingError(
            f"study: `{text}` are no numbers of labels", hint="for example `--shots 5,10,0`; 0 is all labels"
        )
    return numbers


def _command(name: str, scale: str, seeds: int | None, shots: str | None, *chosen: list[str] | None) -> str:
    """The command as anybody would type it: without the places of this machine."""
    words = ["flowlore", "study", name, "--data", "DATA", "-o", "OUT", "--scale", scale]
    words += ["--seeds", str(seeds)] if seeds is not None else []
    words += ["--shots", shots] if shots is not None else []
    for option, values in zip(("--sets", "--arm", "--question"), chosen, strict=True):
        for value in values or ():
            words += [option, f'"{value}"' if " " in value else value]
    return " ".join(words)
