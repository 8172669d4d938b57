"""What a run says of itself in run.json: enough to tell what made the traffic, and to make its like again."""

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Iterable
from typing import Any

from .activity import Program
from .cast import Cast
from .machine import run_quietly
from .scenario import Scenario
from .world import World

FORMAT = 1
_HASH_LETTERS = 12


def described_run(scenario: Scenario, world: World, cast: Cast, report: dict[str, Any]) -> dict[str, Any]:
    """Versions, seed, topology, settings and their hash, what was missing, and what was lost."""
    values = scenario.values()
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return {
        "format": FORMAT,
        "scenario": values,
        "scenario_hash": hashlib.sha256(text.encode()).hexdigest()[:_HASH_LETTERS],
        "machine": {"kernel": platform.release(), "python": platform.python_version(), "flowlore": _flowlore()},
        "abilities": {"shaping": world.abilities.shaping, "truth": world.abilities.truth},
        "programs": _versions(cast.needs),
        "nodes": {name: dict(node.addresses) for name, node in world.nodes.items()},
        "services": [{"host": part.host, "service": part.name, "port": part.role.port} for part in cast.services],
        "result": {name: one for name, one in report.items() if name != "folder"},
    }


def _flowlore() -> str:
    from .. import __version__

    return __version__


def _versions(needs: Iterable[Program]) -> dict[str, str]:
    found = {}
    for need in dict.fromkeys(needs):
        if need.origin == "pypi":
            try:
                found[need.package] = importlib.metadata.version(need.package)
            except importlib.metadata.PackageNotFoundError:
                found[need.package] = "?"
        else:
            try:
                told = run_quietly("dpkg-query", "-W", "-f", "${Version}", need.package)
            except OSError:
                continue
            found[need.package] = told.stdout.strip() or "?"
    return found
