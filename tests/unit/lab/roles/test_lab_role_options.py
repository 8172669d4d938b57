"""Roles name the options that they read, and every option has its range; shipped scenarios use no other."""

from pathlib import Path

import pytest
from reading_options import FOLDER, options_read, steps_of

from flowlore.lab.cast import cast_of
from flowlore.lab.options import RANGES, TARGET
from flowlore.lab.performer import made
from flowlore.lab.roles import ROLES
from flowlore.lab.scenario import read_scenario, shipped_scenarios

ACTIVITIES = {
    name: (path.stem, steps) for path in sorted(FOLDER.glob("*.py")) for name, steps in steps_of(path.stem).items()
}


@pytest.mark.parametrize("name", ACTIVITIES)
def test_an_activity_names_what_it_reads(name: str) -> None:
    assert set(made(ROLES.load(name)).options) == options_read(*ACTIVITIES[name])


def test_every_activity_of_the_registry_is_looked_at() -> None:
    assert set(ACTIVITIES) == {name for name in ROLES.names() if hasattr(made(ROLES.load(name)), "act")}


def test_every_range_belongs_to_an_option() -> None:
    known = {option for name in ROLES.names() for option in made(ROLES.load(name)).options}
    assert set(RANGES) < known and TARGET in known


@pytest.mark.parametrize("path", shipped_scenarios().values(), ids=lambda path: path.stem)
def test_shipped_scenarios_keep_to_them(path: Path) -> None:
    assert cast_of(read_scenario(path)).parts
