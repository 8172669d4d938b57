"""Runs one target until its time is up, keeping the input at hand on disk, so that a crash leaves it behind."""

import hashlib
import json
import random
import sys
import time
import traceback
from pathlib import Path

from .targets import TARGETS


def work(name: str, seed: int, seconds: float, folder: Path) -> None:
    """Progress goes to `NAME.json` every second or so; the input being read is in `NAME.input`."""
    target = TARGETS[name]
    chance = random.Random(seed)
    path, progress = folder / f"{name}.input", folder / f"{name}.json"
    counts: dict[str, int] = {"executions": 0, "failures": 0, "bytes": 0}
    kinds: dict[str, int] = {}
    path.write_bytes(target.first_input())
    target.read(path)  # compiles; the clock starts afterwards
    begin = time.monotonic()
    due = begin
    while time.monotonic() < begin + seconds:
        data = target.next_input(chance)
        path.write_bytes(data)
        try:
            for what, count in target.read(path).items():
                counts[what] = counts.get(what, 0) + count
        except Exception as error:
            counts["failures"] += 1
            keep_failure(folder, name, data, error, kinds)
        counts["executions"] += 1
        counts["bytes"] += len(data)
        if time.monotonic() >= due:
            _report(progress, counts, kinds, begin)
            due = time.monotonic() + 1.0
    _report(progress, counts, kinds, begin)


def _report(progress: Path, counts: dict[str, int], kinds: dict[str, int], begin: float) -> None:
    progress.write_text(json.dumps(counts | {"kinds": kinds, "seconds": round(time.monotonic() - begin, 1)}))


def keep_failure(folder: Path, name: str, data: bytes, error: Exception, kinds: dict[str, int]) -> None:
    """Save the first input of each kind of failure: the same error at the same place is the same kind."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "flowlore" in frame.filename]
    place = f"{Path(frames[-1].filename).name}:{frames[-1].name}" if frames else "?"
    kind = f"{type(error).__name__} in {place}"
    kinds[kind] = kinds.get(kind, 0) + 1
    if kinds[kind] > 3:
        return
    stem = f"{name}-{hashlib.sha256(data).hexdigest()[:10]}"
    failures = folder / "failures"
    failures.mkdir(exist_ok=True)
    (failures / f"{stem}.bin").write_bytes(data)
    (failures / f"{stem}.txt").write_text("".join(traceback.format_exception(error)))


if __name__ == "__main__":
    work(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]))
