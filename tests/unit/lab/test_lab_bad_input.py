"""What a person or a machine can get wrong: one clear line with the fix, exit 2, and nothing left behind."""

import contextlib
import json
import re
import subprocess
from collections import namedtuple
from pathlib import Path

import pytest
from tiny_laboratory import SCENARIO, namespaces_are_missing, spaces

from flowlore.cli import run as flowlore
from flowlore.errors import SettingError
from flowlore.lab.activity import Program, commands_for
from flowlore.lab.cast import cast_of
from flowlore.lab.scenario import read_scenario
from flowlore.lab.world import PREFIX, STATE, claim, take_away

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(SCENARIO)
    return path


@pytest.fixture
def anyone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests, and wherever: the machine would do."""
    monkeypatch.setattr("flowlore.lab.run.require_machine", lambda: None)


def refusal(scenario: Path, out: Path, capsys: pytest.CaptureFixture, *more: str) -> str:
    assert flowlore(["lab", "run", str(scenario), "-o", str(out), *more]) == 2
    assert not out.exists() or not list(out.iterdir())
    said = str(capsys.readouterr().err)
    assert "Traceback" not in said
    return said


def test_nobody_but_root(scenario: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    said = refusal(scenario, scenario.parent / "out", capsys)
    assert "lab: namespaces can be made by root only" in said
    assert "sudo flowlore lab run" in said


def test_no_namespaces(scenario: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    refused = subprocess.CompletedProcess((), 1, "", "unshare: Operation not permitted")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("flowlore.lab.machine.shutil.which", lambda name, **_: f"/sbin/{name}")
    monkeypatch.setattr("flowlore.lab.machine.run_quietly", lambda *_: refused)
    said = refusal(scenario, scenario.parent / "out", capsys)
    assert "this machine gives no network namespaces: unshare: Operation not permitted" in said
    assert "--privileged" in said


def test_a_missing_tool(scenario: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("flowlore.lab.machine.shutil.which", lambda name, **_: None if name == "ip" else name)
    said = refusal(scenario, scenario.parent / "out", capsys)
    assert "lab: `ip` is not installed" in said
    assert "apt-get install iproute2" in said


@pytest.mark.usefixtures("anyone")
def test_missing_programs(scenario: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr("flowlore.lab.machine._has", lambda program: program.name != "dnsmasq")
    said = refusal(scenario, scenario.parent / "out", capsys)
    assert "lab: `dnsmasq` is not installed, and `tiny.toml` needs it" in said
    assert "apt-get install dnsmasq-base" in said and "--skip-missing" in said


def test_what_comes_from_pypi_has_an_extra() -> None:
    programs = [Program(name="aioquic", package="aioquic", origin="pypi"), Program(name="nginx", package="nginx")]
    assert commands_for(programs) == ["apt-get install nginx", "pip install 'flowlore[lab]'"]


def test_the_extra_holds_what_roles_need(repository: Path) -> None:
    import tomllib

    from flowlore.lab.performer import made
    from flowlore.lab.roles import ROLES

    needed = {need.package for name in ROLES.names() for need in made(ROLES.load(name)).needs if need.origin == "pypi"}
    extra = tomllib.loads((repository / "pyproject.toml").read_text())["project"]["optional-dependencies"]["lab"]
    assert {line.partition(">")[0] for line in extra} == needed


@pytest.mark.usefixtures("anyone")
def test_no_space(scenario: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr("flowlore.lab.run.shutil.disk_usage", lambda _: Usage(1 << 30, 1 << 30, 1 << 20))
    said = refusal(scenario, scenario.parent / "out", capsys)
    assert "less than 256 MiB are free" in said


@pytest.mark.usefixtures("anyone")
def test_no_folder(scenario: Path, capsys: pytest.CaptureFixture) -> None:
    said = refusal(scenario, scenario.parent / "none" / "out", capsys)
    assert "lab: there is no folder" in said and "mkdir -p" in said


@pytest.mark.parametrize(
    ("old", "new", "problem", "hint"),
    [
        (
            '"scan-ports"',
            '"scan-prots"',
            "[[activities]] 2: no role is called `scan-prots`",
            "did you mean `scan-ports`?",
        ),
        (
            'network = "outside"\nservices',
            'network = "outsid"\nservices',
            "no network `outsid`",
            "did you mean `outside`?",
        ),
        ("delay_ms = 3", "delay_ms = -3", "[links.wireless]: `delay_ms` is -3", ""),
        ("duration_s = 5", 'duration_s = "long"', "`duration_s`", ""),
    ],
)
@pytest.mark.usefixtures("anyone")
def test_wrong_scenarios(
    scenario: Path, capsys: pytest.CaptureFixture, old: str, new: str, problem: str, hint: str
) -> None:
    assert old in SCENARIO
    scenario.write_text(SCENARIO.replace(old, new))
    said = refusal(scenario, scenario.parent / "out", capsys)
    assert problem in said and hint in said


SCANS = "packets_per_s = 50\npackets = 60"


@pytest.mark.parametrize(
    ("old", "new", "problem", "hint"),
    [
        (SCANS, f"{SCANS}\noptions = {{ prots = 9 }}", "2: `scan-ports` has no option `prots`", "mean `ports`?"),
        (SCANS, f"{SCANS}\noptions = {{ visits = 9 }}", "no option `visits`", "known here: pause_s, ports, target"),
        (SCANS, f"{SCANS}\noptions = {{ ports = -9 }}", "option `ports` is -9", "a whole number from 1 to 1,000,000"),
        (SCANS, f"{SCANS}\noptions = {{ ports = 1.5 }}", "option `ports` is 1.5", "a whole number"),
        (SCANS, f"{SCANS}\noptions = {{ pause_s = 'no' }}", "option `pause_s` is 'no'", "a number from 0 to"),
        (SCANS, f"{SCANS}\noptions = {{ pause_s = true }}", "option `pause_s` is True", "a number from 0 to"),
        (SCANS, f"{SCANS}\noptions = {{ target = 9 }}", "option `target` is 9", '"@NAME"'),
        (SCANS, f"{SCANS}\noptions = {{ target = '9.9.9.9' }}", "9.9.9.9 is nobody's in this scenario", "`@NAME`"),
        (SCANS, f"{SCANS}\noptions = {{ target = 'names' }}", "`names` is no address", "`@NAME` means a host"),
        ('["dns"]', '["dns"]\noptions = { prot = 5300 }', "`dns` has no option `prot`", "did you mean `port`?"),
        ('["dns"]', '["dns"]\noptions = { port = 0 }', "option `port` is 0", "from 1 to 65,535"),
        ('"192.0.2.0/24"', '"192.0.2.0/31"', "[networks.outside] has no address left for `gate`", "shorter prefix"),
        ("[hosts.names]", "[hosts.gate]", "`gate` is both a router and a host", "rename"),
        ('"192.0.2.0/24"', '"10.77.1.128/25"', "10.77.1.128/25 overlaps 10.77.1.0/24 of `lan`", "prefix of its own"),
        ('"192.0.2.0/24"', '"127.0.0.0/24"', "`127.0.0.0/24` is no network of hosts", "for example"),
        ('"192.0.2.0/24"', '"192.0.2.9/24"', "has host bits set", "for example"),
        (
            'networks = ["lan", "outside"]',
            'networks = ["outside"]',
            "`dns`, which no host offers to it",
            "can reach",
        ),
        (
            'services = ["dns"]',
            'services = ["dns"]\nnames = ["a b/../c"]',
            "no name that DNS can answer",
            "www.example",
        ),
        (
            'nat_towards = "outside"',
            'nat_towards = "inside"',
            "in its `networks`: there is no network `inside`",
            "did you mean",
        ),
        (
            '["dns"]',
            '["dns", "chat"]\noptions = { port = 53 }',
            "`dns` and `chat` both want tcp port 53",
            "another host",
        ),
        ("every_s = 1", "every_s = 1\nstarts_s = 9", "it starts at 9 s and is to end at 5 s", "`duration_s`"),
    ],
)
@pytest.mark.usefixtures("anyone")
def test_wrong_options_and_addresses(
    scenario: Path, capsys: pytest.CaptureFixture, old: str, new: str, problem: str, hint: str
) -> None:
    assert old in SCENARIO
    scenario.write_text(SCENARIO.replace(old, new))
    said = refusal(scenario, scenario.parent / "out", capsys)
    assert problem in said and hint in said
    with pytest.raises(SettingError, match=re.escape(problem)):
        cast_of(read_scenario(scenario))  # `lab check` says it too


def test_nobody_gets_through_a_nat_from_outside(scenario: Path) -> None:
    text = SCENARIO.replace('ipv6 = "fd00:77:1::/64"\n', "").replace('nat_towards = "outside"', 'nat_towards = "lan"')
    scenario.write_text(text)
    with pytest.raises(SettingError, match="uses the service `dns`, which no host offers to it"):
        cast_of(read_scenario(scenario))
    scenario.write_text(text.replace('nat_towards = "lan"', 'nat_towards = "outside"'))
    assert cast_of(read_scenario(scenario)).parts


@pytest.mark.parametrize(
    ("text", "problem", "hint"),
    [
        ("hosts = 3", "`hosts` must hold tables", "write `[hosts.NAME]`"),
        ("[changes.ask-dns]", "`changes` change another scenario", "extends"),
        ("foo = 1", "unknown name `foo`", "known here: activities"),
        ('extends = "quick"\n[changes.ask-dns]\nevery_factor = "2"', "`every_factor` is '2'", "a number above 0"),
        ('extends = "quick"\n[changes.ask-dns]\nevery_factor = -1', "`every_factor` is -1", "a number above 0"),
        ("= 9", "is not TOML", "`flowlore lab scenarios`"),
    ],
)
@pytest.mark.usefixtures("anyone")
def test_scenarios_that_say_nothing(
    scenario: Path, capsys: pytest.CaptureFixture, text: str, problem: str, hint: str
) -> None:
    scenario.write_text(text)
    said = refusal(scenario, scenario.parent / "out", capsys)
    assert problem in said and hint in said


def test_a_run_of_the_same_name_hides_no_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quick").mkdir()
    assert read_scenario("quick").place == "quick.toml"


@pytest.mark.usefixtures("anyone")
def test_outputs_that_cannot_be(scenario: Path, capsys: pytest.CaptureFixture) -> None:
    folder = scenario.parent
    (folder / "notes").mkdir()
    (folder / "notes" / "mine.txt").write_text("mine")
    (folder / "file").touch()
    for out, problem, hint in (
        ("notes", "is there already, and is not the folder of a run", "choose another name"),
        ("file", "is there already, and is not the folder of a run", "choose another name"),
        ("file/out", "there is no folder", "is a file: choose another name"),
        ("none/out", "there is no folder", "mkdir -p"),
    ):
        assert flowlore(["lab", "run", str(scenario), "-o", str(folder / out)]) == 2
        said = capsys.readouterr().err
        assert problem in said and hint in said and "Traceback" not in said
    if Path("/proc/self").exists():
        assert "nothing can be written in `/proc`" in refusal(scenario, Path("/proc/out"), capsys)


@pytest.mark.usefixtures("anyone")
def test_a_run_that_was_cleaned_away(
    scenario: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    class Gone(contextlib.nullcontext):
        folder = scenario.parent / "gone"

        def __init__(self, *_: object) -> None:
            super().__init__(self)

    class Stage:
        def __init__(self, *_: object, **__: object) -> None: ...

        def play(self, output: Path) -> None:
            (Gone.folder / "staff.pcapng").stat()

    monkeypatch.setattr("flowlore.lab.run.World", Gone)
    monkeypatch.setattr("flowlore.lab.run._Stage", Stage)
    monkeypatch.setattr("flowlore.lab.run.missing_programs", lambda _: [])
    assert "ended by `flowlore lab clean --all`" in refusal(scenario, scenario.parent / "out", capsys)


@pytest.mark.needs_root
def test_a_second_run_with_the_same_output(scenario: Path, capsys: pytest.CaptureFixture) -> None:
    reason = namespaces_are_missing()
    if reason is not None:
        pytest.skip(reason)
    out = scenario.parent / "out"
    other = subprocess.Popen(["sleep", "60"])
    run_id = f"{other.pid:x}"
    try:
        (scenario.parent / f".out.{PREFIX}{run_id}").mkdir()
        claim(run_id, scenario.parent / f".out.{PREFIX}{run_id}")
        state = STATE / run_id / "state.json"
        of_other = Path(f"/proc/{other.pid}/stat").read_text().rpartition(")")[2].split()[19]
        state.write_text(json.dumps({**json.loads(state.read_text()), "pid": other.pid, "started": of_other}))
        said = refusal(scenario, out, capsys)
        assert f"another run (process {other.pid}) is making `out`" in said and "choose another name" in said
        assert spaces() == set()
    finally:
        other.kill()
        other.wait()
        take_away(run_id)


@pytest.mark.needs_root
def test_a_port_that_is_taken(scenario: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """By what a role did not say of itself: only the machine knows then."""
    monkeypatch.setattr("flowlore.lab.cast.transports_of", lambda service: (service.transport,))
    reason = namespaces_are_missing()
    if reason is not None:
        pytest.skip(reason)
    scenario.write_text(SCENARIO.replace('services = ["dns"]', 'services = ["dns", "chat"]\noptions = { port = 53 }'))
    said = refusal(scenario, scenario.parent / "out", capsys)
    assert "of `names`" in said and "(port 53)" in said and "in use" in said
    assert "two services of one host may want the same port" in said
    assert spaces() == set()
    assert [path.name for path in scenario.parent.iterdir() if "flowlore-lab" in path.name] == []
