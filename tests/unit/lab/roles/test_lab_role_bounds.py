"""What no role may pass: the addresses of its run, and its bounds."""

from pathlib import Path
from random import Random

import pytest

from flowlore.errors import MissingDependency
from flowlore.lab.activity import Bounds, Place, Program, Scene
from flowlore.lab.roles import ROLES
from flowlore.lab.roles.budget import Budget
from flowlore.lab.roles.flooding import internet_checksum, syn_segment
from flowlore.lab.roles.naming import wide_answer
from flowlore.lab.roles.programs import Habit, missing, require
from flowlore.lab.roles.targets import ForeignTarget, MissingPlace, address_of, dns_query, place_of, verified

PLACE = Place(host="shop", service="web-plain", addresses=("198.51.100.7", "2001:db8::7"), port=80)
ROLE_OBJECTS = {name: ROLES.load(name) for name in ROLES.names()}
ACTIVITIES = {name: role for name, role in ROLE_OBJECTS.items() if isinstance(role, Habit)}


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def scene(folder: Path, **options: str | int | float | bool) -> Scene:
    return Scene(
        host="desk",
        addresses=("198.51.100.1",),
        folder=folder,
        shared=folder,
        places=(PLACE,),
        neighbours=("198.51.100.9",),
        options=options,
    )


def budget(clock: Clock, **changed: float) -> Budget:
    values = {"seconds": 10.0, "actions": 5, "packets": 100, "packets_per_s": 50.0, **changed}
    bounds = Bounds(
        seconds=values["seconds"],
        actions=int(values["actions"]),
        packets=int(values["packets"]),
        packets_per_s=values["packets_per_s"],
    )
    return Budget(bounds, clock=clock.read, sleep=clock.sleep)


@pytest.mark.parametrize("address", ["198.51.100.7", "2001:db8::7", "2001:0db8:0::7", "198.51.100.9"])
def test_addresses_of_the_run_may_be_contacted(tmp_path: Path, address: str) -> None:
    assert verified(scene(tmp_path), address) == address


@pytest.mark.parametrize("address", ["192.0.2.1", "127.0.0.1", "8.8.8.8", "::1", "shop.lab", "", "198.51.100.70"])
def test_others_are_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(ForeignTarget, match="may not contact"):
        verified(scene(tmp_path), address)


@pytest.mark.parametrize(
    "name", [name for name, role in ACTIVITIES.items() if role.kind == "misbehaviour" and not role.uses]
)
def test_misbehaviour_refuses_a_foreign_target(tmp_path: Path, name: str) -> None:
    role = ROLES.load(name)
    if missing(role.needs):
        pytest.skip(f"{missing(role.needs)[0].name} is not installed")
    with pytest.raises(ForeignTarget):
        role.act(
            scene(tmp_path, target="192.0.2.1"),
            Random(1),
            Bounds(seconds=1, actions=1, packets=9, packets_per_s=9),
        )


def test_a_resolver_of_others_is_refused(tmp_path: Path) -> None:
    asked = Scene(
        host="desk",
        addresses=("198.51.100.1",),
        folder=tmp_path,
        shared=tmp_path,
        places=(Place(host="shop", service="ftp", addresses=("198.51.100.7",), port=21, names=("shop.lab",)),),
        resolver="192.0.2.53",
    )
    with pytest.raises(ForeignTarget):
        ROLES.load("leak-ftp").act(asked, Random(1), Bounds(seconds=1, actions=1, packets=9, packets_per_s=9))


def test_a_place_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingPlace, match="`smb`"):
        place_of(scene(tmp_path), Random(1), "smb")


def test_ipv6_is_used_only_by_hosts_that_have_it(tmp_path: Path) -> None:
    rng = Random(1)
    assert {address_of(scene(tmp_path), rng, PLACE) for _ in range(50)} == {"198.51.100.7"}


def test_packets_are_paid_for_at_their_rate() -> None:
    clock = Clock()
    counted = budget(clock)
    assert sum(counted.spend() for _ in range(500)) == 100
    assert clock.now == pytest.approx(99 / 50)


def test_a_ramp_reaches_the_rate_and_keeps_it() -> None:
    clock = Clock()
    counted = budget(clock, packets=100_000, seconds=40.0, packets_per_s=100.0)
    counted.hold_back(rate=0.5, time=0.5, ramp_s=10.0)
    times = []
    while counted.spend():
        times.append(clock.now)
    seconds = [sum(second <= time < second + 1 for time in times) for second in range(20)]
    assert seconds[0] < seconds[3] < seconds[6] < seconds[9]
    assert seconds[12:18] == [50] * 6
    assert 18.5 < clock.now <= 20.0
    assert len(times) == pytest.approx(50 * 5 + 50 * 10, abs=60)


@pytest.mark.parametrize(("rate", "time"), [(1.5, 1.0), (0.0, 1.0), (1.0, 2.0)])
def test_bounds_are_never_widened(rate: float, time: float) -> None:
    with pytest.raises(ValueError, match="not shares"):
        budget(Clock()).hold_back(rate=rate, time=time)


def test_nothing_is_spent_beyond_the_time() -> None:
    clock = Clock()
    counted = budget(clock, seconds=1.0)
    assert sum(counted.spend() for _ in range(500)) == pytest.approx(50, abs=1)
    assert clock.now <= 1.0


def test_more_than_is_left_is_not_begun() -> None:
    counted = budget(Clock())
    assert not counted.spend(101)
    assert counted.packets == 0
    assert not budget(Clock(), packets_per_s=0).spend()


def test_actions_end() -> None:
    counted = budget(Clock())
    assert list(counted.actions_up_to(3)) == [0, 1, 2]
    assert list(counted.actions_up_to(10)) == [0, 1]
    assert counted.over


def test_a_pause_never_passes_the_end() -> None:
    clock = Clock()
    counted = budget(clock)
    counted.pause(1_000)
    assert clock.now == 10.0
    assert list(counted.actions_up_to(1)) == []


def test_a_missing_program_is_named_with_its_package() -> None:
    with pytest.raises(MissingDependency, match="apt-get install nothing-of-debian"):
        require("talk", (Program(name="no-such-program", package="nothing-of-debian"),))


def test_a_first_packet_has_a_right_checksum() -> None:
    segment = syn_segment("198.51.100.1", "198.51.100.7", 1_234, 80, Random(1))
    pseudo = bytes([198, 51, 100, 1, 198, 51, 100, 7, 0, 6, 0, len(segment)])
    assert internet_checksum(pseudo + segment) == 0
    assert segment[13] == 0x02


def test_wide_answers_are_as_long_as_asked() -> None:
    query = dns_query("a.wide.example", 16, Random(1))
    assert 900 < len(wide_answer(query, Random(1), 900)) < 960
    assert wide_answer(query[:14], Random(1), 900) == b""
    assert wide_answer(b"\xff" * 40, Random(1), 900) == b""


def test_there_are_enough_kinds() -> None:
    """The target grows with the families; it never shrinks."""
    benign = {role.application for role in ACTIVITIES.values() if role.kind == "benign"}
    unwanted = {role.application for role in ACTIVITIES.values() if role.kind == "misbehaviour"}
    assert len(benign) >= 25 and len(unwanted) >= 12 and not benign & unwanted


@pytest.mark.parametrize("name", ROLES.names())
def test_a_role_is_what_its_name_says(name: str) -> None:
    role = ROLE_OBJECTS[name]
    assert role.name == name
    if isinstance(role, Habit):
        assert all(hasattr(ROLES.load(used), "run") for used in role.uses)
    else:
        assert 0 < role.port < 65_536


def test_roles_are_documented(repository: Path) -> None:
    page = (repository / "docs/guides/laboratory-roles.md").read_text()
    for name, role in ROLE_OBJECTS.items():
        assert f"| `{name}` |" in page
        for program in role.needs:
            assert f"`{program.name}`" in page, (name, program)
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
        if hasattr(role, "act"):
            assert row.endswith(f"| {', '.join(f'`{option}`' for option in role.options)} |")
