"""`flowlore plugins`."""

from . import options


def plugins(json: options.Json = False) -> None:
    """List sources and other parts, own and plugged in."""
    from ..config import registries
    from .text import print_json, print_table

    rows = [
        {
            "kind": registry.kind,
            "name": entry.name,
            "package": entry.package,
            "version": entry.version,
            "target": entry.target,
        }
        for registry in registries()
        for entry in registry.entries().values()
    ]
    if json:
        print_json(rows)
    else:
        print_table(["kind", "name", "package", "version"], [list(row.values())[:4] for row in rows])
