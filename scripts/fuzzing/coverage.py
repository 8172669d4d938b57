"""Fuzzes a target with atheris, guided by the lines of Python that an input reaches, and keeps what reached new ones.

Compiled kernels say nothing about the lines that they reach, and their files cannot be instrumented; so this is for
exports and logs, whose readers are mostly Python. Captures have mutation of thousands of broken captures instead.
"""

import importlib
import json
import random
import sys
import time
import types
from pathlib import Path

import atheris

from .seeds import REPOSITORY
from .targets import TARGETS, Target
from .worker import keep_failure

START_INPUTS = 300
MOST_BYTES = 4096


def grow(name: str, seed: int, seconds: float, folder: Path) -> None:
    """Run for the given time; atheris ends the process itself. Inputs of interest stay in `corpus/NAME`."""
    target = TARGETS[name]
    corpus = folder / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    _fill(target, corpus, random.Random(seed))
    path, progress = folder / f"{name}.input", folder / f"{name}.json"
    path.write_bytes(target.first_input())
    target.read(path)  # compiles, before anything is instrumented
    for module in _plain_modules():
        _instrument(module)
    begin = time.monotonic()
    counts: dict[str, int] = {"executions": 0, "failures": 0, "bytes": 0}
    kinds: dict[str, int] = {}

    def report(spent_s: float) -> None:
        progress.write_text(json.dumps(counts | {"kinds": kinds, "seconds": round(spent_s, 1)}))

    def once(data: bytes) -> None:
        path.write_bytes(data)
        try:
            for what, count in target.read(path).items():
                counts[what] = counts.get(what, 0) + count
        except Exception as error:
            counts["failures"] += 1
            keep_failure(folder, name, data, error, kinds)
        counts["executions"] += 1
        counts["bytes"] += len(data)
        if counts["executions"] % 50 == 0:
            report(time.monotonic() - begin)

    report(seconds)
    options = [f"-max_total_time={int(seconds)}", f"-seed={seed}", f"-max_len={MOST_BYTES}", "-verbosity=0"]
    atheris.Setup(["fuzz", *options, str(corpus)], once)
    atheris.Fuzz()


def _plain_modules() -> list[str]:
    """Modules of ours below `sources` that hold no kernel."""
    root = REPOSITORY / "src"
    files = [path for path in (root / "flowlore" / "sources").rglob("*.py") if path.name != "__init__.py"]
    plain = [path for path in files if "compiled import" not in path.read_text() and "numba" not in path.read_text()]
    return [".".join(path.relative_to(root).with_suffix("").parts) for path in plain]


def _instrument(name: str) -> None:
    """Every function and method that the module defines. (atheris's import hook would change kernels too.)"""
    module = importlib.import_module(name)
    homes = [module, *(value for value in vars(module).values() if isinstance(value, type))]
    for home in homes:
        for value in list(vars(home).values()):
            function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
            if isinstance(function, types.FunctionType) and function.__module__ == name:
                atheris.instrument_func(function)


def _fill(target: Target, corpus: Path, chance: random.Random) -> None:
    """Begin with the beginnings of some seeds, unless an earlier run has left a corpus."""
    if any(corpus.iterdir()):
        return
    known = target.seeds()
    for ordinal in range(START_INPUTS):
        (corpus / f"seed-{ordinal}").write_bytes(chance.choice(known)[:MOST_BYTES])


if __name__ == "__main__":
    grow(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]))
