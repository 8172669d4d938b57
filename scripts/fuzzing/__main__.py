"""The watcher: gives each target its share of the time in a process of its own, and begins again after a crash."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import report
from .seeds import REPOSITORY
from .targets import TARGETS

FOLDER = REPOSITORY / "build" / "fuzz"
COVERED = ("exports", "logs")  # readers that are mostly Python
MOST_CRASHES = 25  # of one target; then it needs a person, not more time
SILENCE_S = 600  # a worker that reports nothing for so long hangs; compiling takes a minute or two of it


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description="Feeds changed inputs to everything that reads.")
    parser.add_argument("--minutes", type=float, default=60.0, help="of all targets together (default: 60)")
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--coverage", action="store_true", help="guided by coverage (atheris), of exports and logs")
    parser.add_argument("--keep-cache", action="store_true", help="use the kernels that the last run compiled")
    parser.add_argument("--report", action="store_true", help="record the last runs, and write docs/robustness.md")
    arguments = parser.parse_args()
    if arguments.report:
        report.record()
        return
    targets = [name for name in arguments.targets if not arguments.coverage or name in COVERED]
    if not targets:
        parser.error(f"--coverage guides {' and '.join(COVERED)} only")
    if arguments.minutes <= 0:
        parser.error(f"--minutes {arguments.minutes:g} leaves no time")
    FOLDER.mkdir(parents=True, exist_ok=True)
    cache = FOLDER / "compiled"
    if not arguments.keep_cache:
        shutil.rmtree(cache, ignore_errors=True)
    how = "coverage" if arguments.coverage else "mutation"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "NUMBA_BOUNDSCHECK": "1"}
    if arguments.coverage:
        environment["PYTHONPATH"] = f"{environment.get('PYTHONPATH', '')}:{_atheris()}"
    begin = time.monotonic()
    results = {
        name: _watch(name, how, arguments.seed, arguments.minutes * 60 / len(targets), environment) for name in targets
    }
    summary = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "how": how,
        "seconds": round(time.monotonic() - begin),
        "seed": arguments.seed,
        "bounds_checks": True,
        "targets": results,
    }
    (FOLDER / f"summary-{how}.json").write_text(json.dumps(summary, indent=1) + "\n")
    print(json.dumps(summary, indent=1))
    sys.exit(1 if any(result["failures"] or result["crashes"] for result in results.values()) else 0)


def _watch(name: str, how: str, seed: int, seconds: float, environment: dict[str, str]) -> dict[str, Any]:
    """Workers one after another until the time is up; each crash is counted and its input kept."""
    totals: dict[str, Any] = {"seconds": 0.0, "kinds": {}}
    totals |= dict.fromkeys(("executions", "bytes", "packets", "records", "failures", "crashes"), 0)
    progress = FOLDER / f"{name}.json"
    module = "fuzzing.worker" if how == "mutation" else "fuzzing.coverage"
    while (left := seconds - totals["seconds"]) > 1 and totals["crashes"] < MOST_CRASHES:
        progress.unlink(missing_ok=True)
        words = [sys.executable, "-m", module, name, str(seed), str(left), str(FOLDER)]
        process = subprocess.Popen(words, env=environment)
        hung = _wait(process, progress)
        _add(totals, progress)
        if hung or process.returncode:
            totals["crashes"] += 1
            ended = f"hang-{seed}" if hung else f"{_signal(process.returncode)}-{seed}"
            failures = FOLDER / "failures"
            failures.mkdir(exist_ok=True)
            shutil.copyfile(FOLDER / f"{name}.input", failures / f"{name}-{ended}.bin")
            totals["kinds"][ended] = 1
        seed += 1000
        print(f"{name}: {totals}", flush=True)
    return totals


def _wait(process: "subprocess.Popen[bytes]", progress: Path) -> bool:
    """Wait for the end. True where it was silent for too long and had to be ended."""
    begin = time.time()
    while True:
        try:
            process.wait(5)
            return False
        except subprocess.TimeoutExpired:
            last = progress.stat().st_mtime if progress.exists() else begin
            if time.time() - last > SILENCE_S:
                process.kill()
                process.wait()
                return True


def _add(totals: dict[str, Any], progress: Path) -> None:
    if not progress.exists():
        return
    for name, count in json.loads(progress.read_text()).items():
        if name == "kinds":
            for kind, times in count.items():
                totals["kinds"][kind] = totals["kinds"].get(kind, 0) + times
        else:
            totals[name] = totals.get(name, 0) + count


def _signal(code: int) -> str:
    return signal.Signals(-code).name.lower() if code < 0 else f"exit-{code}"


def _atheris() -> Path:
    """atheris, in a folder of its own so that the environment stays as the constraints file says."""
    folder = FOLDER / "atheris"
    if not folder.exists():
        words = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), "atheris"]
        subprocess.run(words, check=True)
    return folder


if __name__ == "__main__":
    main()
