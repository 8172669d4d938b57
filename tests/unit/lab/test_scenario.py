"""Scenarios are read strictly: what is wrong is named with its place and the fix."""

import tomllib
from pathlib import Path

import pytest

from flowlore.errors import SettingError
from flowlore.lab.cast import cast_of
from flowlore.lab.scenario import Scenario, read_scenario, scenario_from, shipped_scenarios

SMALL = """
duration_s = 10
seed = 3
[links.slow]
delay_ms = 5
[networks.lan]
ipv4 = "10.1.0.0/24"
[hosts.desk]
network = "lan"
count = 2
link = "slow"
[hosts.names]
network = "lan"
services = ["dns"]
[[activities]]
activity = "ask-dns"
hosts = ["desk-*"]
[activities.options]
pause_factor = 0.5
"""


def scenario(text: str = SMALL) -> Scenario:
    return scenario_from(tomllib.loads(text), name="small", place="small.toml")


def test_hosts_are_counted() -> None:
    read = scenario()
    assert list(read.hosts) == ["desk-1", "desk-2", "names"]
    assert read.matching(("desk-*",)) == ["desk-1", "desk-2"]
    assert read.timetable_options == ({"pause_factor": 0.5},)


def test_equal_scenarios_have_equal_values() -> None:
    assert scenario().values() == scenario(SMALL + "# a comment\n").values()


@pytest.mark.parametrize(
    ("old", "new", "problem", "hint"),
    [
        ("count = 2", "cuont = 2", "lab: small.toml: [hosts.desk]: unknown setting `cuont`", "did you mean `count`?"),
        ("count = 2", "count = 0", "[hosts.desk]: `count` is 0, but must be from 1 to 200", "how many"),
        ('link = "slow"', 'link = "slwo"', "[hosts.desk-1]: there is no link `slwo`", "did you mean `slow`?"),
        ('network = "lan"\ncount', 'network = "lann"\ncount', "there is no network `lann`", "did you mean `lan`?"),
        ('hosts = ["desk-*"]', 'hosts = ["dsk-*"]', "[[activities]] 1: no host is called `dsk-*`", ""),
        ('hosts = ["desk-*"]', "", "[[activities]] 1: nobody does it", "hosts"),
        ("10.1.0.0/24", "8.8.8.0/24", "`8.8.8.0/24` belongs to somebody", "10.0.0.0/8"),
        ("10.1.0.0/24", "10.1.0.1/24", "has host bits set", ""),
        ("seed = 3", "sead = 3", "unknown name `sead`", "did you mean `seed`?"),
        (
            "pause_factor = 0.5",
            'target = "@nmaes"',
            "[[activities]] 1: no host is called `nmaes`",
            "did you mean `names`?",
        ),
        ("pause_factor = 0.5", 'target = "@names @dsk-*"', "[[activities]] 1: no host is called `dsk-*`", ""),
        ("[[activities]]", '[exports.x]\ncapture = "lan"\n[[activities]]', "there is no capture `lan`", "known: none"),
        ("[[activities]]", '[exports.x]\nversion = "8"\n[[activities]]', "[exports.x]: ", ""),
        ("[hosts.names]", '[hosts."a b"]', "is no name that a machine can have", "up to 20"),
        ('hosts = ["desk-*"]', 'hosts = ["desk-*"]\nstarts_s = 20', "it starts at 20 s and is to end at", ""),
    ],
)
def test_mistakes_name_the_place_and_the_fix(old: str, new: str, problem: str, hint: str) -> None:
    assert old in SMALL
    with pytest.raises(SettingError) as caught:
        scenario(SMALL.replace(old, new))
    assert problem in caught.value.problem
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"ask-dns"', '"ask-dsn"', "[[activities]] 1: no role is called `ask-dsn`"),
        ('["dns"]', '["dnss"]', "[hosts.names]: no role is called `dnss`"),
        ('["dns"]', '["ask-dns"]', "`ask-dns` is an activity"),
        ('services = ["dns"]', "", "activity `ask-dns` uses the service `dns`, which no host offers to it"),
        ('["dns"]', '["dns", "dns"]', "`dns` and `dns` both want udp port 53"),
        ('["dns"]', '["dns", "dns-unbound"]', "`dns` and `dns-unbound` both want udp port 53"),
        ('["dns"]', '["dns", "ntp"]\noptions = { port = 99 }', "`dns` and `ntp` both want udp port 99"),
        ('["dns"]', '["dns"]\noptions = { port = 70000 }', "`port` is 70000"),
        ('["dns"]', '["dns"]\noptions = { port = "ssh" }', "`port` is 'ssh'"),
    ],
)
def test_roles_are_checked(old: str, new: str, problem: str) -> None:
    with pytest.raises(SettingError) as caught:
        cast_of(scenario(SMALL.replace(old, new)))
    assert problem in caught.value.problem
    assert caught.value.hint


def test_what_lacks_its_program_takes_its_users_along() -> None:
    cast = cast_of(scenario())
    assert len(cast.parts) == 2
    left_out = cast.leave_out(cast.services[0].role.needs)
    assert (cast.services, cast.parts) == ([], [])
    assert any(words.startswith("ask-dns (") for words in left_out)


@pytest.mark.parametrize("name", shipped_scenarios())
def test_shipped_scenarios_are_right(name: str) -> None:
    read = read_scenario(name)
    assert cast_of(read).parts
    assert read.captures


def test_an_unknown_scenario_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="no scenario is called `quik`") as caught:
        read_scenario("quik")
    assert caught.value.hint == "did you mean `quick`?"
    with pytest.raises(SettingError, match="cannot be read"):
        read_scenario(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("a = ")
    with pytest.raises(SettingError, match="is not TOML"):
        read_scenario(tmp_path / "bad.toml")
