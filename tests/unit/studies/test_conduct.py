"""Plan, resumption, processes, failures: what a study does whatever it asks."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flowlore.errors import InputError, OutputError, SettingError, UnknownName
from flowlore.studies.conduct import Order, conduct, write_report
from flowlore.studies.evidence import Shelf
from flowlore.studies.material import Places
from flowlore.studies.study import SCALES, scale_called

Make = Callable[..., Order]


def notes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "notes"
    path.touch()
    monkeypatch.setenv("MADE_UP_NOTES", str(path))
    return path


def test_a_run_that_has_its_file_is_not_made_again(
    order: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = notes(monkeypatch, tmp_path)
    done = conduct(order())
    assert (done.made, len(done.plan.runs), done.failed) == (12, 12, ())
    assert len(made.read_text().splitlines()) == 12
    again = conduct(order())
    assert (again.made, len(again.plan.waiting)) == (0, 0)
    more = conduct(order(seeds=3))
    assert (more.made, len(more.plan.runs)) == (6, 18)
    next((tmp_path / "out" / "runs").glob("*.json")).unlink()
    assert conduct(order(seeds=3)).made == 0  # `results.json` still holds it
    (tmp_path / "out" / "results.json").unlink()
    assert conduct(order(seeds=3)).made == 1
    assert len(made.read_text().splitlines()) == 19


def test_other_data_are_other_runs(order: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    import made_up_study

    conduct(order())
    gathered = made_up_study.toy(Places(data=Path()))
    from dataclasses import replace

    monkeypatch.setattr(made_up_study, "toy", lambda places: replace(gathered, checksum="d" * 64))
    done = conduct(order())
    assert done.made == 12
    evidence = Shelf(order().output).evidence()
    assert len(evidence.results) == 12, "results of the old data are not shown"


def test_processes_give_what_one_gives(order: Make, tmp_path: Path) -> None:
    conduct(order())
    conduct(order(output=tmp_path / "two", processes=2))
    one, two = (
        {each.hash: each.result for each in Shelf(tmp_path / name).evidence().results} for name in ("out", "two")
    )
    assert one == two and len(one) == 12


@pytest.mark.parametrize("processes", [2])
def test_a_run_that_fails_or_dies_stops_no_other(order: Make, processes: int) -> None:
    done = conduct(order("failing", processes=processes))
    problems = sorted(done.failed)
    assert len([one for one in problems if "ValueError: as it was told to" in one]) == 4
    assert len([one for one in problems if "signal 9" in one]) == 2, "seed 0 of `dies`, with each number of labels"
    assert done.made == 12 - 6
    evidence = Shelf(order().output).evidence()
    assert len(evidence.failed) == 6
    page = done.pages[1].read_text()
    assert "Runs that failed" in page and "as it was told to" in page
    again = conduct(order("failing", processes=processes))
    assert len(again.plan.waiting) == 6, "what failed is tried again"


def test_killed_and_gone_on(order: Make, tmp_path: Path) -> None:
    """kill -9 in the midst of it: what was finished stays, and the rest is made."""
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import flowlore.studies
from flowlore.registry import Registry
flowlore.studies.STUDIES = Registry("study", {{"slow": "made_up_study:Slow"}}, with_plugins=False)
flowlore.studies.MATERIALS = Registry("material", {{"toy": "made_up_study:toy"}}, with_plugins=False)
from pathlib import Path
from flowlore.studies.conduct import Order, conduct
from flowlore.studies.material import Places
from flowlore.studies.study import SCALES
scale = SCALES["smoke"].changed(seeds=20, shots=(1, 5))
conduct(Order(name="slow", places=Places(data=Path()), output=Path({str(tmp_path / "out")!r}), scale=scale))
"""
    child = subprocess.Popen([sys.executable, "-c", code])
    runs = tmp_path / "out" / "runs"
    for _ in range(600):
        if runs.is_dir() and len(list(runs.glob("[!.]*.json"))) >= 2:
            break
        time.sleep(0.1)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    finished = len(list(runs.glob("[!.]*.json")))
    assert 2 <= finished < 40
    for path in runs.glob("[!.]*.json"):
        assert json.loads(path.read_text())["hash"] == path.stem
    done = conduct(order("slow", seeds=2))
    assert len(done.plan.runs) == 4
    assert done.made == 4 - min(finished, 4) or done.made < 4


def test_the_plan_says_what_and_how_long(order: Make) -> None:
    told = []
    done = conduct(order(), tell_plan=lambda plan, left_out: told.append(plan), only_plan=True)
    assert done.made == 0 and not (order().output / "runs").exists()
    plan = told[0]
    assert plan.by_data() == [("toy", "labels", 12, 12, pytest.approx(0.12))]
    assert plan.cpu_s == pytest.approx(0.12) and plan.wall_s == pytest.approx(0.12)
    conduct(order())
    later = conduct(order(seeds=3), only_plan=True).plan
    assert len(later.waiting) == 6 and later.pace > 0
    assert later.cpu_s == pytest.approx(later.pace * 0.06)


def test_a_second_round_follows_from_the_first(order: Make) -> None:
    told = []
    done = conduct(order("in-rounds", shots=(1,)), tell_plan=lambda plan, left_out: told.append(plan))
    first, second = told
    assert (len(first.runs), first.later_s) == (4, 0.2) and first.later_cpu_s > 0
    assert (len(second.runs), len(second.waiting), second.later_s) == (14, 10, 0.0)
    assert {one.run.arm for one in second.waiting} == {"best"} and (done.made, done.failed) == (14, ())
    study = json.loads((order().output / "study.json").read_text())
    assert study["runs"] == 14
    again = conduct(order("in-rounds", shots=(1,)))
    assert (again.made, len(again.plan.runs)) == (0, 14), "a plan that is known whole is made in one round"
    assert len(conduct(order("in-rounds", shots=(1,)), only_plan=True).plan.runs) == 14


def test_a_second_round_follows_what_failed(order: Make) -> None:
    done = conduct(order("in-rounds-failing", shots=(1,)))
    assert len(done.failed) == 2 and done.made == 2 + 10
    assert "Runs that failed" in done.pages[1].read_text()
    again = conduct(order("in-rounds-failing", shots=(1,)))
    assert (again.made, len(again.failed)) == (0, 2), "what failed is tried again, what was made is not"


def test_a_study_may_have_scales_of_its_own() -> None:
    from flowlore.studies.augmentation import Augmentation

    assert scale_called("small").train_rows == 6000 and scale_called("small", Augmentation).train_rows == 0
    with pytest.raises(SettingError, match="no scale is called `large`") as caught:
        scale_called("large", Augmentation)
    assert "smoke, small, full" in str(caught.value.hint)


def test_some_arms_only(order: Make) -> None:
    done = conduct(order(arms=("best",)))
    assert {one.run.arm for one in done.plan.runs} == {"best"}
    with pytest.raises(InputError, match="nothing is left to run"):
        conduct(order(arms=("bset",)))


def test_report_from_the_files_alone(order: Make) -> None:
    done = conduct(order())
    before = [page.read_text() for page in done.pages]
    for path in [*done.pages, *(order().output / "runs").iterdir()]:
        path.unlink()
    write_report("made-up", order().output)
    assert [page.read_text() for page in done.pages] == before
    page, markdown = before
    assert "<svg" in page and "mean ranks" in page and "critical distance" in page
    assert "| best | .70" in markdown and "A toy / with a bar" in markdown
    assert "none of 40 captures is on two sides" in markdown and "configuration" in markdown


def test_data_that_are_not_here_are_told(order: Make) -> None:
    done = conduct(order(sets=("toy", "fgnet")))
    assert list(done.left_out) == ["fgnet"] and "is not here" in done.left_out["fgnet"]
    assert "Left out: `fgnet`" in done.pages[1].read_text()
    with pytest.raises(InputError, match="none of the data of `made-up` is here"):
        conduct(order(sets=("fgnet",)))
    with pytest.raises(UnknownName, match="did you mean `fgnet`"):
        conduct(order(sets=("fgnett",)))


def test_folders_of_something_else(order: Make, tmp_path: Path) -> None:
    conduct(order())
    with pytest.raises(OutputError, match="holds the study `made-up`, not `failing`"):
        conduct(order("failing"))
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file"):
        conduct(order(output=tmp_path / "file"))
    with pytest.raises(InputError, match="holds no study"):
        write_report("made-up", tmp_path)
    (order().output / "results.json").write_text("[")
    with pytest.raises(InputError, match="is damaged"):
        conduct(order())


def test_scales() -> None:
    assert SCALES["full"].changed(seeds=2).seeds_with_all_labels == 2
    assert SCALES["full"].train_rows == SCALES["full"].test_rows == 0
