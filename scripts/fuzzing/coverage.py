"""Grows the corpus of a target with atheris, guided by the lines that an input reaches.

Kernels run as Python here, slowly and with other rules for numbers, so that nothing found here is a fault. Inputs are
kept as seeds, and the compiled kernels meet them in the next run of mutation.
"""

import json
import random
import sys
import time
from contextlib import suppress
from pathlib import Path

import atheris

from .targets import TARGETS, Target, capture_of, frames_of

START_INPUTS = 300
MOST_BYTES = 4096


def grow(name: str, seed: int, seconds: float, folder: Path) -> None:
    """Run for the given time; atheris ends the process itself."""
    target = TARGETS[name]
    corpus = folder / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    _fill(target, corpus, random.Random(seed))
    path, progress = folder / f"{name}.input", folder / f"{name}.json"
    with atheris.instrument_imports(include=["flowlore"]), suppress(Exception):
        path.write_bytes(target.first_input())
        target.read(path)
    begin, executions = time.monotonic(), 0

    def once(data: bytes) -> None:
        nonlocal executions
        path.write_bytes(capture_of([data]) if name == "frames" else data)
        with suppress(Exception):
            target.read(path)
        executions += 1
        if executions % 20 == 0:
            spent = round(time.monotonic() - begin, 1)
            progress.write_text(json.dumps({"executions": executions, "seconds": spent, "kinds": {}}))

    progress.write_text(json.dumps({"executions": 0, "seconds": seconds, "kinds": {}}))
    options = [f"-max_total_time={int(seconds)}", f"-seed={seed}", f"-max_len={MOST_BYTES}", "-verbosity=0"]
    atheris.Setup(["fuzz", *options, str(corpus)], once)
    atheris.Fuzz()


def _fill(target: Target, corpus: Path, chance: random.Random) -> None:
    """Begin with small pieces of the seeds, unless an earlier run has left a corpus."""
    if any(corpus.iterdir()):
        return
    known = target.seeds()
    for ordinal in range(START_INPUTS):
        data = chance.choice(known)
        if target.name == "frames":
            frames = frames_of(data)
            data = chance.choice(frames) if frames else b""
        (corpus / f"seed-{ordinal}").write_bytes(data[:MOST_BYTES])


if __name__ == "__main__":
    grow(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]))
