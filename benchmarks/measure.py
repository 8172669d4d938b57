"""Measures one finished process: wall clock, processor time and peak memory as the kernel accounts them."""

import os
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

SAMPLE_EVERY_S = 0.02


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
    folder: Path | None = None,
) -> Run:
    """Run to the end on the given cores (all of them by default). A command that cannot start has exit code 127."""
    begin = time.perf_counter()
    try:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**_usual_environment(), **(environment or {})},
            cwd=folder,
            preexec_fn=(lambda: os.sched_setaffinity(0, cores)) if cores else None,
        )
    except OSError as error:
        return Run(
            wall_s=0, cpu_s=0, peak_rss_mb=0, peak_private_mb=0, exit_code=127, last_line="", error=str(error.strerror)
        )
    outputs: dict[str, bytes] = {}
    readers = [
        threading.Thread(target=lambda name=name, pipe=pipe: outputs.__setitem__(name, pipe.read()))
        for name, pipe in (("out", process.stdout), ("err", process.stderr))
    ]
    for reader in readers:
        reader.start()
    sampler = _Sampler(process.pid) if sample_memory else None
    killer = threading.Timer(timeout_s, process.kill)
    killer.start()
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    killer.cancel()
    for reader in readers:
        reader.join()
    error = "" if process.returncode == 0 else (_last_line(outputs["err"]) or _last_line(outputs["out"]))
    return Run(
        wall_s=wall_s,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_rss_mb=usage.ru_maxrss * 1024 / 1e6,
        peak_private_mb=sampler.stop() if sampler else 0.0,
        exit_code=process.returncode,
        last_line=_last_line(outputs["out"]),
        error=f"longer than {timeout_s:.0f} s" if wall_s >= timeout_s else error,
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
    return figures | {"each": [_without_text(run) for run in good], "last_line": good[-1].last_line}


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
