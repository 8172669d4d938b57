"""`flowlore demo`."""

from pathlib import Path
from typing import Annotated

import typer

from . import options

DEMO = Path(__file__).resolve().parent.parent / "data" / "demo"
DEMO_CAPTURE = DEMO / "office.pcapng"


def demo(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Also write flows.parquet and inspect.html here."),
    ] = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Meter a capture that ships with the package.

    It needs no network, and shows what is in the capture.
    """
    import time
    from contextlib import suppress

    from ..flows.place import FileInTheMaking, output_errors
    from ..pages.inspect_page import inspect_page
    from ..pages.inspection import Inspector
    from ..sources.reading import read
    from .inspection import print_inspection
    from .metering import report
    from .text import print_json

    began = time.perf_counter()
    flows = read(DEMO_CAPTURE)
    seconds = time.perf_counter() - began
    inspector = Inspector()
    inspector.add(flows.to_arrow())
    found = inspector.finish(flows.account)
    if output is not None:
        is_new = not output.exists()
        try:
            with output_errors(str(output)):
                output.mkdir(parents=True, exist_ok=True)
            flows.write(output / "flows.parquet", overwrite=overwrite)
            page = FileInTheMaking(output / "inspect.html", overwrite=overwrite)
            try:
                with output_errors(page.path):
                    page.stream.write(inspect_page(found, DEMO_CAPTURE.name).encode())
                page.commit()
            finally:
                page.abort()
        finally:
            if is_new:
                with suppress(OSError):
                    output.rmdir()  # it goes only where nothing came to lie in it
    if json:
        print_json(report(flows.account, written=len(flows)) | {"seconds": round(seconds, 6)})
        return
    print("A small office for 39 seconds, made with real clients and servers; it ships with the package.\n")
    print_inspection(found)
    print(f"\n{len(flows):,} flows in {seconds:.2f} s. Next, with a capture of your own:")
    print("  flowlore flows CAPTURE -o flows.parquet")
    print("  flowlore inspect CAPTURE --html page.html")
    print('  flowlore query "select server_name, count(*) from flows group by all" flows.parquet')
