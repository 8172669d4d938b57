"""What runs in the laboratory: services that wait, and activities that use them. Both are found by name in `ROLES`.

A role never opens a namespace or writes a label. The run starts it in a process of its own, inside the namespace of its
host and under a group id of its own; the kernel then tells which process opened which connection (see `truth.py`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Literal, Protocol

Kind = Literal["benign", "misbehaviour"]


@dataclass(frozen=True, kw_only=True)
class Program:
    """Something that must be on the machine, and where it comes from."""

    name: str  # the command, or the Python module
    package: str  # of Debian, or of PyPI
    origin: Literal["debian", "pypi"] = "debian"


def commands_for(programs: Iterable[Program]) -> list[str]:
    """What to type to get them: a command for Debian, one for PyPI."""
    programs = list(programs)
    debian = sorted({one.package for one in programs if one.origin == "debian"})
    commands = [f"apt-get install {' '.join(debian)}"] if debian else []
    return commands + (["pip install 'flowlore[lab]'"] if any(one.origin == "pypi" for one in programs) else [])


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a service can be reached from the host that asks."""

    host: str
    service: str
    addresses: tuple[str, ...]  # IPv4 first
    port: int
    names: tuple[str, ...] = ()  # that the laboratory's DNS answers


@dataclass(frozen=True, kw_only=True)
class Scene:
    """All that a role may know: its host, the places it may use, and a folder of its own. Plain data, kept as JSON."""

    host: str
    addresses: tuple[str, ...]
    folder: Path  # this process's alone; removed after the run
    shared: Path  # keys, certificates and files that every host may read
    places: tuple[Place, ...] = ()
    neighbours: tuple[str, ...] = ()  # addresses of this run's namespaces, the only ones that may be contacted
    resolver: str | None = None
    seed: int = 0
    options: Mapping[str, str | int | float | bool] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """No loop runs longer than any of these."""

    seconds: float
    actions: int
    packets: int
    packets_per_s: float


class Service(Protocol):
    """Waits for others. `run` comes back when it was told to end (SIGTERM)."""

    name: str
    port: int
    transport: Literal["tcp", "udp"]
    needs: tuple[Program, ...]
    offers: str  # the name by which activities ask for it; its own where empty
    application: str  # of connections that it opens itself; its name where empty
    options: tuple[str, ...]  # that it reads; see `options.py`

    def run(self, scene: Scene) -> None:
        """Serve until the process is told to end."""


class Activity(Protocol):
    """Does one kind of thing, once for each call of `act`."""

    name: str
    application: str  # what the flows are labelled with
    kind: Kind
    uses: tuple[str, ...]  # services; one of each must be in the scene
    needs: tuple[Program, ...]
    options: tuple[str, ...]

    def act(self, scene: Scene, rng: Random, bounds: Bounds) -> None:
        """Do it within `bounds`; what goes wrong in the network is part of life and not an error."""
