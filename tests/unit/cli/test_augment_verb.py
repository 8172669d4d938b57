"""`flowlore augment`: copies on a disk, the gallery, and how it refuses."""

import json
from pathlib import Path

import polars as pl
import pytest

import flowlore
from flowlore.cli import run
from flowlore.cli.demo import DEMO, DEMO_CAPTURE

IN = str(DEMO_CAPTURE)


def test_copies_are_written_with_their_settings(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "more.parquet"
    words = ["--transform", "packet-loss", "--transform", "mtu:0.3", "--copies", "2", "--seed", "3"]
    assert run(["augment", IN, "-o", str(out), *words, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["flows"], report["copied"], report["written"]) == (198, 198, 594)
    flows = flowlore.read(out)
    assert len(flows) == 594
    copies, series = (
        flows.to_polars().filter(pl.col("source") == "augment"),
        ["packet_direction", "packet_bytes", "packet_gap_ns"],
    )
    known = set(map(str, flows.to_polars().filter(pl.col("source") != "augment").select(series).rows()))
    same = sum(str(row) in known for row in copies.select(series).rows())
    assert 0 < report["unchanged"] <= same < report["written"] - report["copied"]
    import pyarrow.parquet as pq

    assert b"packet-loss" in pq.read_schema(out).metadata[b"flowlore.config"]
    again = tmp_path / "again.parquet"
    assert run(["augment", IN, "-o", str(again), *words]) == 0
    told = capsys.readouterr().out
    assert "198 flows, 198 of them copied; 594 →" in told
    assert f"note: {report['unchanged']:,} copies are as the original" in told
    assert flowlore.read(again).equals(flows)


def test_only_copies_of_labelled_flows(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    labelled, out = tmp_path / "labelled.parquet", tmp_path / "copies.parquet"
    assert run(["annotate", IN, str(DEMO / "labels.csv"), "-o", str(labelled)]) == 0
    capsys.readouterr()
    words = ["augment", str(labelled), "-o", str(out), "--transform", "average", "--only-copies"]
    assert run(words) == 2
    told = capsys.readouterr().err
    assert "one flow of `telemetry`, `mail`, `software-update`, but mixing takes two of a class" in told
    assert "label not in ('telemetry', 'mail', 'software-update')" in told
    assert run([*words, "--where", "label is null or label = 'names'", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["written"] == report["copied"] < report["flows"]
    assert report["unlabelled"] == report["flows"] - report["copied"]
    assert set(flowlore.read(out)["source"].to_pylist()) == {"augment"}


def test_a_gallery_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    page = tmp_path / "gallery.html"
    assert run(["augment", IN, "--gallery", str(page)]) == 0
    assert "gallery →" in capsys.readouterr().out and "<svg" in page.read_text()
    assert run(["augment", IN, "--gallery", str(page)]) == 2
    assert "--overwrite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "x.parquet", "--transform", "packet-los"], "did you mean `packet-loss`?"),
        (["-o", "x.parquet", "--transform", "wrap", "--magnitude", "1.5"], "must be from 0 to 1"),
        (["-o", "x.parquet", "--transform", "wrap", "--probability", "0.2"], "`--probability` is of a masked stack"),
        (["-o", "x.parquet", "--transform", "wrap", "--magnitude", "abc"], "`--magnitude` is `abc`, but must be a num"),
        (
            ["-o", "x.parquet", "--transform", "wrap", "--magnitude", "nan"],
            "`--magnitude` is nan, but must be a number",
        ),
        (["-o", "x.parquet", "--transform", "wrap", "--magnitude", "inf"], "but must be a number from 0 to 1"),
        (["-o", "x.parquet", "--transform", "wrap", "--copies", "x"], "`--copies` is `x`, but must be a whole number"),
        (["-o", "x.parquet", "--transform", "wrap:2"], "must be from 0 to 1"),
        (["-o", "x.parquet", "--transform", "wrap:nan"], "`wrap` is nan, but must be a number from 0 to 1"),
        (["-o", "x.parquet", "--transform", "cutmix"], "no flow has a label"),
        (["-o", "x.parquet", "--transform", "wrap", "--copies", "0"], "`copies` is 0, but must be from 1 to 1,000"),
        (["-o", "x.parquet", "--transform", "wrap", "--combine", "all"], "`combine` is `all`, but must be"),
        (["-o", "x.parquet"], "no transform was named"),
        ([], "where the flows should go was not said"),
    ],
)
def test_mistakes_are_told(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["augment", IN, *words]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
