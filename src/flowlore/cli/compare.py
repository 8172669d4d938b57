"""`flowlore compare`."""

from pathlib import Path
from typing import Annotated

import typer

from . import learning, options

SHOWN = 12


def compare(
    first: learning.Flowed,
    second: Annotated[list[str], typer.Option("--with", metavar="IN", help="What to compare with; may be repeated.")],
    by: Annotated[
        str,
        typer.Option("--by", metavar="COLUMN", help="Also for each value of this column, e.g. app_protocol or label."),
    ] = "",
    html: Annotated[
        Path | None, typer.Option("--html", metavar="OUT.html", help="Write a page with pictures to this file.")
    ] = None,
    where: options.Where = None,
    seed: learning.Seed = 0,
    overwrite: options.Overwrite = False,
    config: options.ConfigFile = None,
    set: options.Set = None,
    json: options.Json = False,
) -> None:
    """Show how far two sets of traffic lie apart, and whether trees can tell them apart.

    Is traffic of the laboratory like yours? Has a network changed since spring? The trees are asked about clients that
    they did not see; 0.5 means that they cannot tell, 1 that they always can.

    \b
    flowlore compare lab/gate.pcapng --with office.pcap --by app_protocol --html page.html
    """
    learning.require_extra()
    import contextlib

    import numpy as np

    from ..flows.place import FileInTheMaking, output_errors
    from ..pages.comparison_page import comparison_page
    from ..tasks.comparison import compare as compare_flows
    from .text import print_json, printable

    settings = options.resolved(config, set)
    names = (_name(first), _name(second))
    with contextlib.ExitStack() as stack:
        out = FileInTheMaking(html, overwrite=overwrite) if html is not None else None
        if out is not None:
            stack.callback(out.abort)
        sets = [learning.read_flows(inputs, settings, where=where) for inputs in (first, second)]
        found = compare_flows(*sets, by=by, rng=np.random.default_rng(seed))
        if out is not None:
            with output_errors(out.path):
                out.stream.write(comparison_page(found, names).encode())
            out.commit()
    if json:
        print_json(found.as_json() | ({"html": str(html)} if html is not None else {}))
        return
    for name, flows, which in zip(names, (found.first_flows, found.second_flows), ("first", "second"), strict=True):
        print(f"{which:<7} {flows:,} flows of {printable(name)}")
    print()
    rows = [("first and second", found.apart)]
    rows += [
        (f"halves of the {which}", one)
        for which, one in (("first", found.within_first), ("second", found.within_second))
        if one
    ]
    rows += [(f"by {name} only", one) for name, one in found.families.items()]
    rows += [(f"{by} {printable(name)}", one) for name, one in found.groups.items()]
    wide = max(len(name) for name, _ in rows)
    print(f"{'told apart on clients not seen':<{wide}}")
    for name, one in rows:
        print(f"  {name:<{wide}}  {one.auc:.3f}  ({one.low:.3f} to {one.high:.3f})")
    if found.too_few:
        print(f"  too few flows or clients of: {', '.join(map(printable, found.too_few))}")
    print("\nlargest distances between distributions (0: alike, 1: apart)")
    for difference in found.differences[:SHOWN]:
        print(f"  {difference.name:<32} {difference.distance:.3f}")
    if html is not None:
        print(f"\npage → {html}")


def _name(inputs: list[str]) -> str:
    name = Path(inputs[0]).name or inputs[0]
    return name if len(inputs) == 1 else f"{name} and {len(inputs) - 1} more"
