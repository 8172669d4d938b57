"""`flowlore annotate` and `flowlore datasets`, from the demo's own labels and the catalogue."""

import json
from pathlib import Path

import pytest

from flowlore.cli import run
from flowlore.cli.demo import DEMO, DEMO_CAPTURE


def test_the_demo_is_labelled(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    output = tmp_path / "labelled.parquet"
    labels = tmp_path / "labels.csv"
    labels.write_text((DEMO / "labels.csv").read_text())
    arguments = ["annotate", str(DEMO_CAPTURE), str(labels), "-o", str(output)]
    assert run([*arguments, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["flows"] == 198
    assert report["labelled"] + report["unlabelled"] == report["flows"]
    assert report["labelled"] > 100
    assert report["unmatched_labels"] == 0
    assert run(["query", "select count(label) as n from flows", str(output), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"n": report["labelled"]}]
    assert run([*arguments, "--overwrite"]) == 0
    assert f"{report['labelled']:,} of 198 flows" in capsys.readouterr().out


def test_labels_of_which_none_fits_write_nothing(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    labels, output = tmp_path / "labels.csv", tmp_path / "out.parquet"
    labels.write_text("src_ip,dst_port,label\n203.0.113.250,9,x\n")
    arguments = ["annotate", str(DEMO_CAPTURE), str(labels), "-o", str(output)]
    assert run(arguments) == 2
    assert "none of 1 labels" in capsys.readouterr().err and not output.exists()
    assert run([*arguments, "--allow-no-match"]) == 0
    assert output.exists()


def test_a_wrong_way_to_join_is_helped(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    arguments = [
        "annotate",
        str(DEMO_CAPTURE),
        str(DEMO / "labels.csv"),
        "-o",
        str(tmp_path / "a.csv"),
        "--how",
        "luck",
    ]
    assert run(arguments) == 2
    assert "five-tuple" in capsys.readouterr().err


def test_data_sets_are_listed_and_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    somewhere = ["--set", f"datasets.folder={tmp_path}"]
    assert run(["datasets", "--json", *somewhere]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found) > 10
    assert not any(one["is_here"] for one in found)
    assert run(["datasets", found[0]["name"], *somewhere]) == 0
    printed = capsys.readouterr().out
    assert found[0]["licence"] in printed
    assert "at hand   no" in printed


def test_a_wrong_data_set_is_helped(capsys: pytest.CaptureFixture) -> None:
    assert run(["datasets", "iot24"]) == 2
    assert "did you mean" in capsys.readouterr().err
