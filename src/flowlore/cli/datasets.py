"""`flowlore datasets`."""

from typing import Annotated, Any

import typer

from . import options


def datasets(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One data set, in full.")] = None,
    config: options.ConfigFile = None,
    set: options.Set = None,
    json: options.Json = False,
) -> None:
    """List public data sets.

    Where each is, its licence, its labels, and whether it is at hand.
    """
    from dataclasses import asdict

    from ..sources.datasets.catalogue import catalogue, dataset
    from ..sources.datasets.loading import is_present
    from .text import print_json, print_table

    settings = options.resolved(config, set).datasets
    found = list(catalogue().values()) if name is None else [dataset(name)]
    here = {one.name: is_present(one.name, settings=settings) for one in found}
    if json:
        described = [asdict(one) | {"is_here": here[one.name]} for one in found]
        print_json(described if name is None else described[0])
    elif name is None:
        rows = [[one.name, "here" if here[one.name] else "", one.kind, one.licence, one.title] for one in found]
        print_table(["data set", "", "holds", "licence", "title"], rows)
        print("\n`flowlore datasets NAME` shows one in full.")
    else:
        _print_dataset(found[0], here[name])


def _print_dataset(one: Any, is_here: bool) -> None:
    print(f"{one.name}: {one.title}\n\n{one.what}\n")
    print(f"page      {one.page}\nlicence   {one.licence}\nweights   {one.weights}\nlabel     {one.label or 'none'}")
    print(f"at hand   {'yes' if is_here else 'no'}")
    for item in one.files:
        print(f"file      {item.path}" + (f"  sha256 {item.sha256}" if item.sha256 else ""))
    for trap in one.traps:
        print(f"beware    {trap}")
    print(f"cite      {one.citation}")
