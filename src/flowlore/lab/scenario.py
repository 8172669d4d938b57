"""A scenario: which networks and hosts there are, what runs on them, who does what when, and where it is captured."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from importlib.resources import files
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal, TypeVar

from ..errors import SettingError
from ..registry import nearest_name_hint
from ..settings import Settings, setting, settings_from, settings_values
from .extending import CHANGES, laid_over

S = TypeVar("S", bound=Settings)
Option = str | int | float | bool
Habit = Literal["steady", "random", "bursts"]

NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.(?!-)[a-z0-9_-]{1,63})*", re.IGNORECASE)
LONGEST_NAME = 253
HOST_SIGN = "@"  # an option `@NAME` stands for the address of a host, `@a @b` and `@a-*` for those of several
BURST = 4  # actions of a burst, on average


@dataclass(frozen=True, kw_only=True)
class Clock(Settings):
    """How long a scenario is, and how much faster than real time it is played."""

    duration_s: float = setting(60.0, "length in the scenario's own time", minimum=1, maximum=7 * 86_400)
    time_compression: float = setting(1.0, "scenario seconds in one real second", minimum=0.1, maximum=1000)
    seed: int = setting(1, "of every random choice", minimum=0)


@dataclass(frozen=True, kw_only=True)
class Link(Settings):
    """What a link does to frames, in each direction."""

    rate_mbit: float | None = setting(None, "bits in a second, in millions", minimum=0.01, maximum=100_000)
    delay_ms: float = setting(0.0, "time that a frame takes", minimum=0, maximum=5000)
    jitter_ms: float = setting(0.0, "most that is added to the delay or taken from it", minimum=0, maximum=5000)
    reorder: float = setting(0.0, "share of frames that are overtaken", minimum=0, maximum=0.5)
    loss: float = setting(0.0, "share of frames that are lost", minimum=0, maximum=0.9)

    @property
    def is_shaped(self) -> bool:
        """Whether more than the rate is to be changed."""
        return bool(self.delay_ms or self.jitter_ms or self.reorder or self.loss)


@dataclass(frozen=True, kw_only=True)
class Network(Settings):
    """A segment with one switch."""

    ipv4: str | None = setting(None, "its IPv4 prefix")
    ipv6: str | None = setting(None, "its IPv6 prefix")


@dataclass(frozen=True, kw_only=True)
class Router(Settings):
    """What stands between networks."""

    networks: tuple[str, ...] = setting((), "networks that it joins")
    nat_towards: str | None = setting(None, "network in which the IPv4 hosts of all others have the router's address")
    link: str | None = setting(None, "link by which it hangs on `nat_towards`")


@dataclass(frozen=True, kw_only=True)
class Host(Settings):
    """A machine, or `count` of them that differ in number only."""

    network: str = setting("", "where it is")
    count: int = setting(1, "how many", minimum=1, maximum=200)
    services: tuple[str, ...] = setting((), "services that run on it")
    names: tuple[str, ...] = setting((), "names by which DNS knows it")
    link: str | None = setting(None, "link by which it hangs on its network")


@dataclass(frozen=True, kw_only=True)
class Plan(Settings):
    """One line of the timetable. Times are the scenario's own."""

    activity: str = setting("", "what is done")
    hosts: tuple[str, ...] = setting((), "who does it: names or patterns such as `desk-*`")
    to: tuple[str, ...] = setting((), "whose services are used; everyone's unless given")
    habit: Habit = setting("random", "whether actions come at equal times, at random, or in bursts")
    every_s: float = setting(10.0, "time from one action to the next, on average", minimum=0.001)
    starts_s: float = setting(0.0, "when it begins", minimum=0)
    ends_s: float | None = setting(None, "when it ends; with the scenario unless given", minimum=0)
    together: bool = setting(False, "whether all hosts act at the same times and choose alike")
    phase: str = setting("", "name of this part of a misbehaviour")
    actions: int = setting(1000, "most actions of one host", minimum=1, maximum=1_000_000)
    action_s: float = setting(30.0, "most real time of one action", minimum=0.1, maximum=3600)
    packets: int = setting(10_000, "most packets of one action", minimum=1, maximum=10_000_000)
    packets_per_s: float = setting(500.0, "most packets in a second", minimum=0.01, maximum=20_000)


@dataclass(frozen=True, kw_only=True)
class CapturePoint(Settings):
    """A mirror of one network."""

    network: str = setting("", "whose frames are kept")
    snap_bytes: int = setting(0, "bytes kept of each frame; 0 keeps all", minimum=0, maximum=65_535)


@dataclass(frozen=True, kw_only=True)
class ExportPoint(Settings):
    """Flow records of one capture, exported by softflowd."""

    capture: str = setting("", "whose packets are metered")
    version: Literal["5", "9", "ipfix"] = setting("9", "of NetFlow, or IPFIX; IPv6 is not in version 5")
    active_s: float = setting(60.0, "a record is sent when a flow is so old, even if it goes on", minimum=1)
    idle_s: float = setting(15.0, "silence that ends a flow", minimum=1)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A whole scenario, checked: every name in it exists in it."""

    name: str
    place: str  # the file, as messages name it
    clock: Clock
    links: Mapping[str, Link]
    networks: Mapping[str, Network]
    routers: Mapping[str, Router]
    hosts: Mapping[str, Host]  # one entry a machine
    options: Mapping[str, Mapping[str, Option]]  # of each host, for its services
    timetable: tuple[Plan, ...]
    timetable_options: tuple[Mapping[str, Option], ...]
    captures: Mapping[str, CapturePoint]
    exports: Mapping[str, ExportPoint]

    @property
    def real_s(self) -> float:
        """How long it takes to play."""
        return self.clock.duration_s / self.clock.time_compression

    def values(self) -> dict[str, Any]:
        """Everything as plain JSON."""
        groups = ("links", "networks", "routers", "hosts", "captures", "exports")
        return {
            "name": self.name,
            **settings_values(self.clock),
            **{group: {key: settings_values(one) for key, one in getattr(self, group).items()} for group in groups},
            "options": {name: dict(options) for name, options in self.options.items()},
            "timetable": [
                settings_values(plan) | {"options": dict(options)}
                for plan, options in zip(self.timetable, self.timetable_options, strict=True)
            ],
        }

    def matching(self, patterns: tuple[str, ...]) -> list[str]:
        """Names of hosts that fit any of the patterns."""
        return [name for name in self.hosts if any(fnmatchcase(name, pattern) for pattern in patterns)]


def hosts_meant(value: Option) -> tuple[str, ...]:
    """Names or patterns of hosts in an option such as `@shop` or `@web-* @mail`; none in any other."""
    words = value.split() if isinstance(value, str) and value.startswith(HOST_SIGN) else []
    return tuple(word.removeprefix(HOST_SIGN) for word in words)


def shipped_scenarios() -> dict[str, Path]:
    """Scenarios that come with the package, by name."""
    folder = Path(str(files("flowlore.lab") / "scenarios"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def read_scenario(file: str | Path) -> Scenario:
    """A scenario from a TOML file, or one that ships by its name."""
    values, path = _values(file)
    extends = values.pop("extends", None)
    if extends is not None:
        base = str(extends)
        beside = path.with_name(base)
        under, _ = _values(beside if beside.suffix else base)
        if "extends" in under:
            hint = "extend another one" if under["extends"] == base else f"extend `{under['extends']}`"
            raise SettingError(f"lab: {path.name}: `{base}` extends another scenario itself", hint=hint)
        values = laid_over(under, {**values, "extends": base}, path.name)
        del values["extends"]
    return scenario_from(values, name=path.stem, place=path.name)


def _values(file: str | Path) -> tuple[dict[str, Any], Path]:
    """What a file says, and where it is."""
    path = Path(file)
    shipped = shipped_scenarios()
    if not path.suffix and not path.is_file():  # a run of the same name may lie here
        if str(file) not in shipped:
            raise SettingError(
                f"lab: no scenario is called `{file}` (shipped: {', '.join(shipped)})",
                hint=nearest_name_hint(str(file), list(shipped)) or "or give the path of a TOML file",
            )
        path = shipped[str(file)]
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")), path
    except OSError as error:
        raise SettingError(
            f"lab: `{path}` cannot be read: {error.strerror or error}", hint="`flowlore lab scenarios` lists what ships"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(
            f"lab: `{path}` is not TOML: {error}", hint="`flowlore lab scenarios` lists examples that ship"
        ) from error


def scenario_from(values: Mapping[str, Any], *, name: str, place: str) -> Scenario:
    """A scenario from nested mappings as TOML gives them."""
    groups = ("links", "networks", "routers", "hosts", "activities", "captures", "exports")
    known = {*groups, *(item.name for item in fields(Clock))}
    if CHANGES in values:
        raise SettingError(f"lab: {place}: `{CHANGES}` change another scenario", hint='write `extends = "NAME"` too')
    for key in values:
        if key not in known:
            hint = nearest_name_hint(key, sorted(known)) or f"known here: {', '.join(sorted(known))}"
            raise SettingError(f"lab: {place}: unknown name `{key}`", hint=hint)
    for group in groups:
        _list(values, group, place) if group == "activities" else _tables(values, group, place)
    clock = _settings(Clock, {key: one for key, one in values.items() if not isinstance(one, dict | list)}, place)
    hosts: dict[str, Host] = {}
    options: dict[str, dict[str, Option]] = {}
    for key, table in _tables(values, "hosts", place).items():
        where = f"{place}: [hosts.{key}]"
        plain, its_options = _without_options(table, where)
        host = _settings(Host, plain, where)
        for one in [key] if host.count == 1 else [f"{key}-{number}" for number in range(1, host.count + 1)]:
            hosts[one] = host
            options[one] = its_options
    plans, plan_options = [], []
    for number, table in enumerate(_list(values, "activities", place), 1):
        where = f"{place}: [[activities]] {number}"
        plain, its_options = _without_options(table, where)
        plans.append(_settings(Plan, plain, where))
        plan_options.append(its_options)
    scenario = Scenario(
        name=name,
        place=place,
        clock=clock,
        links=_group(Link, values, "links", place),
        networks=_group(Network, values, "networks", place),
        routers=_group(Router, values, "routers", place),
        hosts=hosts,
        options=options,
        timetable=tuple(plans),
        timetable_options=tuple(plan_options),
        captures=_group(CapturePoint, values, "captures", place),
        exports=_group(ExportPoint, values, "exports", place),
    )
    _check(scenario)
    return scenario


def _group(cls: type[S], values: Mapping[str, Any], key: str, place: str) -> dict[str, S]:
    return {
        name: _settings(cls, table, f"{place}: [{key}.{name}]") for name, table in _tables(values, key, place).items()
    }


def _tables(values: Mapping[str, Any], key: str, place: str) -> dict[str, dict[str, Any]]:
    tables = values.get(key, {})
    if not isinstance(tables, dict) or not all(isinstance(one, dict) for one in tables.values()):
        raise SettingError(f"lab: {place}: `{key}` must hold tables", hint=f"write `[{key}.NAME]`")
    for name in tables:
        if not name.replace("-", "").isalnum() or not name.isascii() or name != name.lower() or len(name) > 20:
            raise SettingError(
                f"lab: {place}: [{key}.{name}] is no name that a machine can have",
                hint="up to 20 of a-z, 0-9 and `-`",
            )
    return tables


def _list(values: Mapping[str, Any], key: str, place: str) -> list[dict[str, Any]]:
    tables = values.get(key, [])
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        raise SettingError(f"lab: {place}: `{key}` must be a list of tables", hint=f"write `[[{key}]]`")
    return tables


def _without_options(table: Mapping[str, Any], where: str) -> tuple[dict[str, Any], dict[str, Option]]:
    options = table.get("options", {})
    if not isinstance(options, dict) or not all(isinstance(one, str | int | float) for one in options.values()):
        raise SettingError(
            f"lab: {where}: `options` must be a table of texts, numbers, true and false",
            hint='several hosts are one text: `target = "@shop @news"`',
        )
    return {key: one for key, one in table.items() if key != "options"}, options


def _settings(cls: type[S], values: Mapping[str, Any], where: str) -> S:
    try:
        return settings_from(cls, values)
    except SettingError as error:
        hint = error.hint
        if hint is not None and "`flowlore config`" in hint:
            hint = f"known here: {', '.join(item.name for item in fields(cls))}"
        problem = error.problem.removeprefix("config: ").removeprefix("settings: ")
        raise SettingError(f"lab: {where}: {problem}", hint=hint) from None


def _check(scenario: Scenario) -> None:
    """Every name that a scenario uses, it also has."""
    if not scenario.hosts or not scenario.networks:
        raise SettingError(f"lab: {scenario.place}: there is no host or no network", hint="write `[hosts.NAME]`")
    for where, kind, name, known in _references(scenario):
        if name not in known:
            raise SettingError(
                f"lab: {scenario.place}: {where}: there is no {kind} `{name}`",
                hint=nearest_name_hint(name, list(known)) or f"known: {', '.join(known) or 'none'}",
            )
    for name in scenario.routers:
        if name in scenario.hosts:
            raise SettingError(
                f"lab: {scenario.place}: `{name}` is both a router and a host", hint="rename one of them"
            )
    for name, network in scenario.networks.items():
        _check_prefixes(f"{scenario.place}: [networks.{name}]", network)
    _check_apart(scenario)
    _check_names(scenario)
    for number, plan in enumerate(scenario.timetable, 1):
        where = f"{scenario.place}: [[activities]] {number}"
        meant = [pattern for value in scenario.timetable_options[number - 1].values() for pattern in hosts_meant(value)]
        for pattern in (*plan.hosts, *plan.to, *meant):
            if not scenario.matching((pattern,)):
                near = nearest_name_hint(pattern, list(scenario.hosts)) or f"known: {', '.join(scenario.hosts)}"
                raise SettingError(
                    f"lab: {where}: no host is called `{pattern}`",
                    hint="write a space between two" if "," in pattern else near,
                )
        if not plan.hosts:
            raise SettingError(f"lab: {where}: nobody does it", hint='write `hosts = ["NAME"]`')
        end_s = min(plan.ends_s or scenario.clock.duration_s, scenario.clock.duration_s)
        if plan.starts_s >= end_s:
            raise SettingError(
                f"lab: {where}: it starts at {plan.starts_s:g} s and is to end at {end_s:g} s",
                hint="a smaller `starts_s`, or a larger `ends_s` or `duration_s`",
            )


def _check_apart(scenario: Scenario) -> None:
    """No address is in two networks."""
    prefixes = [
        (name, ip_network(text))
        for name, network in scenario.networks.items()
        for text in (network.ipv4, network.ipv6)
        if text is not None
    ]
    for place, (name, prefix) in enumerate(prefixes):
        for other, before in prefixes[:place]:
            if prefix.version == before.version and prefix.overlaps(before):
                raise SettingError(
                    f"lab: {scenario.place}: [networks.{name}]: {prefix} overlaps {before} of `{other}`",
                    hint="give each network a prefix of its own",
                )


def _check_names(scenario: Scenario) -> None:
    """What DNS is to answer for."""
    for host, settings in scenario.hosts.items():
        for name in settings.names:
            if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
                raise SettingError(
                    f"lab: {scenario.place}: [hosts.{host}]: `{name}` is no name that DNS can answer for",
                    hint="labels of a-z, 0-9 and `-`, joined by dots: www.example.org",
                )


def _references(scenario: Scenario) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
    for name, router in scenario.routers.items():
        for network in router.networks:
            yield f"[routers.{name}]", "network", network, scenario.networks
        if router.nat_towards is not None:
            own = {network: scenario.networks.get(network) for network in router.networks}
            yield f"[routers.{name}]: `nat_towards`: in its `networks`", "network", router.nat_towards, own
        if router.link is not None:
            yield f"[routers.{name}]", "link", router.link, scenario.links
    for name, host in scenario.hosts.items():
        yield f"[hosts.{name}]", "network", host.network, scenario.networks
        if host.link is not None:
            yield f"[hosts.{name}]", "link", host.link, scenario.links
    for name, point in scenario.captures.items():
        yield f"[captures.{name}]", "network", point.network, scenario.networks
    for name, export in scenario.exports.items():
        yield f"[exports.{name}]", "capture", export.capture, scenario.captures


def _check_prefixes(where: str, network: Network) -> None:
    if network.ipv4 is None and network.ipv6 is None:
        raise SettingError(f"lab: {where}: it has no prefix", hint='for example `ipv4 = "10.1.0.0/24"`')
    for prefix, version in ((network.ipv4, 4), (network.ipv6, 6)):
        if prefix is None:
            continue
        try:
            parsed = ip_network(prefix)
        except ValueError as error:
            raise SettingError(f"lab: {where}: {error}", hint="for example 10.1.0.0/24 or fd00:1::/64") from None
        if parsed.version != version:
            raise SettingError(f"lab: {where}: `{prefix}` is not an IPv{version} prefix")
        if parsed.is_loopback or parsed.is_multicast or parsed.is_link_local or parsed.is_unspecified:
            raise SettingError(
                f"lab: {where}: `{prefix}` is no network of hosts", hint="for example 10.1.0.0/24 or fd00:1::/64"
            )
        if not parsed.is_private:
            raise SettingError(
                f"lab: {where}: `{prefix}` belongs to somebody",
                hint="private and documentation prefixes: 10.0.0.0/8, 192.0.2.0/24, 2001:db8::/32, fd00::/8 …",
            )
