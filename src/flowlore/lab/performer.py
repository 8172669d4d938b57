"""Plays the roles of a run, each in a process of its own: `python -m flowlore.lab.performer`.

Roles are loaded once and then forked, which takes a tenth of the time of a new Python. Lines of JSON tell what to start
and to stop; lines of JSON say what has ended. A role lives in the namespace of its host, and what it opens belongs to
the group id of its spec, by which the kernel tells whose a connection is.
"""

import contextlib
import importlib
import json
import os
import random
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

from .activity import Bounds, Place, Scene
from .machine import die_with_parent, enter
from .scenario import BURST

_SIGNALS = {"end": signal.SIGTERM, "kill": signal.SIGKILL}
_NICENESS = 5  # of activities: who serves, forwards and captures comes first


def main() -> None:
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Performer(asked=0, said=1).serve()


class Performer:
    """Starts and stops roles as it is told, until nobody is there to tell it."""

    def __init__(self, *, asked: int, said: int) -> None:
        self._asked = asked
        self._said = said
        self._running: dict[int, tuple[str, str]] = {}  # pid → kind and instance

    def serve(self) -> None:
        woken, waker = os.pipe()
        os.set_blocking(waker, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker)
        rest = b""
        while True:
            ready = select.select([self._asked, woken], [], [])[0]
            if woken in ready:
                os.read(woken, 4096)
                self._say_ended()
            if self._asked in ready:
                data = os.read(self._asked, 1 << 16)
                if not data:
                    self._send(signal.SIGKILL, None)
                    return
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self._obey(json.loads(line))

    def _obey(self, order: dict[str, Any]) -> None:
        word = order["do"]
        if word == "load":
            _load(order["roles"], order["modules"])
            os.write(self._said, b'{"ready": true}\n')
        elif word == "start":
            pid = os.fork()
            if pid == 0:
                _be(order)
            self._running[pid] = order["kind"], order["instance"]
        else:
            self._send(_SIGNALS[word], order["kind"])

    def _send(self, number: signal.Signals, kind: str | None) -> None:
        for pid, (its_kind, _) in self._running.items():
            if kind is None or its_kind == kind:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, number)

    def _say_ended(self) -> None:
        while self._running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            _, instance = self._running.pop(pid, ("", ""))
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)  # what it may have left of its own
            line = json.dumps({"ended": instance, "code": os.waitstatus_to_exitcode(status)}) + "\n"
            os.write(self._said, line.encode())


def _load(roles: list[str], modules: list[str]) -> None:
    from .roles import ROLES

    for role in roles:
        made(ROLES.load(role))
    for module in modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)


def _be(order: dict[str, Any]) -> None:
    """The life of a child: becomes one role, and never returns."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        spec_path = Path(order["spec"])
        log = os.open(spec_path.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for number, target in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(number, target)
        os.closerange(3, 64)
        spec = json.loads(spec_path.read_text())
        enter(order["space"])
        os.setgroups([])
        os.setgid(spec["group"])
        die_with_parent()
        os.chdir(spec["scene"]["folder"])
        _play(spec)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(code)


def _play(spec: dict[str, Any]) -> None:
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
    """Times of the plan are real, and `starts_at` and `ends_at` are on the machine's monotonic clock.

    Each action has chances of its own, so that hosts that act as one choose alike in every one of them.
    """
    os.nice(_NICENESS)
    times = random.Random(scene.seed)
    every_s, ends_at = plan["every_s"], plan["ends_at"]
    at = plan["starts_at"] + times.random() * min(every_s, ends_at - plan["starts_at"]) * 0.5
    done = failed = 0
    with Path("actions.jsonl").open("a", buffering=1) as actions:
        while done < plan["actions"]:
            at = max(at, time.monotonic())
            if at >= ends_at:
                break
            time.sleep(max(0.0, at - time.monotonic()))
            began_ns = time.time_ns()
            bounds = Bounds(
                seconds=min(plan["action_s"], max(0.1, ends_at - time.monotonic())),
                actions=plan["actions"],
                packets=plan["packets"],
                packets_per_s=plan["packets_per_s"],
            )
            words = ""
            try:
                role.act(scene, random.Random(f"{scene.seed}.{done}"), bounds)
            except Exception as error:  # one refused action is life; a role that always fails is shown in run.json
                failed += 1
                words = f"{type(error).__name__}: {error}"
                sys.stderr.write(f"{words}\n")
            done += 1
            actions.write(json.dumps({"from_ns": began_ns, "to_ns": time.time_ns(), "error": words}) + "\n")
            at += gap_s(plan["habit"], every_s, times)
    spent = os.times()
    cpu_s = spent.user + spent.system + spent.children_user + spent.children_system
    Path("done.json").write_text(json.dumps({"actions": done, "failed": failed, "cpu_s": round(cpu_s, 3)}))


if __name__ == "__main__":
    main()
