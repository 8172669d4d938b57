"""`flowlore predict`."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import TaskError
from . import learning, options

if TYPE_CHECKING:
    import pyarrow as pa

    from ..config import PipelineConfig

    Answers = Iterator[tuple[pa.Table, frozenset[str]]]


def predict(
    bundle: learning.BundleName,
    flows: options.Inputs = None,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="OUT", help="A .parquet, .csv or .jsonl file, - for JSON lines; else a summary."
        ),
    ] = "",
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Also write what decided and the nearest labelled flows; 100 times as long."),
    ] = False,
    interface: options.Interface = None,
    listen: options.Listen = None,
    duration: options.Duration = None,
    where: options.Where = None,
    overwrite: options.Overwrite = False,
    config: options.ConfigFile = None,
    set: options.Set = None,
    json: options.Json = False,
) -> None:
    """Name the class of each flow, with its confidence, and say which are like nothing known.

    \b
    flowlore predict office-5shot capture.pcap -o answers.parquet
    flowlore predict office-5shot --listen :2055 -o -
    """
    learning.require_extra()
    import contextlib
    import sys

    from ..errors import OutputError
    from ..flows.write import open_writer
    from .metering import Request, check
    from .text import print_json

    if explain and not output:
        raise OutputError(
            "predict: `--explain` has nowhere to write to", hint="`--output answers.parquet`, or `flowlore explain`"
        )
    request = Request(
        verb="predict", may_be_live=True, inputs=flows or [], interface=interface, listen=listen, duration_s=duration,
        where=where,
    )  # fmt: skip
    check(request)
    settings = options.resolved(config, set)
    answers_to = _answers_to(bundle, settings, explain, patient=not request.is_live)
    named: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    masked: frozenset[str] | None = None
    rows, has_doubts = 0, True
    with contextlib.ExitStack() as stack:
        writer = open_writer(output, overwrite=overwrite, metadata={"bundle": bundle}) if output else None
        if writer is not None:
            stack.enter_context(writer)
        for answers, lacking in answers_to(learning.batches_as_asked(request, settings)):
            masked = lacking if masked is None else masked & lacking
            labels, doubts = answers["label"].to_pylist(), answers["unknown"].to_pylist()
            has_doubts = has_doubts and answers["unknown"].null_count < max(len(answers), 1)
            named.update(str(label) for label in labels)
            unknown.update(str(label) for label, doubt in zip(labels, doubts, strict=True) if doubt)
            rows += len(answers)
            if writer is not None:
                for part in answers.to_batches():
                    writer.write(part)
        if not request.is_live:
            learning.require_flows(rows, request.inputs, where)
    report = {
        "flows": rows,
        "labels": dict(named.most_common()),
        "unknown": unknown.total() if has_doubts else None,
        "masked": sorted(masked or ()),
        "output": output or None,
    }
    with contextlib.redirect_stdout(sys.stderr) if output == "-" else contextlib.nullcontext():
        if json:
            print_json(report)
        else:
            _print(report, unknown)


def _print(report: dict[str, Any], unknown: Counter[str]) -> None:
    from .text import print_table, printable

    learning.print_masked(report["masked"])
    rows = [
        [label, f"{count:,}", "not told" if report["unknown"] is None else f"{unknown[label]:,}"]
        for label, count in report["labels"].items()
    ]
    print_table(["label", "flows", "of them like nothing known"], rows, numbers=(1, 2))
    if report["output"]:
        print(f"{report['flows']:,} answers → {printable(report['output'])}")


def _answers_to(
    bundle: str, settings: "PipelineConfig", explain: bool, patient: bool
) -> Callable[[Iterator[Any]], "Answers"]:
    """What answers: a taught bundle, or the classifier that learnt together with a generator."""
    from ..tasks.bundle import load_bundle
    from ..tasks.bundle_shelf import find_bundle
    from ..tasks.generation import Imitator
    from ..tasks.predictor import Predictor

    held = load_bundle(find_bundle(bundle))
    if "generator" in held.states:
        imitator = Imitator.from_bundle(held)
        imitator.taught()
        if explain:
            raise TaskError(
                f"predict: the classifier of the generator `{imitator.name}` gives no reasons",
                hint="leave out `--explain`",
            )
        return lambda batches: ((imitator.predict(batch), frozenset[str]()) for batch in batches)
    predictor = learning.fitting(Predictor.from_bundle(held), settings)
    predictor.taught()

    def answers(batches: Iterator[Any]) -> "Answers":
        from ..tasks.explanation import with_reasons

        for batch, embedding in predictor.embed_batches(batches, patient=patient):
            table = predictor.predict_embedded(batch, embedding)
            yield (with_reasons(table, predictor, batch) if explain else table), frozenset(embedding.masked)

    return answers
