"""However a run ends, nothing of it is left on the machine, and runs beside it go on.

Five runs are played at once: one ends by itself, three are ended by signals, and one finds its disk full.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tiny_laboratory import SCENARIO, namespaces_are_missing

from flowlore.cli import run as flowlore
from flowlore.lab.world import PREFIX, STATE, claim, clean_up, take_away

pytestmark = pytest.mark.needs_root
ENDINGS = {"killed": signal.SIGKILL, "ended": signal.SIGTERM, "interrupted": signal.SIGINT}
PATIENCE_S = 180


@dataclass
class Played:
    """A run of the command line, after it ended."""

    pid: int
    folder: Path
    code: int
    said: str

    @property
    def left(self) -> list[str]:
        """Whatever of it is still on the machine."""
        run_id = f"{self.pid:x}"
        places = [Path("/run/netns").glob(f"{PREFIX}{run_id}-*"), Path("/etc/netns").glob(f"{PREFIX}{run_id}-*")]
        places += [STATE.glob(f"*{run_id}"), self.folder.glob(".*")]
        return [str(path) for place in places for path in place] + processes_of(str(self.folder), run_id)


def processes_of(*words: str) -> list[str]:
    """Command lines in which any of the words stands as part of an argument."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if "flowlore" in line and any(word in line for word in words):
            found.append(line)
    return found


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Played]]:
    reason = namespaces_are_missing()
    if reason is not None:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("interrupted")
    small = folder / "full"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=280m", "none", str(small)]).returncode:
        pytest.skip("no tmpfs can be mounted")
    running: dict[str, tuple[subprocess.Popen[str], Path]] = {}
    try:
        for name in ("whole", *ENDINGS, "full"):
            own = folder / name
            own.mkdir(exist_ok=True)
            length = "duration_s = 6" if name == "whole" else "duration_s = 300"
            (own / "tiny.toml").write_text(SCENARIO.replace("duration_s = 5", length))
            running[name] = start(own), own
        for name, (process, own) in running.items():
            wait_for_play(process)
            if name in ENDINGS:
                process.send_signal(ENDINGS[name])
            elif name == "full":
                fill(own)
        yield {name: finished(process, own) for name, (process, own) in running.items()}
    finally:
        for process, _ in running.values():
            process.kill()
            process.wait()
        subprocess.run(["umount", "--lazy", str(small)])


def start(folder: Path) -> subprocess.Popen[str]:
    # A shell lets programs in its background ignore SIGINT, and they hand that down.
    heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    words = [sys.executable, "-c", f"{heeding}; from flowlore.cli import main; main()"]
    words += ["lab", "run", str(folder / "tiny.toml"), "-o", str(folder / "out")]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_play(process: subprocess.Popen[str]) -> None:
    """Until the timetable has begun: the run says so."""
    assert process.stderr is not None
    heard = ""
    for line in process.stderr:
        heard += line
        if line.startswith("playing"):
            time.sleep(2.5)
            return
    raise AssertionError(heard)


def fill(folder: Path) -> None:
    with (folder / "ballast").open("wb") as ballast, contextlib.suppress(OSError):  # the run takes some of it meanwhile
        free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_bsize
        os.posix_fallocate(ballast.fileno(), 0, max(0, free - (8 << 20)))
    with (folder / "rest").open("wb", buffering=0) as rest, contextlib.suppress(OSError):
        while rest.write(bytes(1 << 16)):
            pass


def finished(process: subprocess.Popen[str], folder: Path) -> Played:
    _, said = process.communicate(timeout=PATIENCE_S)
    played = Played(process.pid, folder, process.returncode, said)
    deadline = time.monotonic() + PATIENCE_S
    while played.left and time.monotonic() < deadline:
        time.sleep(0.2)
    return played


@pytest.mark.parametrize("name", ["whole", *ENDINGS, "full"])
def test_nothing_is_left(played: dict[str, Played], name: str) -> None:
    assert played[name].left == []


@pytest.mark.parametrize("name", [*ENDINGS, "full"])
def test_there_is_no_half_a_result(played: dict[str, Played], name: str) -> None:
    assert not (played[name].folder / "out").exists()
    assert played[name].code == {"killed": -signal.SIGKILL, "full": 2}.get(name, 130), played[name].said


def test_a_full_disk_is_named(played: dict[str, Played]) -> None:
    assert "disk full" in played["full"].said
    assert "Traceback" not in played["full"].said


def test_a_run_beside_the_others_is_whole(played: dict[str, Played]) -> None:
    assert played["whole"].code == 0, played["whole"].said
    report = json.loads((played["whole"].folder / "out" / "run.json").read_text())
    assert report["result"]["dropped"] == {"lan": 0, "outside": 0}


def test_a_run_that_was_killed_with_its_keeper_is_taken_away(tmp_path: Path) -> None:
    reason = namespaces_are_missing()
    if reason is not None:
        pytest.skip(reason)
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    run_id = f"{gone.pid:x}"
    work = tmp_path / f".out.{PREFIX}{run_id}"
    work.mkdir()
    claim(run_id, work)  # by us, who live: it stays
    try:
        subprocess.run(["ip", "netns", "add", f"{PREFIX}{run_id}-host"], check=True)
        assert clean_up() == [] or f"{PREFIX}{run_id}-host" not in clean_up()
        assert work.exists()
        state = STATE / run_id / "state.json"
        state.write_text(json.dumps({**json.loads(state.read_text()), "pid": gone.pid}))
        assert flowlore(["lab", "clean"]) == 0
        assert not work.exists() and not (STATE / run_id).exists()
        assert not Path("/run/netns", f"{PREFIX}{run_id}-host").exists()
    finally:
        take_away(run_id)
