"""`flowlore explain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import learning, options

if TYPE_CHECKING:
    from ..flows.table import Flows
    from ..tasks.predictor import Predictor

PICKS = ("typical", "doubtful", "first")


def explain(
    bundle: learning.BundleName,
    flows: learning.Flowed,
    flow_id: Annotated[
        list[str] | None,
        typer.Option(
            "--flow", metavar="FLOW_ID", help="Explain this flow, by its id or the beginning of it. May be repeated."
        ),
    ] = None,
    count: Annotated[int, typer.Option("--count", metavar="N", min=1, help="How many flows to explain.")] = 10,
    pick: Annotated[
        str,
        typer.Option(
            "--pick", metavar="HOW", help="typical: the surest of each class in turn; doubtful: the least sure; first."
        ),
    ] = "typical",
    html: Annotated[
        Path | None, typer.Option("--html", metavar="OUT.html", help="Write a page with pictures to this file.")
    ] = None,
    labels: learning.LabelFile = None,
    where: options.Where = None,
    overwrite: options.Overwrite = False,
    config: options.ConfigFile = None,
    set: options.Set = None,
    json: options.Json = False,
) -> None:
    """Say why flows are named as they are.

    Which modalities, packets and quantities decided, and the nearest labelled flows.

    \b
    flowlore explain office-5shot capture.pcap --where "dst_port = 443"
    """
    learning.require_extra()
    import contextlib

    from ..flows.place import FileInTheMaking, output_errors
    from ..pages.explanation_cards import explanation_page
    from ..tasks.explanation import explain as explained
    from .text import print_json

    _check_pick(pick)
    settings = options.resolved(config, set)
    predictor = learning.loaded(bundle, settings)
    predictor.taught()
    with contextlib.ExitStack() as stack:
        page = FileInTheMaking(html, overwrite=overwrite) if html is not None else None
        if page is not None:
            stack.callback(page.abort)
        table = learning.read_flows(flows, settings, where=where, labels=labels)
        chosen = _chosen(predictor, table, flow_id or [], count, pick)
        found = explained(predictor, chosen, most_of_each=5 if html is None else 64)
        if page is not None:
            lead = f"{len(found)} of {len(table):,} flows, named by bundle {bundle}"
            with output_errors(page.path):
                page.stream.write(explanation_page(found, chosen, f"Why: {Path(flows[0]).name}", lead).encode())
            page.commit()
    if json:
        rows = [one.as_json() for one in found]
        print_json({"flows": len(table), "explained": rows} | ({"html": str(html)} if html is not None else {}))
        return
    _print(found)
    if html is not None:
        print(f"\npage → {html}")


def _check_pick(pick: str) -> None:
    from ..errors import SettingError

    if pick not in PICKS:
        raise SettingError(f"explain: flows cannot be picked by `{pick}`", hint=f"choose from {', '.join(PICKS)}")


def _chosen(predictor: Predictor, table: Flows, ids: list[str], count: int, pick: str) -> Flows:
    """The flows to explain, in the order in which they are told."""
    import pyarrow as pa

    from ..flows.table import Flows
    from ..tasks.raw import texts
    from ..tasks.retrieval import rows_of

    if ids:
        known = texts(table, "flow_id")
        rows = [int(rows_of(known, one)[0]) for one in ids]
    else:
        rows = _picked(predictor, table, count, pick)
    return Flows(table.to_arrow().take(pa.array(rows, pa.int64())))


def _picked(predictor: Predictor, table: Flows, count: int, pick: str) -> list[int]:
    """Rows by the word: typical flows come class by class in turn, the surest first."""
    import numpy as np

    if pick == "first":
        return list(range(min(count, len(table))))
    answers = predictor.predict(table)
    sure = np.nan_to_num(answers["confidence"].to_numpy(), nan=-1.0)
    if pick == "doubtful":
        order: list[int] = np.argsort(np.where(sure < 0, 2.0, sure), kind="stable")[:count].tolist()
        return order
    labels = answers["label"].to_pylist()
    turns: dict[Any, int] = {}
    ranked = []
    for row in np.argsort(-sure, kind="stable").tolist():
        if labels[row] is not None:
            turns[labels[row]] = turns.get(labels[row], -1) + 1
            ranked.append((turns[labels[row]], labels[row], row))
    return [row for _, _, row in sorted(ranked)[:count]]


def _print(found: list[Any]) -> None:
    from .text import print_table, printable

    for one in found:
        rival = f", then {one.rival} {one.rival_confidence:.0%}" if one.rival else ""
        unknown = "; it is like nothing known" if one.unknown else ""
        print("\n" + printable(f"{one.flow_id}  {one.label} {one.confidence:.0%}{rival}{unknown}"))
        rows = [[f"  {part.what}", part.value, f"{part.weight:+.2f}", f"{part.change:+.3f}"] for part in _told(one)]
        print_table(["  hidden part", "value", "log odds", "probability"], rows, numbers=(2, 3))
        near = ", ".join(f"{one.label} {one.likeness:.2f}" for one in one.neighbours)
        print(printable(f"  nearest labelled flows: {near}"))


def _told(one: Any) -> list[Any]:
    """All modalities, and of the rest what weighs most."""
    return [
        part
        for kind, most in (("modality", 4), ("channel", 3), ("packet", 3), ("quantity", 3))
        for part in one.of_kind(kind)[:most]
    ]
