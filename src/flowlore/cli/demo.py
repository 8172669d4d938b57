"""`flowlore demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options

if TYPE_CHECKING:
    from ..flows.table import Flows
    from ..pages.inspection import Inspection
    from ..tasks.learning_report import LearningReport

DEMO = Path(__file__).resolve().parent.parent / "data" / "demo"
DEMO_CAPTURE = DEMO / "office.pcapng"  # many protocols, nothing else
LABELLED_CAPTURE = DEMO / "laboratory.pcapng.zst"
LABELS = DEMO / "laboratory.csv"
BUNDLE = "laboratory"
SHOTS = 5


def demo(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Also write flows.parquet and pages with pictures here."),
    ] = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Meter a capture that ships with the package, learn from five labels a class, and say how well that went.

    It needs no network, no root and no data of yours. With `--output` the flows, an inspection and the report of
    learning are written, as pages to look at.
    """
    import time

    from ..pages.inspection import Inspector
    from ..sources.reading import read
    from ..tasks.extra import missing_packages
    from .metering import report
    from .text import print_json

    began = time.perf_counter()
    flows = read(LABELLED_CAPTURE)
    metering_s = time.perf_counter() - began
    inspector = Inspector()
    inspector.add(flows.to_arrow())
    found = inspector.finish(flows.account)
    if output is not None:
        _write(output, flows, found, overwrite=overwrite)
    missing = missing_packages()
    learnt = None if missing else _learn(flows)
    if output is not None and learnt is not None:
        _write_report(output, learnt, overwrite=overwrite)
    seconds = time.perf_counter() - began
    if json:
        numbers = report(flows.account, written=len(flows)) | {"seconds": round(metering_s, 6)}
        print_json(numbers | {"learning": None if learnt is None else learnt.as_json()})
        return
    _print(found, learnt, missing, seconds)
    if output is not None:
        print(f"\npages → {output / 'report.html' if learnt is not None else output / 'inspect.html'}")


def _learn(flows: Flows) -> LearningReport:
    from ..flows.annotate import annotate
    from ..tasks.learning_report import learn_and_report
    from ..tasks.predictor import load

    labelled, _ = annotate(flows, LABELS)
    _, learnt = learn_and_report(load(BUNDLE), labelled, shots=SHOTS, by="time", drop_small_classes=True)
    return learnt


def _write(output: Path, flows: Flows, found: Inspection, *, overwrite: bool) -> None:
    from contextlib import suppress

    from ..flows.place import output_errors, whole_file
    from ..pages.inspect_page import inspect_page

    is_new = not output.exists()
    try:
        with output_errors(str(output)):
            output.mkdir(parents=True, exist_ok=True)
        flows.write(output / "flows.parquet", overwrite=overwrite)
        with whole_file(output / "inspect.html", overwrite=overwrite) as page:
            page.write(inspect_page(found, LABELLED_CAPTURE.name).encode())
    finally:
        if is_new:
            with suppress(OSError):
                output.rmdir()  # it goes only where nothing came to lie in it


def _write_report(output: Path, learnt: LearningReport, *, overwrite: bool) -> None:
    from ..flows.place import whole_file
    from ..pages.learning_page import learning_page

    lead = f"{LABELLED_CAPTURE.name}, a run of the laboratory; inspect.html shows what is in it"
    with whole_file(output / "report.html", overwrite=overwrite) as page:
        page.write(learning_page(learnt, "Traffic named from five labels a class", lead).encode())


def _print(found: Inspection, learnt: LearningReport | None, missing: list[str], seconds: float) -> None:
    from .inspection import print_inspection

    print("A small firm for a minute and a half, played by real programs; it ships with the package.\n")
    print_inspection(found)
    if learnt is None:
        print(f"\nLearning needs packages that are not here ({', '.join(missing)}): pip install 'flowlore[learn]'")
    else:
        _print_learnt(learnt)
    print(f"\n{seconds:.1f} s. Next, with captures of your own:")
    print("  flowlore inspect CAPTURE --html page.html")
    print("  flowlore flows CAPTURE -o flows.parquet")
    print('  flowlore query "select server_name, count(*) from flows group by all" flows.parquet')
    print(f"  flowlore map {BUNDLE} CAPTURE -o map.html")
    print(f"  flowlore fit {BUNDLE} CAPTURE --labels labels.csv --shots 5 --split time -o mine")


def _print_learnt(learnt: LearningReport) -> None:
    from .text import print_table

    examination = learnt.examination
    print(
        f"\nlearnt from {learnt.shots} labelled flows of each of {examination['classes']} classes; "
        f"{examination['asked']:,} later flows asked:"
    )
    rows = [
        [name, f"{sides['natural']['accuracy']:.3f}", f"{sides['natural']['macro_f1']:.3f}"]
        for name, sides in sorted(
            examination["scores"].items(), key=lambda item: -float(item[1]["natural"]["macro_f1"])
        )
    ]
    words = {learnt.head: f"bundle `{BUNDLE}`"}
    print_table(
        ["method", "accuracy", "macro F1"], [[words.get(name, name), *row] for name, *row in rows], numbers=(1, 2)
    )
    print("\nwhat some answers rest on:")
    for one in learnt.explanations[:4]:
        parts = ", ".join(f"{part.what} {part.weight:+.1f}" for part in one.of_kind("modality")[:3])
        packets = ", ".join(part.what for part in one.of_kind("packet")[:2])
        print(f"  {one.label}: {parts}{f'; {packets}' if packets else ''}")
