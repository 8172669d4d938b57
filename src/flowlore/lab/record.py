"""What a run says of itself in run.json: enough to tell what made the traffic, and to make its like again."""

import hashlib
import importlib.metadata
import json
import platform
import shutil
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .activity import Program
from .cast import Cast
from .exports import SOFTFLOWD
from .labels import Doing
from .machine import run_quietly
from .scenario import Scenario
from .world import World

FORMAT = 1
_HASH_LETTERS = 12
_LOGS = ("access.log", "smb.log", "rsyncd.log", "dovecot.log", "programs.log")  # of services


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
        "programs": _versions([*cast.needs, *([SOFTFLOWD] if scenario.exports else [])]),
        "nodes": {name: dict(node.addresses) for name, node in world.nodes.items()},
        "services": [{"host": part.host, "service": part.name, "port": part.port} for part in cast.services],
        "result": {name: one for name, one in report.items() if name != "folder"},
    }


def kept_actions(folders: Path, doings: Iterable[Doing], path: Path) -> list[dict[str, Any]]:
    """Everything that activities did, with its times, in order of time; it is in one file then."""
    found = []
    for doing in doings:
        own = folders / doing.instance / "actions.jsonl"
        if own.is_file():
            lines = own.read_text().splitlines()
            found += [{**json.loads(line), **asdict(doing)} for line in lines if line.endswith("}")]
    found.sort(key=lambda action: int(action["from_ns"]))
    with path.open("w") as file:
        file.writelines(json.dumps(action) + "\n" for action in found)
    return found


def keep_logs(folders: Path, instances: Iterable[str], target: Path) -> None:
    """What services wrote of their visitors, as `INSTANCE.LOG`."""
    target.mkdir()
    for instance in instances:
        for name in _LOGS:
            log = folders / instance / name
            if log.is_file() and log.stat().st_size:
                shutil.copyfile(log, target / f"{instance}.{name}")


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
