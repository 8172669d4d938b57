"""Runs in processes of their own: one that fails, or takes its process with it, is told and stops no other."""

from __future__ import annotations

import os
import resource
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from .bench import Bench
from .evidence import Shelf
from .plan import PlannedRun, grouped
from .study import Scale, Study

LAST_LINES = 12  # of a traceback
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """One run is over. `problem` is None where it went well."""

    planned: PlannedRun
    cpu_s: float
    problem: str | None = None


def execute(
    study: type[Study],
    runs: Sequence[PlannedRun],
    folder: Path,
    scale: Scale,
    *,
    processes: int,
    tell: Callable[[Finished], None],
) -> None:
    """Make every run and leave its file on the shelf. One process is this one."""
    groups = grouped(runs)
    if processes <= 1 or len(groups) <= 1:
        worker = _Worker(study, folder, scale)
        for group in groups:
            for planned in group:
                tell(worker.make(planned))
        return
    with _one_thread_each():
        _in_processes(study, groups, folder, scale, min(processes, len(groups)), tell)


class _Worker:
    """Makes runs one after the other over one bench."""

    def __init__(self, study: type[Study], folder: Path, scale: Scale) -> None:
        self._study, self._bench, self._shelf = study(), Bench(folder, scale), Shelf(folder)

    def make(self, planned: PlannedRun) -> Finished:
        cpu, wall = time.process_time(), time.perf_counter()
        try:
            result = self._study.execute(planned.run, self._bench)
        except Exception as error:
            cpu_s = time.process_time() - cpu
            words = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
            lines = traceback.format_exception(error)
            self._shelf.save_failure(planned.hash, _failure(planned, words, "".join(lines)))
            return Finished(planned=planned, cpu_s=cpu_s, problem=words)
        cost = {
            "cpu_s": round(time.process_time() - cpu, 3),
            "wall_s": round(time.perf_counter() - wall, 3),
            "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }
        record = {"format": 1, "hash": planned.hash, "configuration": dict(planned.configuration)}
        self._shelf.save(planned.hash, {**record, "result": result, "cost": cost})
        return Finished(planned=planned, cpu_s=cost["cpu_s"])


def _in_processes(
    study: type[Study],
    groups: list[list[PlannedRun]],
    folder: Path,
    scale: Scale,
    processes: int,
    tell: Callable[[Finished], None],
) -> None:
    waiting = list(reversed(groups))
    crew: dict[Connection, _Hand] = {}
    shelf = Shelf(folder)
    try:
        while waiting or crew:
            while waiting and len(crew) < processes:
                hand = _Hand(study, folder, scale)
                crew[hand.line] = hand
                hand.give(waiting.pop())
            for line in wait(list(crew)):
                hand = crew[line]  # type: ignore[index]  # `wait` forgets the kind of what it was given
                done = hand.hear()
                if done is not None:
                    tell(done)
                    if not hand.group and waiting:
                        hand.give(waiting.pop())
                    elif not hand.group:
                        hand.dismiss()
                        del crew[hand.line]
                    continue
                del crew[hand.line]
                lost = hand.group.pop(0)
                words = f"its process ended with {_ending(hand.process)}"
                shelf.save_failure(lost.hash, _failure(lost, words, ""))
                tell(Finished(planned=lost, cpu_s=0.0, problem=words))
                if hand.group:
                    waiting.append(hand.group)
    finally:
        for hand in crew.values():
            hand.process.kill()
            hand.process.join()


class _Hand:
    """A worker process, the line to it, and the runs that it was given and has not made yet."""

    def __init__(self, study: type[Study], folder: Path, scale: Scale) -> None:
        context = get_context("spawn")
        self.line, other = context.Pipe()
        self.group: list[PlannedRun] = []
        self.process: BaseProcess = context.Process(
            target=_work, args=(other, study, folder, asdict(scale)), daemon=True
        )
        self.process.start()
        other.close()

    def give(self, group: list[PlannedRun]) -> None:
        self.group = list(group)
        self.line.send(self.group)

    def hear(self) -> Finished | None:
        """The next run that is over, or None where the process is gone."""
        try:
            done: Finished = self.line.recv()
        except (EOFError, OSError):
            self.process.join()
            return None
        self.group.pop(0)
        return done

    def dismiss(self) -> None:
        self.line.close()
        self.process.join()


def _work(line: Connection, study: type[Study], folder: Path, scale: dict[str, Any]) -> None:
    try:
        worker = _Worker(study, folder, Scale(**{**scale, "shots": tuple(scale["shots"])}))
        while True:
            for planned in line.recv():
                line.send(worker.make(planned))
    except (EOFError, KeyboardInterrupt, BrokenPipeError):
        return


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes that are started meanwhile take as many threads as there are cores for each."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _failure(planned: PlannedRun, words: str, trace: str) -> dict[str, Any]:
    return {
        "format": 1,
        "hash": planned.hash,
        "configuration": dict(planned.configuration),
        "problem": words,
        "trace": trace.splitlines()[-LAST_LINES:],
    }


def _ending(process: BaseProcess) -> str:
    code = process.exitcode
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
