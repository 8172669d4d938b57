"""Processes of a run: started inside namespaces, watched, and ended in good time."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from ..errors import FlowloreError
from .machine import inside
from .world import World

_WORDS = 300  # letters of a log that a message shows


class Processes:
    """All processes of a run by kind and name. Each has a session of its own, so that its children end with it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._running: dict[str, tuple[str, subprocess.Popen[bytes], Path]] = {}

    def start(self, kind: str, name: str, space: str, command: list[str], log: Path, *, wait: bool = False) -> None:
        """Start a command; with `wait` it is ready when it has printed a line."""
        package = str(Path(__file__).resolve().parents[2])
        kept = {key: one for key, one in os.environ.items() if not key.lower().endswith("_proxy")}
        environment = {**kept, "LANG": "C.UTF-8", "HOME": str(log.parent), "PYTHONPATH": _path(package)}
        with log.open("ab") as file:
            process = subprocess.Popen(
                inside(space, *command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if wait else file,
                stderr=file,
                env=environment,
                start_new_session=True,
            )
        self._running[name] = kind, process, log
        if wait and process.stdout is not None and not process.stdout.readline():
            raise FlowloreError(f"lab: {kind} `{name}` did not start: {self.last_words(name)}")

    def start_module(self, kind: str, name: str, space: str, module: str, spec: Path, *, wait: bool = False) -> None:
        """One of the laboratory's own modules with its spec; its log lies beside it."""
        command = [sys.executable, "-m", f"flowlore.lab.{module}", str(spec)]
        self.start(kind, name, space, command, spec.with_suffix(".log"), wait=wait)

    def has_ended(self, name: str) -> bool:
        return self._running[name][1].poll() is not None

    def has_failed(self, name: str) -> bool:
        """Whether it ended by a mistake of its own."""
        return (self._running[name][1].poll() or 0) > 0

    def any_runs(self, kind: str) -> bool:
        return any(process.poll() is None for one, process, _ in self._running.values() if one == kind)

    def check(self, kind: str) -> None:
        """All of a kind must still run."""
        for name, (one, process, _) in self._running.items():
            if one == kind and process.poll() is not None:
                raise FlowloreError(
                    f"lab: {kind} `{name}` ended early: {self.last_words(name)}", hint="is the disk full?"
                )

    def stop(self, kind: str, *, grace_s: float) -> None:
        """Ask all of a kind to end, and make them."""
        chosen = [process for one, process, _ in self._running.values() if one == kind]
        for process in chosen:
            _send(process, signal.SIGTERM)
        deadline = time.monotonic() + grace_s
        while time.monotonic() < deadline and any(process.poll() is None for process in chosen):
            time.sleep(0.05)
        for process in chosen:
            _send(process, signal.SIGKILL)
            process.wait()

    def kill(self) -> None:
        """End everything at once."""
        for _, process, _ in self._running.values():
            _send(process, signal.SIGKILL)
            process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def last_words(self, name: str) -> str:
        """The end of its log."""
        try:
            log = self._running[name][2]
            logs = [log, log.with_suffix("") / "programs.log"]  # ours, and that of the programs which a role starts
            said = [one.read_text(errors="replace").strip()[-_WORDS:] for one in logs if one.is_file()]
        except OSError:
            said = []
        return " · ".join(filter(None, said)) or "it said nothing"


def _send(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _path(package: str) -> str:
    return os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
