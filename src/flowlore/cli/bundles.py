"""`flowlore bundles`."""

from . import options


def bundles(json: options.Json = False) -> None:
    """List bundles that a name finds: your own, and those that ship with the package."""
    from ..tasks.bundle_shelf import bundle_folders, list_bundles
    from .text import print_json, print_table, printable

    found = list_bundles()
    if json:
        print_json(found)
        return
    if not found:
        print(f"no bundles in {' or '.join(printable(str(folder)) for folder in bundle_folders())}")
        return
    rows = [
        [
            row["name"],
            row.get("model", "-"),
            str(len(row.get("labels", ()))),
            row["problem"]
            if "problem" in row
            else f"{row['bytes']:,} bytes, {'packaged' if row['packaged'] else 'own'}",
        ]
        for row in found
    ]
    print_table(["bundle", "model", "labels", ""], rows, numbers=(2,))
