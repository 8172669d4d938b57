"""Real programs: which are missing, and how they are run so that nothing outlives its role."""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType
from typing import Literal

from ...errors import MissingDependency
from ..activity import Bounds as Bounds
from ..activity import Kind, Program, Scene, commands_for
from .budget import Budget

# Debian keeps PostgreSQL apart, and has a wrapper in Perl for it elsewhere that takes ten times as long
_POSTGRESQL = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]]
_USUAL = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SEARCH_PATH = ":".join([*_POSTGRESQL, _USUAL])


class Ended(Exception):
    """The service was told to end."""


@dataclass(frozen=True, kw_only=True)
class ProgramService:
    """A server program: `command` writes its configuration into the scene's folder and says how to start it."""

    name: str
    port: int
    command: Callable[[Scene, int], Sequence[str]]
    transport: Literal["tcp", "udp"] = "tcp"
    needs: tuple[Program, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    offers: str = ""  # what activities ask for; its own name unless another program does the same
    application: str = ""  # of the connections that it opens itself; its name unless given
    options: tuple[str, ...] = ("port",)
    also: tuple[Literal["tcp", "udp"], ...] = ()  # another transport on which the program takes the same port

    def run(self, scene: Scene) -> None:
        """The option `port` takes the place of the usual port."""
        require(self.name, self.needs)
        with suppress(Ended):
            ended_by_sigterm()
            self._serve(scene)

    def _serve(self, scene: Scene) -> None:
        command = self.command(scene, int(scene.options.get("port", self.port)))
        process = start_program(scene, command, environment=self.environment)
        try:
            process.wait()
        finally:
            stop_program(process)


@dataclass(frozen=True, kw_only=True)
class PeerService:
    """A server written here: `serve` binds and answers until `Ended` is raised in it."""

    name: str
    port: int
    serve: Callable[[Scene, int], None]
    transport: Literal["tcp", "udp"] = "tcp"
    needs: tuple[Program, ...] = ()
    offers: str = ""
    application: str = ""
    options: tuple[str, ...] = ("port",)

    def run(self, scene: Scene) -> None:
        require(self.name, self.needs)
        with suppress(Ended):
            ended_by_sigterm()
            self.serve(scene, int(scene.options.get("port", self.port)))


@dataclass(frozen=True, kw_only=True)
class Habit:
    """An activity: `steps` does it with what the budget allows."""

    name: str
    application: str
    steps: Callable[[Scene, Random, Budget], None]
    uses: tuple[str, ...]
    needs: tuple[Program, ...] = ()
    kind: Kind = "benign"
    options: tuple[str, ...] = ()  # that the steps read; see `flowlore.lab.options`

    def act(self, scene: Scene, rng: Random, bounds: Bounds) -> None:
        """Network errors and programs that fail are part of life; a foreign target or a missing program is not."""
        require(self.name, self.needs)
        with suppress(OSError, subprocess.SubprocessError, EOFError):
            self.steps(scene, rng, Budget(bounds))


def missing(needs: Iterable[Program]) -> list[Program]:
    """Those which are not on this machine."""
    return [program for program in needs if not _is_there(program)]


def require(role: str, needs: Iterable[Program]) -> None:
    """Name what is missing, with the command that brings it."""
    absent = missing(needs)
    if absent:
        commands = [f"`{command}`" for command in commands_for(absent)]
        raise MissingDependency(
            f"lab: role `{role}` needs {', '.join(f'`{program.name}`' for program in absent)}, not on this machine",
            hint=f"{' and '.join(commands)}, or take the role out of the scenario",
        )


def run_program(
    scene: Scene,
    budget: Budget,
    command: Sequence[str],
    *,
    feed: bytes = b"",
    environment: Mapping[str, str] | None = None,
    seconds: float = 30.0,
) -> bytes:
    """What a client program printed. It is ended after `seconds`, and never runs beyond the budget."""
    process = start_program(scene, command, environment=environment or {}, stdout=subprocess.PIPE)
    try:
        return process.communicate(feed, timeout=max(0.1, min(seconds, budget.seconds_left)))[0]
    except subprocess.TimeoutExpired:
        return b""
    finally:
        stop_program(process)


def converse(
    scene: Scene, budget: Budget, command: Sequence[str], lines: Iterable[str], *, seconds: float = 3.0
) -> None:
    """Give a client program one line after the other, as they come; it has `seconds` to end after the last."""
    process = start_program(scene, command, environment={}, stdout=subprocess.DEVNULL)
    try:
        assert process.stdin is not None
        for line in lines:
            process.stdin.write(line.encode() + b"\n")
            process.stdin.flush()
        process.stdin.close()
        process.wait(timeout=max(0.1, min(seconds, budget.seconds_left)))
    finally:
        stop_program(process)


def start_program(
    scene: Scene, command: Sequence[str], *, environment: Mapping[str, str], stdout: int | None = None
) -> subprocess.Popen[bytes]:
    """A child that ends with us even when we are killed. What it says lies in the folder, beside its files."""
    with (scene.folder / "programs.log").open("ab") as log:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *command],
            stdin=subprocess.PIPE,
            stdout=log if stdout is None else stdout,
            stderr=log,
            cwd=scene.folder,
            env={"PATH": SEARCH_PATH, "HOME": str(scene.folder), "LANG": "C.UTF-8", **environment},
        )


def ended_by_sigterm() -> None:
    """From now on SIGTERM raises `Ended` in the main thread, once."""

    def end(signum: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Ended

    signal.signal(signal.SIGTERM, end)


def bound_socket(address: str, port: int, kind: socket.SocketKind) -> socket.socket:
    """A socket that waits at an address, for the peers written here."""
    opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.bind((address, port))
    return opened


def shown(address: str) -> str:
    """An address as URLs and configurations write it: IPv6 in brackets."""
    return f"[{address}]" if ":" in address else address


def _is_there(program: Program) -> bool:
    if program.origin == "pypi":
        return importlib.util.find_spec(program.name) is not None
    return shutil.which(program.name, path=f"{SEARCH_PATH}:{os.environ.get('PATH', '')}") is not None


def stop_program(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, and make it."""
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=3)
    if process.stdout is not None:
        process.stdout.close()
