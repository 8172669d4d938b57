"""The verbs that learn, over a quick encoder: what they print, what JSON they give, and how they refuse."""

import csv
import json
from pathlib import Path

import pytest

import flowlore.models
from exportsmade import free_port, netflow_v5, sending
from flowlore.cli import run
from flowlore.cli.demo import DEMO, DEMO_CAPTURE
from flowlore.registry import Registry

STUB = Path(__file__).resolve().parent.parent / "tasks"


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture) -> Path:
    """A bundle that was trained on the demo, by name and by path."""
    monkeypatch.syspath_prepend(STUB)
    stub = Registry("model", {"stub": "stub_encoder:StubEncoder"}, with_plugins=False)
    monkeypatch.setattr(flowlore.models, "MODELS", stub)
    monkeypatch.setenv("FLOWLORE_CACHE_DIR", str(tmp_path))
    (tmp_path / "bundles").mkdir()
    path = tmp_path / "bundles" / "office"
    assert run(["pretrain", "stub", str(DEMO_CAPTURE), "-o", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["flows"] == 198
    return path


def teach(new: Path, *more: str) -> int:
    labels = ["--labels", str(DEMO / "labels.csv"), "--split", "time", "--drop-small-classes", "--shots", "2"]
    return run(["fit", "office", str(DEMO_CAPTURE), *labels, "-o", str(new), *more])


def test_from_captures_to_answers(office: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    new = tmp_path / "bundles" / "taught"
    assert teach(new, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["shown"] == 2 * report["classes"]
    assert set(report["scores"]) == {"probe", "nearest", "extra-trees", "lightgbm"}
    output = tmp_path / "answers.jsonl"
    assert run(["predict", "taught", str(DEMO_CAPTURE), "-o", str(output), "--json"]) == 0
    assert sum(json.loads(capsys.readouterr().out)["labels"].values()) == 198
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert len(rows) == 198
    assert {"flow_id", "label", "confidence", "unknown"} <= set(rows[0])
    evaluation = ["evaluate", "taught", str(DEMO_CAPTURE), "--labels", str(DEMO / "labels.csv")]
    assert run([*evaluation, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["shown_before"] == report["shown"]
    assert sum(found["flows_by_class"].values()) == found["asked"]
    assert found["flows_by_class"].keys() == found["f1_by_class"].keys()
    assert run(["discover", "taught", str(DEMO_CAPTURE), "--every", "--smallest", "5", "--json"]) == 0
    clusters = json.loads(capsys.readouterr().out)
    assert clusters["asked"] == 198
    assert sum(one["flows"] for one in clusters["clusters"]) + clusters["alone"] == 198
    kept = tmp_path / "clusters.csv"
    assert run(["discover", "taught", str(DEMO_CAPTURE), "--every", "--smallest", "5", "-o", str(kept)]) == 0
    numbers = [line.rpartition(",")[2] for line in kept.read_text().splitlines()[1:]]
    assert numbers.count("") == clusters["alone"] and numbers.count("0") == clusters["clusters"][0]["flows"]


def test_what_people_see(office: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    new = tmp_path / "bundles" / "taught"
    assert teach(new) == 0
    printed = capsys.readouterr().out
    assert "novel macro F1" in printed and "extra-trees" in printed
    assert run(["predict", str(new), str(DEMO_CAPTURE)]) == 0
    assert "of them like nothing known" in capsys.readouterr().out
    assert run(["evaluate", str(new), str(DEMO_CAPTURE), "--labels", str(DEMO / "labels.csv")]) == 0
    assert "95 % interval" in capsys.readouterr().out
    assert run(["bundles"]) == 0
    printed = capsys.readouterr().out
    assert "office" in printed and "taught" in printed
    assert run(["discover", str(new), str(DEMO_CAPTURE), "--every"]) == 0
    assert "of 198 flows asked" in capsys.readouterr().out


def test_exports_are_named_as_they_come(office: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert teach(tmp_path / "taught", "--json") == 0
    capsys.readouterr()
    port = free_port()
    with sending(port, netflow_v5(3)):
        words = ["predict", str(tmp_path / "taught"), "--listen", f"127.0.0.1:{port}", "--duration", "1", "-o", "-"]
        assert run([*words, "--json"]) == 0
    told = capsys.readouterr()
    rows = [json.loads(line) for line in told.out.splitlines()]
    assert len(rows) >= 3 and all(row["label"] and 0 <= row["confidence"] <= 1 for row in rows)
    assert json.loads(told.err)["flows"] == len(rows)
    assert run(["predict", str(tmp_path / "taught")]) == 2
    assert "nothing to read was named" in capsys.readouterr().err


def test_classes_that_are_left_out_are_named(office: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert teach(tmp_path / "few", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["dropped_classes"] and report["not_asked"] > 0
    assert teach(tmp_path / "again") == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("left out: "))
    assert all(f"`{name}`" in line for name in [*report["dropped_classes"], *report["absent_classes"]])
    assert "fewer than 2 flows to show" in line
    assert line.endswith(f"; {report['not_asked']} flows of them were not asked")


def test_labels_that_reach_no_flow_are_told(office: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text((DEMO / "labels.csv").read_text() + "203.0.113.99,,,,,,,nobody\n")
    for verb in (["evaluate"], ["map", "-o", str(tmp_path / "map.html")]):
        assert teach(tmp_path / verb[0], "--json") == 0
        assert capsys.readouterr().err == ""
        asked = [verb[0], str(tmp_path / verb[0]), str(DEMO_CAPTURE), *verb[1:], "--json"]
        assert run([*asked, "--labels", str(labels)]) == 0
        assert "rows fit no flow" in capsys.readouterr().err


def test_where_sees_the_labels_of_the_file(office: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    asked = [
        "fit",
        "office",
        str(DEMO_CAPTURE),
        "--labels",
        str(DEMO / "labels.csv"),
        "--split",
        "time",
        "--all-labels",
    ]
    assert run([*asked, "--where", "label in ('names', 'web')", "-o", str(tmp_path / "two"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["classes"] == 2
    assert run([*asked, "--where", "label = 'nobody'", "-o", str(tmp_path / "none")]) == 2
    assert "there is no flow in" in capsys.readouterr().err


def test_one_class_teaches_nothing(office: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    labels = tmp_path / "labels.csv"
    rows = (DEMO / "labels.csv").read_text().splitlines()
    labels.write_text("\n".join([rows[0], *(f"{row.rpartition(',')[0]},web" for row in rows[1:])]))
    every = ["fit", "office", str(DEMO_CAPTURE), "--labels", str(labels), "-o", str(tmp_path / "x")]
    assert run([*every, "--split", "time"]) == 2
    assert "`web` is the only class, so that every answer would be right" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--split", "foo"], "flows cannot be split by `foo`"),
        (["--head", "foo"], "no head is called `foo`"),
        (["--augment", "foo"], "`foo`"),
        (["--share", "0.1", "--shots", "2"], "`--shots`, `--share` and `--all-labels` exclude each other"),
        (["--copies", "3"], "`--copies` without `--augment` copies nothing"),
        (["--log", "steps.jsonl"], "`--log` is of training by steps"),
    ],
)
def test_what_is_asked_for_is_looked_at_before_the_flows(
    office: Path, tmp_path: Path, capsys: pytest.CaptureFixture, words: list[str], told: str
) -> None:
    assert run(["fit", "office", str(tmp_path / "not-there.pcap"), "-o", str(tmp_path / "x"), *words]) == 2
    assert told in capsys.readouterr().err


def test_flows_are_explained_after_an_empty_line(office: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert teach(tmp_path / "taught") == 0
    capsys.readouterr()
    assert run(["explain", str(tmp_path / "taught"), str(DEMO_CAPTURE), "--count", "2"]) == 0
    printed = capsys.readouterr().out
    assert "\\n" not in printed
    assert printed.startswith("\n") and printed.count("\n\n") == 1


def test_vectors_and_neighbours(office: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    output = tmp_path / "vectors.parquet"
    assert run(["embed", "office", str(DEMO_CAPTURE), "-o", str(output)]) == 0
    assert "198 vectors" in capsys.readouterr().out
    assert run(["embed", "office", str(DEMO_CAPTURE), "-o", str(output)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    import pyarrow.parquet as pq

    table = pq.read_table(output)
    assert table.schema.field("vector").type.list_size == 16
    flow = table["flow_id"][0].as_py().hex()
    assert run(["similar", "office", str(DEMO_CAPTURE), "--to", flow, "--count", "3", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 3
    assert flow not in [row["flow_id"] for row in rows]
    assert rows[0]["likeness"] >= rows[2]["likeness"]
    assert run(["similar", "office", str(DEMO_CAPTURE), "--to", flow[:12].upper(), "--count", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == rows
    ids = [one.as_py().hex() for one in table["flow_id"]]
    shared = next(first for first in "0123456789abcdef" if sum(one.startswith(first) for one in ids) > 1)
    assert run(["similar", "office", str(DEMO_CAPTURE), "--to", shared]) == 2
    assert f"flows begin with `{shared}`" in capsys.readouterr().err
    for wrong in ("xyz", " "):
        assert run(["similar", "office", str(DEMO_CAPTURE), "--to", wrong]) == 2
        assert f"no flow has the id `{wrong}`" in capsys.readouterr().err


def test_alarms_are_all_but_benign_classes(office: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert teach(tmp_path / "taught", "--json") == 0
    capsys.readouterr()
    asked = ["evaluate", str(tmp_path / "taught"), str(DEMO_CAPTURE), "--labels", str(DEMO / "labels.csv")]
    assert run([*asked, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["alarms"] is None
    benign = max(found["flows_by_class"], key=found["flows_by_class"].get)
    assert run([*asked, "--benign", benign, "--recall", "0.5", "--json"]) == 0
    alarms = json.loads(capsys.readouterr().out)["alarms"]
    assert alarms["flows"] == found["asked"] - found["flows_by_class"][benign]
    assert alarms["prevalence"] < alarms["pr_auc"] <= 1 and alarms["recall"] == 0.5
    assert run([*asked, "--benign", benign]) == 0
    assert "false a day where 90% are found" in capsys.readouterr().out
    for words, told in (
        (["--recall", "0.5"], "`--recall` is of alarms"),
        (["--benign", "nobody"], "`nobody` is no class of the bundle"),
    ):
        assert run([*asked, *words]) == 2
        assert told in capsys.readouterr().err


def test_vectors_and_answers_as_csv(office: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert teach(tmp_path / "taught", "--coverage", "0.999") == 0
    for verb, column in (("embed", "vector"), ("predict", "answers")):
        output = tmp_path / f"{verb}.csv"
        assert run([verb, str(tmp_path / "taught"), str(DEMO_CAPTURE), "-o", str(output)]) == 0
        with output.open(newline="") as lines:
            rows = [json.loads(row[column]) for row in csv.DictReader(lines)]
        assert len(rows) == 198
        assert any(len(row) > 1 for row in rows)


def test_mistakes_are_told(office: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(["predict", "office", str(DEMO_CAPTURE)]) == 2
    assert "knows no labels" in capsys.readouterr().err
    assert run(["fit", "office", str(DEMO_CAPTURE), "-o", str(tmp_path / "x")]) == 2
    assert "no flow has a label" in capsys.readouterr().err
    assert run(["pretrain", "stubb", str(DEMO_CAPTURE), "-o", str(tmp_path / "x")]) == 2
    assert "did you mean `stub`" in capsys.readouterr().err
    assert run(["embed", "nothing", str(DEMO_CAPTURE), "-o", str(tmp_path / "x.parquet")]) == 2
    assert "no bundle called `nothing`" in capsys.readouterr().err
    assert (
        run(["embed", "office", str(DEMO_CAPTURE), "-o", str(tmp_path / "x.parquet"), "--where", "dst_port = 0.5"]) == 2
    )
    assert "there is no flow in" in capsys.readouterr().err
    assert run(["discover", "office", str(DEMO_CAPTURE), "--where", "dst_port = 0.5"]) == 2
    assert "for which `dst_port = 0.5`" in capsys.readouterr().err
    assert not (tmp_path / "x").exists() and not (tmp_path / "x.parquet").exists()


def test_a_bundle_sees_what_it_was_made_to_see(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    asked = ["embed", "laboratory", str(DEMO_CAPTURE), "-o", str(tmp_path / "x.parquet")]
    for name, value in (("features.use_names", "false"), ("autoencoder.width", "16")):
        assert run([*asked, "--set", f"{name}={value}"]) == 2
        assert f"made with `{name}`" in capsys.readouterr().err
    assert not (tmp_path / "x.parquet").exists()
    assert run([*asked, "--set", "features.context_by=client"]) == 0  # of training only
    assert "masked" not in capsys.readouterr().out  # payload is not lacking: it was never wanted


def test_what_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else real(name))
    assert run(["predict", "office", str(DEMO_CAPTURE)]) == 2
    assert "pip install 'flowlore[learn]'" in capsys.readouterr().err


def test_an_empty_shelf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setenv("FLOWLORE_CACHE_DIR", str(tmp_path))
    assert run(["bundles", "--json"]) == 0
    assert [row for row in json.loads(capsys.readouterr().out) if not row["packaged"]] == []


def test_augmented_copies_teach(office: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    augmented = tmp_path / "augmented"
    words = ["--augment", "packet-loss", "--augment", "change-rtt:1", "--copies", "3"]
    assert run(["pretrain", "stub", str(DEMO_CAPTURE), "-o", str(augmented), *words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["augmentation"]["copies"] == 3
    assert teach(tmp_path / "taught", *words, "--json") == 0
    assert json.loads(capsys.readouterr().out)["shown"] > 0
    assert teach(tmp_path / "other", "--augment", "wrap:7") == 2
    assert "magnitude of `wrap` is 7, but must be from 0 to 1" in capsys.readouterr().err
