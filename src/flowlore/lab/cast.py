"""Which roles a scenario needs, and on which hosts: services that wait, and parts of the timetable."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import SettingError, UnknownName
from .activity import Program
from .nodes import nodes_of, reaches
from .options import TARGET, check_options, check_target
from .performer import made
from .scenario import Option, Plan, Scenario


@dataclass(frozen=True, kw_only=True)
class Part:
    """One role on one host; `plan` is None for a service."""

    host: str
    name: str
    role: Any  # a Service or an Activity
    plan: Plan | None
    options: Mapping[str, Option]
    instance: str

    @property
    def port(self) -> int:
        """Where a service listens: the option `port`, else the usual one."""
        return int(self.options.get("port", self.role.port))


class Cast:
    """Everything that runs. `leave_out` takes away what lacks its programs, and what then lacks its service."""

    def __init__(self, scenario: Scenario, services: list[Part], parts: list[Part]) -> None:
        self.scenario = scenario
        self.services = services
        self.parts = parts

    @property
    def needs(self) -> list[Program]:
        return [need for part in [*self.services, *self.parts] for need in part.role.needs]

    def leave_out(self, lacking: Iterable[Program]) -> list[str]:
        """Names of the roles that are left out, with the reason."""
        gone = set(lacking)
        words: dict[str, None] = {}

        def stays(part: Part) -> bool:
            missing = [need.name for need in part.role.needs if need in gone]
            if missing:
                words[f"{part.name} (needs {', '.join(missing)})"] = None
            return not missing

        self.services = [part for part in self.services if stays(part)]
        self.parts = [part for part in self.parts if stays(part)]
        for part in list(self.parts):
            unserved = [service for service in part.role.uses if not self._serves(service, part)]
            if unserved:
                words[f"{part.name} (nobody offers {', '.join(unserved)})"] = None
                self.parts.remove(part)
        return list(words)

    def _serves(self, service: str, part: Part) -> bool:
        wanted = self.scenario.matching(part.plan.to) if part.plan is not None and part.plan.to else None
        everyone = wanted is None or service == "dns"
        return any(
            offered(one.role) == service
            and (everyone or one.host in (wanted or ()))
            and reaches(self.scenario, part.host, one.host)
            for one in self.services
        )

    def check(self) -> None:
        """Every activity has a service to use, and every service a port of its own."""
        for part in self.parts:
            for service in part.role.uses:
                if not self._serves(service, part):
                    raise SettingError(
                        f"lab: {self.scenario.place}: activity `{part.name}` uses the service `{service}`, "
                        "which no host offers to it",
                        hint=f'write `services = ["{service}"]` in a `[hosts.NAME]` that `{part.host}` can reach',
                    )
        taken: dict[tuple[str, str, int], str] = {}
        for part in self.services:
            for transport in transports_of(part.role):
                key = (part.host, transport, part.port)
                if key in taken:
                    raise SettingError(
                        f"lab: {self.scenario.place}: [hosts.{part.host}]: `{taken[key]}` and `{part.name}` both want "
                        f"{transport} port {part.port}",
                        hint="give one of them to another host, or another `port` in the options of the host",
                    )
                taken[key] = part.name


def transports_of(service: Any) -> tuple[str, ...]:
    """The one that it is known by, then the other where it waits on that as well."""
    return tuple(dict.fromkeys((service.transport, *getattr(service, "also", ()))))


def offered(service: Any) -> str:
    """What activities ask for: several programs may do the same."""
    return str(getattr(service, "offers", "") or service.name)


def cast_of(scenario: Scenario) -> Cast:
    """The roles of a scenario, loaded and checked against each other."""
    services = []
    for host, settings in scenario.hosts.items():
        for name in settings.services:
            where = f"{scenario.place}: [hosts.{host}]"
            role = _role(name, where, is_service=True)
            services.append(
                Part(
                    host=host,
                    name=name,
                    role=role,
                    plan=None,
                    options=scenario.options[host],
                    instance=f"{host}.{name}",
                )
            )
        its_roles = [part.role for part in services if part.host == host]
        check_options(scenario.options[host], its_roles, f"{scenario.place}: [hosts.{host}.options]")
    addresses = {one for node in nodes_of(scenario).values() for one in node.all_addresses}
    parts = []
    for number, (plan, options) in enumerate(zip(scenario.timetable, scenario.timetable_options, strict=True), 1):
        where = f"{scenario.place}: [[activities]] {number}"
        role = _role(plan.activity, where, is_service=False)
        check_options(options, [role], where)
        if TARGET in options:
            check_target(options[TARGET], addresses, where)
        for host in scenario.matching(plan.hosts):
            instance = f"{host}.{plan.activity}.{number}"
            parts.append(Part(host=host, name=plan.activity, role=role, plan=plan, options=options, instance=instance))
    cast = Cast(scenario, services, parts)
    cast.check()
    return cast


def _role(name: str, where: str, *, is_service: bool) -> Any:
    from .roles import ROLES

    try:
        role = made(ROLES.load(name))
    except UnknownName as error:
        raise SettingError(f"lab: {where}: no role is called `{name}`", hint=error.hint) from None
    if hasattr(role, "run") != is_service:
        kind, place = ("an activity", "[[activities]]") if is_service else ("a service", "`services` of a host")
        raise SettingError(f"lab: {where}: `{name}` is {kind}", hint=f"it belongs into {place}")
    return role
