"""Processes of a run: started inside namespaces, watched, and ended in good time."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from ..errors import FlowloreError
from .machine import inside
from .world import World, environment_of_modules

_WORDS = 300  # letters of a log that a message shows
_LOADING_S = 60.0


class Processes:
    """Captures, by name. Each has a session of its own, so that a signal to the run does not reach it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._running: dict[str, tuple[subprocess.Popen[bytes], Path]] = {}

    def start_module(self, name: str, space: str, module: str, spec: Path) -> None:
        """One of the laboratory's own modules with its spec; it is ready when it has printed a line."""
        log = spec.with_suffix(".log")
        with log.open("ab") as file:
            process = subprocess.Popen(
                inside(space, sys.executable, "-m", f"flowlore.lab.{module}", str(spec)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=file,
                env=environment_of_modules(),
                start_new_session=True,
            )
        self._running[name] = process, log
        if process.stdout is not None and not process.stdout.readline():
            raise FlowloreError(f"lab: {module} `{name}` did not start: {last_words(log)}")

    def check(self) -> None:
        """All must still run."""
        for name, (process, log) in self._running.items():
            if process.poll() is not None:
                raise FlowloreError(
                    f"lab: the capture `{name}` ended early: {last_words(log)}",
                    hint="is the disk full? A smaller `snap_bytes` needs less",
                )

    def stop(self, *, grace_s: float) -> None:
        """Ask all to end, and make them."""
        for process, _ in self._running.values():
            _send(process, signal.SIGTERM)
        deadline = time.monotonic() + grace_s
        while time.monotonic() < deadline and any(process.poll() is None for process, _ in self._running.values()):
            time.sleep(0.05)
        self.kill()

    def kill(self) -> None:
        """End everything at once."""
        for process, _ in self._running.values():
            _send(process, signal.SIGKILL)
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


class Troupe:
    """The roles of a run by instance, played by one process that forks for each (see `performer.py`)."""

    def __init__(self, folder: Path) -> None:
        self._running: dict[str, str] = {}  # instance → kind
        self._codes: dict[str, int] = {}
        self._rest = b""
        self._log = folder / "performer.log"
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self, roles: Iterable[str], modules: Iterable[str]) -> None:
        """Start the process, and load the roles and modules that will be needed."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "flowlore.lab.performer"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment_of_modules(),
                start_new_session=True,
            )
        self._tell({"do": "load", "roles": sorted(set(roles)), "modules": sorted(set(modules))})
        if not self._hear(_LOADING_S):
            raise FlowloreError(f"lab: the roles cannot be loaded: {last_words(self._log)}")

    def start(self, kind: str, instance: str, space: str, spec: Path) -> None:
        self._running[instance] = kind
        self._tell({"do": "start", "kind": kind, "instance": instance, "space": space, "spec": str(spec)})

    def has_ended(self, instance: str) -> bool:
        self._hear(0)
        return instance not in self._running

    def has_failed(self, instance: str) -> bool:
        """Whether it ended by a mistake of its own."""
        self._hear(0)
        return self._codes.get(instance, 0) > 0

    def any_runs(self, kind: str) -> bool:
        self._hear(0)
        return kind in self._running.values()

    def stop(self, kind: str, *, grace_s: float) -> None:
        """Ask all of a kind to end, and make them."""
        self._tell({"do": "end", "kind": kind})
        deadline = time.monotonic() + grace_s
        while self.any_runs(kind) and time.monotonic() < deadline:
            self._hear(0.1)
        self._tell({"do": "kill", "kind": kind})
        while self.any_runs(kind):
            self._hear(0.1)

    def kill(self) -> None:
        """End everything at once."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            return
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def _tell(self, order: dict[str, object]) -> None:
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise FlowloreError(f"lab: the process of the roles has ended: {last_words(self._log)}") from None

    def _hear(self, wait_s: float) -> bool:
        """Take what the performer says within a time; gives whether it said something."""
        assert self._process is not None and self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], wait_s)[0]:
            return False
        data = os.read(self._process.stdout.fileno(), 1 << 16)
        if not data:
            raise FlowloreError(f"lab: the process of the roles has ended: {last_words(self._log)}")
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in map(json.loads, lines):
            if "ended" in line:
                self._running.pop(line["ended"], None)
                self._codes[line["ended"]] = line["code"]
        return True


def last_words(log: Path) -> str:
    """The end of a log, and of that of the programs which a role starts."""
    said = []
    for one in (log, log.with_suffix("") / "programs.log"):
        with contextlib.suppress(OSError):
            said.append(one.read_text(errors="replace").strip()[-_WORDS:])
    return " · ".join(filter(None, said)) or "it said nothing"


def _send(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
