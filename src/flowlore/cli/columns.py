"""`flowlore columns`."""

from . import options


def columns(json: options.Json = False) -> None:
    """Show the columns of the flow table.

    Type, unit and meaning; with --json also which sources can know each.
    """
    from ..flows.schema import columns as all_columns
    from .text import print_json, print_table

    rows = [
        {
            "name": column.name,
            "type": str(column.type),
            "group": column.group,
            "unit": column.unit,
            "meaning": column.meaning,
            "known_by": list(column.known_by),
        }
        for column in all_columns()
    ]
    if json:
        print_json(rows)
    else:
        print_table(
            ["column", "type", "unit", "meaning"],
            [[str(row[name]) for name in ("name", "type", "unit", "meaning")] for row in rows],
        )
