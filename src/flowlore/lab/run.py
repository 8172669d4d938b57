"""A whole run: the world, its services, the timetable, captures and truth; its folder appears when it is whole."""

import contextlib
import json
import os
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import FlowloreError, OutputError, SettingError
from .activity import Place
from .cast import Cast, Part, cast_of, offered
from .episodes import episodes_of
from .exports import SOFTFLOWD, Exporter
from .labels import Connection, Doing, connections_of, write_labels
from .machine import call_inside, missing_programs, raise_missing, require_machine
from .processes import Processes, Troupe, last_words
from .record import described_run, keep_logs, kept_actions
from .scenario import HOST_SIGN, Option, Scenario, hosts_meant
from .truth import FIRST_GROUP, Ends, Witness
from .world import PREFIX, SWITCH, World

_RIVALS_S = 2.0  # two services of one place: so soon one that found it taken has ended
_READY_S = 40.0
_GRACE_S = 3.0
_LEAST_FREE_BYTES = 256 << 20


@dataclass(kw_only=True)
class RunReport:
    """What a run made, and what was lost on the way."""

    folder: str
    seconds: float = 0.0
    connections: int = 0
    label_rows: int = 0
    actions: int = 0
    episodes: int = 0  # of misbehaviour
    exported: dict[str, int] = field(default_factory=dict)  # datagrams with flow records, by export
    by_label: dict[str, int] = field(default_factory=dict)  # connections
    packets: dict[str, int] = field(default_factory=dict)  # by capture point
    dropped: dict[str, int] = field(default_factory=dict)  # by the kernel, by capture point
    unheard: dict[str, int] = field(default_factory=dict)  # connections whose truth was lost
    left_out: list[str] = field(default_factory=list)  # roles whose programs are missing
    unmet: list[str] = field(default_factory=list)  # of links, services and exports
    failed: dict[str, int] = field(default_factory=dict)  # actions that failed, by activity
    reasons: dict[str, str] = field(default_factory=dict)  # of the first that failed, by activity
    cpu_s: dict[str, float] = field(default_factory=dict)  # of clients and their programs, by activity

    def lines(self) -> list[tuple[str, str]]:
        """A name and its value for each line worth showing to a person."""
        shown = [
            ("folder", self.folder),
            ("took", f"{self.seconds:.1f} s"),
            ("connections", f"{self.connections:,} of {len(self.by_label)} applications"),
            ("episodes", f"{self.episodes:,} of misbehaviour"),
            ("packets", ", ".join(f"{name} {count:,}" for name, count in self.packets.items()) or "none"),
            ("dropped", ", ".join(f"{name} {count:,}" for name, count in self.dropped.items() if count) or "none"),
        ]
        for name, counts in (("truth lost", self.unheard), ("failed", self.failed)):
            if counts:
                shown.append((name, ", ".join(f"{what} {count:,}" for what, count in counts.items())))
        shown += [("", f"{what}: {reason}") for what, reason in self.reasons.items()]
        for name, words in (("left out", self.left_out), ("not done", self.unmet)):
            if words:
                shown.append((name, "; ".join(words)))
        return [*shown, *((f"  {label}", f"{count:,}") for label, count in self.by_label.items())]


def run_scenario(
    scenario: Scenario,
    output: Path,
    *,
    overwrite: bool = False,
    skip_missing: bool = False,
    tell: Callable[[str], None] = lambda words: None,
) -> RunReport:
    """Play a scenario; captures, labels and truth are in `output`, which appears only when all is well."""
    require_machine()
    _check_output(output, overwrite)
    cast = cast_of(scenario)
    lacking = missing_programs([*cast.needs, *([SOFTFLOWD] if scenario.exports else [])])
    if lacking and not skip_missing:
        raise_missing(lacking, f", and `{scenario.place}` needs {'it' if len(lacking) == 1 else 'them'}")
    left_out = cast.leave_out(lacking)
    if SOFTFLOWD in lacking:
        left_out += [f"export {name} (needs softflowd)" for name in scenario.exports]
    if not cast.parts:
        raise SettingError(f"lab: {scenario.place}: nothing is left to do", hint="install what is missing")
    began = time.monotonic()
    output = output.resolve()
    work = output.parent / f".{output.name}.{PREFIX}{os.getpid():x}"
    tell("building namespaces")
    with World(scenario, work) as world:
        stage = _Stage(world, cast, tell, exports=SOFTFLOWD not in lacking)
        try:
            report = stage.play(output)
        except OSError as error:
            if world.folder.exists():
                raise
            raise FlowloreError("lab: the run was ended by `flowlore lab clean --all`", hint="play it again") from error
        report.left_out = left_out
        report.unmet += sorted(world.unmet)
        report.seconds = time.monotonic() - began
        record = described_run(scenario, world, cast, vars(report))
        (work / "out" / "run.json").write_text(json.dumps(record, indent=1, default=str) + "\n")
        _check_output(output, overwrite)  # another run may have been faster
        if output.exists():
            shutil.rmtree(output)
        (work / "out").rename(output)
    return report


class _Stage:
    """One performance. Group ids and instances are given in the order of the scenario."""

    def __init__(self, world: World, cast: Cast, tell: Callable[[str], None], *, exports: bool) -> None:
        self.world = world
        self.cast = cast
        self.tell = tell
        self.out = world.work / "out"
        self.folders = world.work / "roles"
        self.shared = world.work / "shared"
        self.doings: dict[int, Doing] = {}
        self.captures = Processes(world)
        self.export_captures = Processes(world)
        self.exporters: list[Exporter] = []
        self.exports = exports
        self.rng = random.Random(world.scenario.clock.seed)
        for folder in (self.out / "capture", self.folders, self.shared):
            folder.mkdir(parents=True)
        self.troupe = Troupe(self.folders)
        self.places = tuple(self._place(part) for part in cast.services)

    def play(self, output: Path) -> RunReport:
        scenario = self.world.scenario
        resolvers = [place for place in self.places if place.service == "dns"]
        self.world.set_resolver(tuple(address for place in resolvers[:1] for address in place.addresses[:1]))
        witness = Witness()
        start_ns = time.time_ns()
        with contextlib.ExitStack() as ending:
            ending.callback(witness.stop)
            ending.callback(self.captures.kill)
            ending.callback(self._kill_exports)
            ending.callback(self.troupe.kill)
            for name, node in self.world.nodes.items():
                router = scenario.routers.get(name)
                translates = router is not None and router.nat_towards is not None
                devices = node.networks.values() if self.world.abilities.truth["frames"] else ()
                witness.watch(name, self.world.space(name), translates=translates, devices=devices)
            witness.start()
            self.tell("starting captures")
            captures = self._start_captures()
            if self.exports:
                self._start_exports()
            self.tell(f"starting {len(self.cast.services)} services")
            needs = [need.name for need in self.cast.needs if need.origin == "pypi"]
            self.troupe.begin([part.name for part in (*self.cast.services, *self.cast.parts)], needs)
            self._start_services()
            self.tell(f"playing {scenario.real_s:.0f} s of {len(self.cast.parts)} parts")
            failed, cpu_s = self._perform()
            gone = self._gone()
            self.troupe.stop("service", grace_s=_GRACE_S)
            time.sleep(0.5)
            self.captures.stop(grace_s=15)
            failures = [*gone, *(words for words in (exporter.stop() for exporter in self.exporters) if words)]
            time.sleep(0.3)
            self.export_captures.stop(grace_s=15)
        actions = kept_actions(self.folders, self.doings.values(), self.out / "actions.jsonl")
        keep_logs(self.folders, [part.instance for part in self.cast.services], self.out / "logs")
        counts = {name: self._counts(name) for name in captures}
        connections = self._as_names_are_asked(connections_of(witness.opened, self.doings), resolvers)
        with (self.out / "truth.jsonl").open("w") as file:
            file.writelines(json.dumps(one.as_dict()) + "\n" for one in connections)
        episodes = episodes_of(actions, connections)
        with (self.out / "episodes.jsonl").open("w") as file:
            file.writelines(json.dumps(one.as_dict()) + "\n" for one in episodes)
        rows = write_labels(self.out / "labels.csv", connections, start_ns, time.time_ns())
        by_label = Counter(one.label for one in connections if one.translated_from is None)
        return RunReport(
            folder=str(output),
            connections=by_label.total(),
            label_rows=rows,
            by_label=dict(by_label.most_common()),
            packets={name: one["packets"] for name, one in counts.items()},
            dropped={name: one["dropped"] for name, one in counts.items()},
            unheard={name: count for name, count in witness.lost.items() if count},
            failed=failed,
            reasons={one["activity"]: one["error"] for one in reversed(actions) if one["error"]},
            cpu_s=cpu_s,
            actions=len(actions),
            episodes=len(episodes),
            unmet=failures,
            exported={one.name: self._counts(f"x-{one.name}")["packets"] for one in self.exporters},
        )

    def _place(self, part: Part) -> Place:
        host = self.world.scenario.hosts[part.host]
        node = self.world.nodes[part.host]
        names = host.names or (f"{part.host}.example",)
        role = part.role
        return Place(host=part.host, service=offered(role), addresses=node.all_addresses, port=part.port, names=names)

    def _start_captures(self) -> list[str]:
        scenario = self.world.scenario
        for name, point in scenario.captures.items():
            bridge = self.world.bridge(point.network)
            spec = {"interface": bridge, "name": name, "snap_bytes": point.snap_bytes}
            path = self._written(name, spec, f"capture/{name}.pcapng")
            self.captures.start_module(name, self.world.space(SWITCH), "capture", path)
        return list(scenario.captures)

    def _start_exports(self) -> None:
        for name, point in self.world.scenario.exports.items():
            capture = self.out / f"capture/{point.capture}.pcapng"
            exporter = Exporter(self.world, name, point, capture, self.folders / f"export-{name}.log")
            self.exporters.append(exporter)
            (self.out / "exports").mkdir(exist_ok=True)
            spec = {"interface": "lo", "name": name, "snap_bytes": 0}
            path = self._written(f"x-{name}", spec, f"exports/{name}.pcapng")
            self.export_captures.start_module(name, exporter.space, "capture", path)
            exporter.start()

    def _kill_exports(self) -> None:
        for exporter in self.exporters:
            exporter.kill()
        self.export_captures.kill()

    def _written(self, name: str, spec: dict[str, Any], file: str) -> Path:
        path = self.folders / f"capture-{name}.json"
        counts = self.folders / f"counts-{name}.json"
        path.write_text(json.dumps({**spec, "file": str(self.out / file), "counts": str(counts)}))
        return path

    def _counts(self, name: str) -> dict[str, int]:
        try:
            counts: dict[str, int] = json.loads((self.folders / f"counts-{name}.json").read_text())
        except OSError:
            log = self.folders / f"capture-{name}.log"
            raise OutputError(
                f"lab: the capture `{name}` ended early: {last_words(log)}",
                hint="is the disk full? A smaller `snap_bytes` needs less",
            ) from None
        return counts

    def _start_services(self) -> None:
        services = self.cast.services
        for part in services:
            self._start_part(part, None)
        deadline = time.monotonic() + _READY_S
        for part in services:
            while not _listens(self.world.space(part.host), part.role.transport, part.port):
                self._require_running([part])
                if time.monotonic() > deadline:
                    raise self._not_serving(part, "does not listen")
                time.sleep(0.05)
        places = Counter((part.host, part.port) for part in services)
        rivals = [part for part in services if places[part.host, part.port] > 1]
        settled = time.monotonic() + _RIVALS_S
        while rivals and time.monotonic() < settled:  # what listens may be the other one
            self._require_running(rivals)
            time.sleep(0.05)
        self._require_running(services)

    def _require_running(self, services: Iterable[Part]) -> None:
        for part in services:
            if self.troupe.has_ended(part.instance):
                raise self._not_serving(part, "ended")

    def _not_serving(self, part: Part, what: str) -> FlowloreError:
        return FlowloreError(
            f"lab: service `{part.name}` of `{part.host}` {what} "
            f"(port {part.port}): {last_words(self.folders / f'{part.instance}.log')}",
            hint="two services of one host may want the same port; else leave it out of the scenario",
        )

    def _gone(self) -> list[str]:
        """Services that failed while there was still play, in words."""
        return [
            f"service `{part.name}` of `{part.host}` failed before the run ended: "
            f"{last_words(self.folders / f'{part.instance}.log')}"
            for part in self.cast.services
            if self.troupe.has_failed(part.instance)
        ]

    def _perform(self) -> tuple[dict[str, int], dict[str, float]]:
        """Activities by the timetable; gives how many actions of each failed, and what they cost."""
        scenario = self.world.scenario
        faster = scenario.clock.time_compression
        begin = time.monotonic() + 1.0 + 0.01 * len(self.cast.parts)
        for part in self.cast.parts:
            plan = part.plan
            assert plan is not None
            ends_s = min(plan.ends_s or scenario.clock.duration_s, scenario.clock.duration_s)
            times = {"starts_at": begin + plan.starts_s / faster, "ends_at": begin + ends_s / faster}
            bounds = {name: getattr(plan, name) for name in ("action_s", "actions", "packets", "packets_per_s")}
            self._start_part(part, {**times, **bounds, "habit": plan.habit, "every_s": plan.every_s / faster})
        end = begin + scenario.real_s
        while time.monotonic() < end + _GRACE_S and self.troupe.any_runs("activity"):
            self.captures.check()
            time.sleep(0.2)
        self.troupe.stop("activity", grace_s=1.0)
        failed: Counter[str] = Counter()
        cpu_s: dict[str, float] = {}
        for part in self.cast.parts:
            done = self.folders / part.instance / "done.json"
            if done.exists():
                told = json.loads(done.read_text())
                failed[part.name] += told["failed"]
                cpu_s[part.name] = round(cpu_s.get(part.name, 0.0) + told["cpu_s"], 3)
            elif self.troupe.has_failed(part.instance):
                failed[f"{part.name} (never ran)"] += 1
        return {name: count for name, count in failed.items() if count}, cpu_s

    def _start_part(self, part: Part, plan: dict[str, Any] | None) -> None:
        group = FIRST_GROUP + len(self.doings)
        is_service = plan is None
        role = part.role
        self.doings[group] = Doing(
            host=part.host,
            role=part.name,
            application=getattr(role, "application", "") or role.name,
            activity=part.name,
            kind="service" if is_service else role.kind,
            phase="" if part.plan is None else part.plan.phase,
            instance=part.instance,
        )
        folder = self.folders / part.instance
        folder.mkdir()
        node = self.world.nodes[part.host]
        resolver = next((place.addresses[0] for place in self.places if place.service == "dns"), None)
        neighbours = [one for other in self.world.nodes.values() for one in other.all_addresses if other is not node]
        scene = {
            "host": part.host,
            "addresses": node.all_addresses,
            "folder": str(folder),
            "shared": str(self.shared),
            "places": [vars(place) for place in self.places if is_service or self._is_used(place, part)],
            "neighbours": neighbours,
            "resolver": resolver,
            "seed": self._seed(part),
            "options": {
                "raw_frames": self.world.abilities.truth["frames"],
                **{name: self._option(value) for name, value in part.options.items()},
            },
        }
        spec = folder.with_name(f"{part.instance}.json")
        spec.write_text(json.dumps({"role": part.name, "group": group, "scene": scene, "plan": plan}))
        kind = "service" if is_service else "activity"
        self.troupe.start(kind, part.instance, self.world.space(part.host), spec)

    def _seed(self, part: Part) -> int:
        """Those who act together have one."""
        if part.plan is not None and part.plan.together:
            number = part.instance.rpartition(".")[2]
            return random.Random(f"{self.world.scenario.clock.seed}.{number}").getrandbits(32)
        return self.rng.getrandbits(32)

    def _option(self, value: Option) -> Option:
        """`@NAME` is the address of that host; a pattern, and several of them, are those of all that fit."""
        if isinstance(value, str) and value.startswith(HOST_SIGN):
            names = self.world.scenario.matching(hosts_meant(value))
            return " ".join(self.world.nodes[name].all_addresses[0] for name in names)
        return value

    def _is_used(self, place: Place, part: Part) -> bool:
        wanted = part.plan is not None and part.plan.to
        return place.service == "dns" or not wanted or place.host in self.world.scenario.matching(wanted)

    def _as_names_are_asked(self, connections: list[Connection], resolvers: list[Place]) -> list[Connection]:
        """Programs ask the resolver before they connect: that is DNS, whatever the activity.

        A server that changes its group (smbd for a visitor, dnsmasq) asks too, and nobody else of a namespace can. What
        uses no service, such as a scan, asks for no names.
        """
        asked = {(address, place.port) for place in resolvers for address in place.addresses}
        wide = [place for place in self.places if place.service == "dns-wide"]
        asked_by_servers = asked | {(address, place.port) for place in wide for address in place.addresses}
        own = {part.instance for part in self.cast.parts if "dns" in part.role.uses or not part.role.uses}

        def seen(one: Connection) -> Connection:
            ends: Ends = one.translated_from or one.ends
            to = (ends.dst_ip, ends.dst_port)
            if to not in (asked_by_servers if one.doing is None else asked):
                return one
            if one.doing is not None and one.doing.instance in own:
                return one
            return replace(one, doing=replace(one.doing or _somebody(one.node), application="dns"))

        return [seen(one) for one in connections]


def _somebody(host: str) -> Doing:
    """A process of a host that no longer has the group of its role."""
    return Doing(host=host, role="", application="", activity="", kind="service", phase="", instance=f"{host}.")


def _check_output(output: Path, overwrite: bool) -> None:
    if output.exists() and not (output / "run.json").is_file():
        raise OutputError(
            f"lab: `{output}` is there already, and is not the folder of a run", hint="choose another name"
        )
    if output.exists() and not overwrite:
        raise OutputError(f"lab: `{output}` exists already", hint="`--overwrite` replaces it")
    parent = output.resolve().parent
    if not parent.is_dir():
        is_there = next(one for one in (parent, *parent.parents) if one.exists())
        raise OutputError(
            f"lab: there is no folder `{parent}`",
            hint=f"mkdir -p {parent}" if is_there.is_dir() else f"`{is_there}` is a file: choose another name",
        )
    try:
        Path(tempfile.mkdtemp(prefix=f".{PREFIX}", dir=parent)).rmdir()
    except OSError as error:
        raise OutputError(
            f"lab: nothing can be written in `{parent}`: {error.strerror or error}", hint="choose another folder"
        ) from None
    if shutil.disk_usage(parent).free < _LEAST_FREE_BYTES:
        raise OutputError(f"lab: less than 256 MiB are free in `{parent}`", hint="choose another disk")


def _listens(space: str, transport: str, port: int) -> bool:
    state = "0A" if transport == "tcp" else "07"

    def look() -> bool:
        for name in (transport, f"{transport}6"):
            try:
                lines = Path(f"/proc/thread-self/net/{name}").read_text().splitlines()[1:]
            except OSError:
                continue
            for line in lines:
                words = line.split()
                if words[3] == state and int(words[1].rpartition(":")[2], 16) == port:
                    return True
        return False

    return call_inside(space, look)
