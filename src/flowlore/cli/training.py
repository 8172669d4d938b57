"""What people see of a training: one line with the loss and the time left, and a file with every step."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..models.training import Progress

REDRAWN_EVERY_S = 0.5
WRITTEN_EVERY_S = 10.0  # where standard error is no terminal

Log = Annotated[
    Path | None,
    typer.Option("--log", metavar="FILE.jsonl", help="Append every step of the training to this file, as JSON lines."),
]
ShowProgress = Annotated[
    bool | None, typer.Option("--progress/--no-progress", help="Show progress; by default only on a terminal.")
]


@contextmanager
def watching(wanted: bool | None, log: Path | None) -> Iterator[Callable[[Progress], None]]:
    """What a training calls after each step."""
    from ..flows.place import output_errors

    is_terminal = sys.stderr.isatty()
    shown = is_terminal if wanted is None else wanted
    last = time.monotonic()
    file = None
    if log is not None:
        with output_errors(str(log)):
            file = log.open("a", encoding="utf-8")

    def watch(step: Progress) -> None:
        nonlocal last
        if file is not None:
            with output_errors(str(log)):
                file.write(step.as_json_line() + "\n")
        now = time.monotonic()
        is_due = now - last >= (REDRAWN_EVERY_S if is_terminal else WRITTEN_EVERY_S)
        if shown and (is_due or step.step == step.steps):
            last = now
            line = training_line(step)
            sys.stderr.write(f"\r\x1b[2K{line}" if is_terminal else f"{line}\n")
            sys.stderr.flush()

    try:
        yield watch
    finally:
        if shown and is_terminal:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
        if file is not None:
            file.close()


def training_line(step: Progress) -> str:
    """`epoch 3, step 1,200 of 4,040 (30 %), loss 3.21, validation 3.30, 2 min left`."""
    from ..pages.words import duration_words

    validation = "" if step.validation_loss is None else f", validation {step.validation_loss:.3f}"
    left = duration_words(round(step.seconds_left) * 1e9)
    return (
        f"epoch {step.epoch + 1}, step {step.step:,} of {step.steps:,} ({100 * step.step / step.steps:.0f} %), "
        f"loss {step.loss:.3f}{validation}, {left} left"
    )
