"""Runs one role: `python -m flowlore.lab.performer SPEC.json`, inside the namespace of its host.

Everything that the role opens belongs to the group id of the spec, by which the kernel tells whose a connection is.
"""

import ctypes
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from .activity import Bounds, Place, Scene
from .scenario import BURST

_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


def main() -> None:
    spec = json.loads(Path(sys.argv[1]).read_text())
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    os.setgroups([])
    os.setgid(spec["group"])
    os.chdir(spec["scene"]["folder"])
    from .roles import ROLES

    role = made(ROLES.load(spec["role"]))
    scene = scene_from(spec["scene"])
    if spec["plan"] is None:
        role.run(scene)
    else:
        _act_by_plan(role, scene, spec["plan"])


def made(role: Any) -> Any:
    """A role from what the registry holds: the thing itself, or its class."""
    return role() if isinstance(role, type) else role


def scene_from(values: dict[str, Any]) -> Scene:
    """A scene as it was kept in JSON."""
    places = tuple(
        Place(**{**one, "addresses": tuple(one["addresses"]), "names": tuple(one["names"])}) for one in values["places"]
    )
    return Scene(
        **{
            **values,
            "folder": Path(values["folder"]),
            "shared": Path(values["shared"]),
            "addresses": tuple(values["addresses"]),
            "neighbours": tuple(values["neighbours"]),
            "places": places,
        }
    )


def gap_s(habit: str, every_s: float, rng: random.Random) -> float:
    """Time until the next action. Its mean is `every_s` for every habit."""
    if habit == "steady":
        return every_s * rng.uniform(0.9, 1.1)
    if habit == "random":
        return rng.expovariate(1 / every_s)
    if rng.random() < 1 / BURST:
        return rng.expovariate(1 / (every_s * BURST * 0.9))
    return rng.expovariate(1 / (every_s * 0.1 * BURST / (BURST - 1)))


def _act_by_plan(role: Any, scene: Scene, plan: dict[str, Any]) -> None:
    """Times of the plan are real, and `starts_at` and `ends_at` are on the machine's monotonic clock."""
    rng = random.Random(scene.seed)
    bounds = Bounds(
        seconds=plan["action_s"],
        actions=plan["actions"],
        packets=plan["packets"],
        packets_per_s=plan["packets_per_s"],
    )
    at = plan["starts_at"] + min(1.0, rng.random()) * min(plan["every_s"], plan["ends_at"] - plan["starts_at"]) * 0.5
    done = failed = 0
    while done < plan["actions"]:
        at = max(at, time.monotonic())
        if at >= plan["ends_at"]:
            break
        time.sleep(max(0.0, at - time.monotonic()))
        try:
            role.act(scene, rng, bounds)
        except Exception as error:  # one refused action is life; a role that always fails is shown in run.json
            failed += 1
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
        done += 1
        at += gap_s(plan["habit"], plan["every_s"], rng)
    Path("done.json").write_text(json.dumps({"actions": done, "failed": failed}))


if __name__ == "__main__":
    main()
