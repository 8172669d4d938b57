"""What compiles kernels: small runs of everything that has some, on what ships with the package."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from .demo import DEMO_CAPTURE


def steps() -> Iterator[tuple[str, Callable[[], None]]]:
    """What is compiled, in words, and a call that does it."""
    yield "packets, meter and names", _read_capture
    yield "text of addresses", _write_text


def _read_capture() -> None:
    from ..sources.reading import scan

    for _ in scan([str(DEMO_CAPTURE)]):
        pass


def _write_text() -> None:
    from ..flows.write import open_writer
    from ..sources.reading import scan

    with tempfile.TemporaryDirectory(prefix="flowlore-warm-") as folder, open_writer(Path(folder) / "a.csv") as writer:
        for batch in scan([str(DEMO_CAPTURE)]):
            writer.write(batch)
