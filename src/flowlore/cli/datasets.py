"""`flowlore datasets`."""

from typing import Annotated

import typer

from . import options


def datasets(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One data set, in full.")] = None,
    json: options.Json = False,
) -> None:
    """List public data sets.

    Where each is, its licence, its labels, and whether it is at hand.
    """
    raise NotImplementedError
