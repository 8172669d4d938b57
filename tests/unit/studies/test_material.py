"""What is kept of a data set, and that thinning neither leaks nor drops a class."""

from dataclasses import replace
from pathlib import Path

import made_up_study
import numpy as np
import pytest

from flowlore.errors import TaskError
from flowlore.studies.material import Places, as_netflow, checksum_of, load, prepare
from flowlore.studies.study import SCALES
from flowlore.tasks.splits import Split, prove_disjoint


def test_kept_and_taken_again(tmp_path: Path) -> None:
    gathered = made_up_study.toy(Places(data=tmp_path))
    facts = prepare(gathered, "toy", SCALES["smoke"], tmp_path / "toy")
    material = load(tmp_path / "toy")
    assert material.facts == facts
    assert (facts.train, facts.test, facts.classes, facts.groups) == (140, 60, 2, 40)
    assert facts.modalities == ("quantities", "series", "entities") and facts.lacks == ("payload",)
    assert facts.identity == () and facts.smallest_class == 70
    split = Split(by="capture", train=material.train, test=material.test, validation=material.validation)
    prove_disjoint(material.groups, split, what="capture")
    assert len(material.batch) == 200 and material.is_novel.sum() == facts.novel


def test_thinned_sides(tmp_path: Path) -> None:
    scale = replace(SCALES["smoke"], train_rows=30, test_rows=20)
    gathered = made_up_study.toy(Places(data=tmp_path))
    facts = prepare(gathered, "toy", scale, tmp_path / "toy")
    assert (facts.train, facts.test, facts.whole_train, facts.whole_test) == (30, 20, 140, 60)
    assert facts.smallest_class >= 7, "a class keeps its share, or half of an even share at least"
    material = load(tmp_path / "toy")
    assert set(material.groups[material.train]) <= set(gathered.groups[gathered.split.train])
    assert set(material.groups[material.test]) <= set(gathered.groups[gathered.split.test])


def test_more_of_the_training_side_is_seen_without_labels(tmp_path: Path) -> None:
    scale = replace(SCALES["smoke"], train_rows=30, test_rows=20, unlabelled_rows=50)
    gathered = made_up_study.toy(Places(data=tmp_path))
    facts = prepare(gathered, "toy", scale, tmp_path / "toy")
    material = load(tmp_path / "toy")
    assert facts.unlabelled == len(material.unlabelled) == 50
    assert set(material.groups[material.unlabelled]) <= set(gathered.groups[gathered.split.train])
    sides = [material.train, material.validation, material.test, material.unlabelled]
    rows = np.concatenate(sides)
    assert len(np.unique(rows)) == len(rows) == len(material.flows)
    seen = set(material.twins[np.concatenate([material.train, material.unlabelled])].tolist())
    assert [twin not in seen for twin in material.twins[material.test].tolist()] == material.is_novel.tolist()


def test_one_class_is_no_study(tmp_path: Path) -> None:
    gathered = made_up_study.toy(Places(data=tmp_path))
    small = np.array(gathered.flows["label"].to_pylist()) == "small"
    one = replace(gathered.split, train=gathered.split.train[small[gathered.split.train]])
    with pytest.raises(TaskError, match="fewer than two classes"):
        prepare(replace(gathered, split=one), "toy", SCALES["smoke"], tmp_path / "toy")


def test_netflow_knows_no_packets() -> None:
    flows, _ = made_up_study.toy_flows(4)
    seen = as_netflow(flows)
    assert "bytes_fwd" in seen.column_names and "start" in seen.column_names
    assert not [name for name in seen.column_names if name.startswith(("packet_", "size_mean", "payload"))]


def test_checksums_know_no_place(tmp_path: Path) -> None:
    for folder in ("a/x", "b/x"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "file").write_text("same")
    first, second = (checksum_of([tmp_path / folder / "file"]) for folder in ("a/x", "b/x"))
    assert first == second
    (tmp_path / "b/x/file").write_text("other")
    assert checksum_of([tmp_path / "b/x/file"]) != first
