"""`flowlore map`."""

from pathlib import Path
from typing import Annotated

import typer

from . import learning, options


def map(
    bundle: learning.BundleName,
    flows: learning.Flowed,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT.html", help="The page that is written.")],
    most: Annotated[
        int, typer.Option("--most", metavar="N", min=10, help="Most flows on the map; of more, some are chosen.")
    ] = 50_000,
    new: Annotated[
        list[str] | None,
        typer.Option("--new", metavar="IN", help="Place these flows on the map of the others. May be repeated."),
    ] = None,
    labels: learning.LabelFile = None,
    seed: learning.Seed = 0,
    where: options.Where = None,
    overwrite: options.Overwrite = False,
    config: options.ConfigFile = None,
    set: options.Set = None,
    json: options.Json = False,
) -> None:
    """Draw flows on a plane, those that are alike close together, as a page to look into.

    \b
    flowlore map laboratory capture.pcap -o map.html
    """
    learning.require_extra()
    import contextlib

    import numpy as np

    from ..flows.annotate import Annotator
    from ..flows.place import FileInTheMaking, output_errors
    from ..pages.map_page import map_page
    from ..tasks.flow_map import FlowMapper
    from .text import print_json, printable

    settings = options.resolved(config, set)
    predictor = learning.loaded(bundle, settings)
    with contextlib.ExitStack() as stack:
        page = FileInTheMaking(output, overwrite=overwrite)
        stack.callback(page.abort)
        annotator = stack.enter_context(Annotator(labels)) if labels is not None else None
        mapper = FlowMapper(predictor, most=most, with_new=bool(new))
        for is_new, inputs in ((False, flows), (True, new or [])):
            for batch in learning.batches_of(inputs, settings, where) if inputs else ():
                mapper.add(batch if annotator is None else annotator(batch), is_new=is_new)
        if annotator is not None and labels is not None:
            annotator.require_match()
            learning.print_losses(labels, annotator.report())
        drawn = mapper.finish(rng=np.random.default_rng(seed))
        with output_errors(page.path):
            page.stream.write(map_page(drawn, _title(flows)).encode())
        page.commit()
    if json:
        print_json(drawn.as_json() | {"output": str(output)})
        return
    learning.print_masked(list(drawn.masked))
    print(f"{drawn.rule} on the map; trustworthiness {drawn.faith.trustworthiness:.3f}, {len(drawn.clusters)} clusters")
    if drawn.blank:
        print(f"{drawn.blank:,} flows have nothing that the bundle looks at, and no place")
    print(f"page → {printable(str(output))}")


def _title(inputs: list[str]) -> str:
    name = Path(inputs[0]).name or inputs[0]
    return f"Map of {name}" if len(inputs) == 1 else f"Map of {name} and {len(inputs) - 1} more"
