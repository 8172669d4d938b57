"""A scenario on top of another: what it names is changed, all else stays."""

from pathlib import Path

import pytest
from test_scenario import SMALL

from flowlore.errors import SettingError
from flowlore.lab.extending import laid_over
from flowlore.lab.scenario import Scenario, read_scenario

OVER = """
extends = "small.toml"
seed = 9
[networks.lan]
ipv4 = "10.9.0.0/24"
[hosts.names]
services = ["dns-unbound"]
[changes.ask-dns]
activity = "ask-nslookup"
every_factor = 0.5
options = { pause_factor = 0.1 }
[[activities]]
activity = "ask-dns"
hosts = ["desk-1"]
"""


def over(folder: Path, text: str = OVER) -> Scenario:
    (folder / "small.toml").write_text(SMALL)
    (folder / "over.toml").write_text(text)
    return read_scenario(folder / "over.toml")


def test_what_is_named_is_changed(tmp_path: Path) -> None:
    read = over(tmp_path)
    assert (read.clock.seed, read.clock.duration_s) == (9, 10)
    assert read.networks["lan"].ipv4 == "10.9.0.0/24"
    assert read.hosts["names"].services == ("dns-unbound",)
    assert read.hosts["names"].network == "lan"
    assert [plan.activity for plan in read.timetable] == ["ask-nslookup", "ask-dns"]
    assert read.timetable[0].every_s == 5.0
    assert read.timetable_options == ({"pause_factor": 0.1}, {})


def test_the_base_stays_as_it_is() -> None:
    base = {"hosts": {"a": {"count": 1}}, "activities": [{"activity": "x", "every_s": 4}]}
    laid_over(base, {"hosts": {"a": {"count": 2}}, "changes": {"x": {"every_factor": 2}}}, "over.toml")
    assert base == {"hosts": {"a": {"count": 1}}, "activities": [{"activity": "x", "every_s": 4}]}


@pytest.mark.parametrize(
    ("old", "new", "problem", "hint"),
    [
        ("[changes.ask-dns]", "[changes.ask-dsn]", "[changes.ask-dsn]: nobody does that", "did you mean `ask-dns`?"),
        ('"small.toml"', '"over.toml"', "`over.toml` extends another scenario itself", "extend another one"),
        ('"small.toml"', '"none.toml"', "cannot be read", "`flowlore lab scenarios`"),
        ('"small.toml"', '"ofice"', "no scenario is called `ofice`", "did you mean `office`?"),
        ("every_factor = 0.5", "evry_factor = 0.5", "unknown setting `evry_factor`", ""),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, problem: str, hint: str) -> None:
    assert old in OVER
    with pytest.raises(SettingError) as caught:
        over(tmp_path, OVER.replace(old, new))
    assert problem in caught.value.problem
    assert hint in (caught.value.hint or "")


def test_drift_is_the_office_with_other_software() -> None:
    office, drift = read_scenario("office"), read_scenario("drift")
    assert list(office.hosts) == list(drift.hosts)
    assert {one.ipv4 for one in office.networks.values()}.isdisjoint(one.ipv4 for one in drift.networks.values())
    changed = [a.activity for a, b in zip(office.timetable, drift.timetable, strict=True) if a.activity != b.activity]
    assert len(changed) >= 6
    unwanted = [plan for plan in office.timetable if plan.phase]
    assert {plan.activity for plan in unwanted if plan.phase == "slow"} >= {plan.activity for plan in unwanted} - {
        "scan-nmap",
        "leak-ftp",
        "leak-ssh",
    }  # nmap scans ports, and the two upload in bulk, as others do slowly
