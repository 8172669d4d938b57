"""`flowlore warm`."""

from typing import Any

from . import options


def warm(json: options.Json = False) -> None:
    """Compile ahead of the first use.

    Kernels are compiled for this machine once, and kept on disk.
    """
    import time

    from .text import print_json
    from .warming import steps

    done: list[dict[str, Any]] = []
    for what, step in steps():
        if not json:
            print(f"compiling {what} … ", end="", flush=True)
        began = time.perf_counter()
        step()
        seconds = time.perf_counter() - began
        done.append({"kernels": what, "seconds": round(seconds, 3)})
        if not json:
            print(f"{seconds:.1f} s", flush=True)
    if json:
        print_json({"steps": done, "seconds": round(sum(step["seconds"] for step in done), 3)})
