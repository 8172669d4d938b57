"""Measures one finished process: wall clock, processor time and peak memory as the kernel accounts them."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from .machine import without_folders

SAMPLE_EVERY_S = 0.02
LAUNCHER = Path(__file__).with_name("launch.py")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of one command. Memory is in MB of 10^6 bytes."""

    wall_s: float
    cpu_s: float  # user and system, of the process and the children it waited for
    peak_rss_mb: float  # of the largest single process, file pages included
    peak_private_mb: float  # sampled sum over the process tree without file pages; 0 unless asked for
    exit_code: int
    last_line: str
    error: str


def run_once(
    command: Sequence[str],
    *,
    cores: Sequence[int] | None = None,
    environment: dict[str, str] | None = None,
    timeout_s: float = 900,
    sample_memory: bool = False,
) -> Run:
    """Run to the end on the given cores (all of them by default). A command that cannot start has exit code 127."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "usage.json"
        pinned = ",".join(map(str, cores)) if cores else ""
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(LAUNCHER), str(report), pinned, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**_usual_environment(), **(environment or {})},
            start_new_session=True,
        )
        sampler = _Sampler(process.pid) if sample_memory else None
        try:
            out, err = process.communicate(timeout=timeout_s)
            late = ""
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            late = f"longer than {timeout_s:.0f} s"
        private_mb = sampler.stop() if sampler else 0.0
        usage = json.loads(report.read_text()) if report.exists() else {"exit_code": -9}
    failed = usage["exit_code"] != 0
    return Run(
        wall_s=usage.get("wall_s", timeout_s),
        cpu_s=usage.get("cpu_s", 0.0),
        peak_rss_mb=usage.get("peak_rss_kib", 0) * 1024 / 1e6,
        peak_private_mb=private_mb,
        exit_code=usage["exit_code"],
        last_line=_last_line(out),
        error=late or (without_folders(_last_line(err) or _last_line(out)) if failed else ""),
    )


def summarise(runs: Sequence[Run]) -> dict[str, Any]:
    """Minimum, median and maximum of each figure over runs that ended well, and the runs themselves."""
    good = [run for run in runs if run.exit_code == 0]
    figures: dict[str, Any] = {"runs": len(good)}
    if not good:
        return figures | {"failed": runs[-1].error or f"exit code {runs[-1].exit_code}"}
    for name in ("wall_s", "cpu_s", "peak_rss_mb", "peak_private_mb"):
        values = [getattr(run, name) for run in good]
        figures[name] = {"min": min(values), "median": median(values), "max": max(values)}
    return figures | {"each": [_without_text(run) for run in good]}


def _usual_environment() -> dict[str, str]:
    """Ours, but Python may keep its compiled modules, as it does on every other machine."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _without_text(run: Run) -> dict[str, Any]:
    return {name: round(value, 4) for name, value in asdict(run).items() if isinstance(value, float)}


def _last_line(output: bytes) -> str:
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1].strip()[-2_000:] if lines else ""


class _Sampler:
    """Watches the private memory of a process and its children."""

    def __init__(self, process: int) -> None:
        self._process = process
        self._peak_mb = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> float:
        self._ended.set()
        self._thread.join()
        return self._peak_mb

    def _watch(self) -> None:
        while not self._ended.wait(SAMPLE_EVERY_S):
            self._peak_mb = max(self._peak_mb, sum(_private_mb(process) for process in _tree(self._process)))


def _tree(process: int) -> list[int]:
    found = [process]
    for each in found:
        try:
            found += map(int, Path(f"/proc/{each}/task/{each}/children").read_text().split())
        except OSError:
            continue
    return found


def _private_mb(process: int) -> float:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon", "RssShmem"))) * 1024 / 1e6
