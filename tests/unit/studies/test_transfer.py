"""The laboratory teaches, others examine: which flows stand on which side, and under which names."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from flowlore.cli.demo import DEMO
from flowlore.errors import InputError
from flowlore.studies.material import Places
from flowlore.studies.materials.attacks import laboratory_attacks
from flowlore.studies.materials.transfer import drift, laboratory_to_ndpi
from flowlore.tasks.raw import starts_ns, texts


def run_folder(folder: Path, scenario: str) -> Path:
    """The packaged capture of the laboratory as if `lab run` had made it."""
    (folder / "capture").mkdir(parents=True)
    shutil.copyfile(DEMO / "laboratory.pcapng.zst", folder / "capture" / "staff.pcapng.zst")
    shutil.copyfile(DEMO / "laboratory.csv", folder / "labels.csv")
    (folder / "run.json").write_text(json.dumps({"scenario": {"name": scenario}}))
    return folder


def test_one_run_teaches_and_the_other_examines(tmp_path: Path) -> None:
    runs = tuple(run_folder(tmp_path / name, name) for name in ("office", "drift"))
    found = drift(Places(data=tmp_path / "none", laboratories=runs))
    captures = texts(found.flows, "capture")
    assert set(captures[found.split.train]) == {"office"}
    assert set(captures[found.split.test]) == {"drift"}
    labels = texts(found.flows, "label")
    assert set(labels[found.split.train]) == set(labels[found.split.test]) > {"dns", "web"}


def test_a_run_that_is_missing_is_named(tmp_path: Path) -> None:
    only = (run_folder(tmp_path / "office", "office"),)
    with pytest.raises(InputError, match="no run of `drift`"):
        drift(Places(data=tmp_path / "none", laboratories=only))


def test_kinds_of_attack_by_their_packets(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "drift", "drift")
    (run / "episodes.jsonl").write_text('{"application": "web"}\n')
    found = laboratory_attacks(Places(data=tmp_path / "none", laboratories=(run,)))
    labels = texts(found.flows, "label")
    assert set(labels[found.split.train]) == set(labels[found.split.test]) == {"web", "benign"}
    start = starts_ns(found.flows)
    assert start[found.split.train].max() < start[found.split.test].min()
    assert not set(found.groups[found.split.train]) & set(found.groups[found.split.test])
    assert found.flows.to_arrow()["packet_bytes"].null_count == 0


@pytest.mark.shared_data
def test_captures_of_others_have_the_names_of_protocols(tmp_path: Path, shared_data: Path) -> None:
    only = (run_folder(tmp_path / "office", "office"),)
    found = laboratory_to_ndpi(Places(data=shared_data, laboratories=only))
    labels = texts(found.flows, "label")
    assert {"dns", "tls"} <= set(labels[found.split.train]) == set(labels[found.split.test])
    assert len(found.split.validation) == 0
    assert np.intersect1d(found.split.train, found.split.test).size == 0
