"""What this machine can do for the laboratory, and what it lacks."""

import os
from dataclasses import dataclass, field

from .activity import Program, commands_for
from .cast import cast_of
from .machine import missing_programs, probe, require_machine, run
from .performer import made
from .scenario import read_scenario
from .world import PREFIX, STATE, claim, take_away


@dataclass(frozen=True, kw_only=True)
class MachineReport:
    """Parts of the kernel by name, and programs that are missing with the roles that want them."""

    shaping: dict[str, bool] = field(default_factory=dict)
    truth: dict[str, bool] = field(default_factory=dict)
    missing: dict[str, list[str]] = field(default_factory=dict)  # program → roles
    install: dict[str, str] = field(default_factory=dict)  # program → command

    def lines(self) -> list[str]:
        """For a person."""
        shown = []
        for title, abilities in (("links", self.shaping), ("truth", self.truth)):
            words = ", ".join(f"{name} {'yes' if has else 'no'}" for name, has in abilities.items())
            shown.append(f"{title:>9}  {words}")
        shown.append(f"{'programs':>9}  {'all here' if not self.missing else f'{len(self.missing)} missing'}")
        for name, roles in self.missing.items():
            shown.append(f"{'':9}  {name}: `{self.install[name]}` (for {', '.join(roles)})")
        return shown


def check_machine(scenario: str | None = None) -> MachineReport:
    """Try the kernel in a namespace of its own, and look for programs."""
    require_machine()
    wanted = _wanted(scenario)
    run_id = f"{os.getpid():x}"
    try:
        claim(run_id, STATE / run_id)
        space = f"{PREFIX}{run_id}-check"
        run("ip", "netns", "add", space)
        abilities = probe(space)
    finally:
        take_away(run_id)
    missing = missing_programs(wanted)
    return MachineReport(
        shaping=abilities.shaping,
        truth=abilities.truth,
        missing={one.name: sorted(wanted[one]) for one in missing},
        install={one.name: commands_for([one])[0] for one in missing},
    )


def _wanted(scenario: str | None) -> dict[Program, set[str]]:
    from .roles import ROLES

    wanted: dict[Program, set[str]] = {}
    if scenario is None:
        roles = [(name, made(ROLES.load(name))) for name in ROLES.names()]
    else:
        cast = cast_of(read_scenario(scenario))
        roles = [(part.name, part.role) for part in [*cast.services, *cast.parts]]
    for name, role in roles:
        for need in role.needs:
            wanted.setdefault(need, set()).add(name)
    return wanted
