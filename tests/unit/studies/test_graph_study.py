"""The study of graphs on made-up networks, at a scale that says nothing but that it works."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowlore.cli.demo import DEMO
from flowlore.errors import InputError
from flowlore.features.quantities import quantities
from flowlore.studies.conduct import Order, conduct
from flowlore.studies.evidence import Evidence, Result, Shelf
from flowlore.studies.graph import Graph
from flowlore.studies.graph.arms import CORPUS, KITSUNE, SURPRISE_HERE
from flowlore.studies.graph.asked import asked_of, detected
from flowlore.studies.graph.disturbance import NAMES, disturbed, sample_packets
from flowlore.studies.graph.encoders import teaching_rows
from flowlore.studies.graph.targets import SCRATCH, TUNED, targets_section
from flowlore.studies.material import Facts, Material, Places, load
from flowlore.studies.materials.networks import kinds_of_attack, laboratory_elsewhere, laboratory_network
from flowlore.studies.study import SCALES
from flowlore.tasks.raw import texts

Make = Callable[..., Order]
LABELLED = ("pre-trained elsewhere, probe", "pre-trained here, fine-tuned", SCRATCH, "extra trees with windows", "MLP")


@pytest.fixture
def tiny(order: Make) -> Callable[..., Order]:
    def make(**changed: Any) -> Order:
        scale = replace(order(seeds=1, shots=(5,)).scale, pretrain_steps=2, network_steps=8, epochs=1)
        return order("graph", scale=scale, **changed)

    return make


def test_on_made_up_networks(tiny: Make) -> None:
    arms = (*LABELLED, "whole", "without edges through time", KITSUNE, SURPRISE_HERE, "GraphIDS re-stated")
    done = conduct(tiny(sets=("unsw-nb15", "ndpi-network", CORPUS), arms=(*arms, "pre-trained here")))
    assert done.failed == ()
    results = Shelf(tiny().output).evidence().results
    assert {one.arm for one in results} == {*arms, "pre-trained here"}
    assert {one.question for one in results} == {
        *("labels", "share of labels", "no labels", "ablation", "disturbed", "links")
    }
    shared = {(one.data, one.arm): one for one in results if one.question == "share of labels"}
    trees = shared["unsw-nb15", "extra trees with windows"]
    assert trees.number("pr_auc") > 0.9 and trees.number("natural.macro_f1") > 0.9
    assert trees.result["found_by_kind"].keys() == {"scan", "guessing"}
    tuned = shared["ndpi-network", SCRATCH]
    assert tuned.result["kept"] in ("probe", "tuned") and tuned.number("encoder_parameters.all") > 500_000
    elsewhere = next(one for one in results if one.arm.startswith("pre-trained elsewhere"))
    assert elsewhere.hash in Shelf(tiny().output).costs()
    page = done.pages[1].read_text()
    for words in (
        "Targets",
        "Without any label",
        "Ablations",
        "Lost, late, sampled",
        "EdgeBank",
        "guessing",
        "one has a",
    ):
        assert words in page, words


def test_a_corpus_that_is_not_here_leaves_its_arms_out(tiny: Make) -> None:
    done = conduct(tiny(sets=("unsw-nb15",)), only_plan=True)
    arms = {one.run.arm for one in done.plan.runs}
    assert not [arm for arm in arms if "elsewhere" in arm]
    assert {"pre-trained here, probe", "LightGBM with windows"} <= arms
    both = conduct(tiny(sets=("unsw-nb15", CORPUS)), only_plan=True).plan.runs
    run = next(one for one in both if one.run.arm == "pre-trained elsewhere, probe")
    assert run.configuration["also"] == {CORPUS: "e" * 64}
    three = conduct(tiny(sets=("unsw-nb15", "ndpi-network", CORPUS)), only_plan=True).plan.runs
    taught_by = {one.run.data: set(one.run.also) for one in three if one.run.arm == "pre-trained elsewhere, probe"}
    assert taught_by == {"unsw-nb15": {"ndpi-network", CORPUS}, "ndpi-network": {"unsw-nb15", CORPUS}}


def test_unlabelled_flows_stay_and_nothing_asked_teaches(tiny: Make) -> None:
    conduct(tiny(sets=("unsw-nb15",), arms=("MLP",), questions=("share of labels",)))
    material = load(tiny().output / "data" / "unsw-nb15")
    assert len(material.flows) == 900, "none is thinned away"
    labels = texts(material.flows, "label")
    assert (labels[material.train] != None).all() and (labels == None).sum() > 200  # noqa: E711
    teaching = teaching_rows(material)
    assert set(material.train) <= set(teaching) and not set(teaching) & set(material.test)
    assert len(teaching) > len(material.train), "unlabelled flows are neighbours that teach"
    assert any("hosts, of which one has a part in" in note for note in material.facts.notes)


def test_declared_runs() -> None:
    facts = Facts.from_json(_facts("laboratory-network"))
    runs = Graph().runs(facts, SCALES["full"])
    assert {run.values.get("task") for run in runs} == {"bot", "application", None}
    assert {run.shots for run in runs if run.arm == "LightGBM"} == {1, 5, 10, 20, None}
    assert {run.shots for run in runs if run.arm == SCRATCH} == {5, 10, 20, None}
    assert {run.values["share"] for run in runs if run.question == "share of labels"} == {0.01, 0.05, 0.1}
    assert not [run for run in runs if run.question == "disturbed" and run.values["task"] == "application"]
    assert Graph().runs(replace(facts, name=CORPUS), SCALES["full"]) == []


def test_sampled_packets() -> None:
    rng = np.random.default_rng(0)
    values = np.full((4000, len(quantities())), np.nan)
    for name, value in (("packets_fwd", 50), ("bytes_fwd", 5000), ("packets_rev", 2), ("bytes_rev", 80)):
        values[:, NAMES[name]] = value
    values[:, NAMES["duration_us"]], values[:, NAMES["gap_mean_us_fwd"]] = 1e6, 10.0
    values[2000:, NAMES["packets_fwd"]] = 1
    found, is_seen = sample_packets(values, 10, rng)
    assert is_seen[:2000].mean() > 0.98 and 0.2 < is_seen[2000:].mean() < 0.35
    assert abs(found[:2000, NAMES["packets_fwd"]].mean() - 50) < 1.5, "multiplied, so right on average"
    assert np.allclose(found[:2000, NAMES["bytes_fwd"]], 100 * found[:2000, NAMES["packets_fwd"]])
    twice = found[:2000, NAMES["packets_fwd"]] > 10
    assert (found[:2000][twice][:, NAMES["gap_mean_us_fwd"]] == 100.0).all()
    assert np.isnan(found[:2000][~twice][:, NAMES["gap_mean_us_fwd"]]).all()
    assert (found[:, NAMES["duration_us"]] <= 1e6).all()


@pytest.mark.parametrize("kind", ["none", "1 in 10 lost", "half lost", "a third delayed", "sampled 1:100", "noise"])
def test_flows_that_teach_are_not_disturbed(tiny: Make, kind: str) -> None:
    material = _material(tiny)
    spared = teaching_rows(material)
    batch, rows = disturbed(material.batch, spared, kind, np.random.default_rng(0))
    assert set(spared) <= set(rows)
    kept = np.isin(rows, spared)
    before = material.batch.take(rows)
    for name in ("quantities", "graph.times_ns", "graph.ends"):
        assert np.array_equal(batch.channels[name][kept], before.channels[name][kept], equal_nan=name == "quantities")
    others = ~kept
    if kind in ("1 in 10 lost", "half lost", "sampled 1:100"):
        assert others.sum() < (len(material.batch) - len(spared)) * 0.97
    if kind == "a third delayed":
        late = batch.channels["graph.times_ns"][others, 1] > before.channels["graph.times_ns"][others, 1]
        assert 0.2 < late.mean() < 0.5
    if kind == "noise":
        assert not np.allclose(
            batch.channels["quantities"][others, NAMES["bytes_fwd"]],
            before.channels["quantities"][others, NAMES["bytes_fwd"]],
        )


def test_false_alarms_are_of_watched_time_only(tiny: Make) -> None:
    material = _material(tiny)
    asked = asked_of(material, "attacks")
    is_attack = asked.truth[asked.test] == "attack"
    perfect = detected(material, is_attack, is_attack.astype(float), asked.test)
    assert perfect["pr_auc"] == 1.0 and perfect["false_a_day"] == 0.0
    assert 250 / 86_400 < perfect["watched_days"] < 320 / 86_400, "the second half of ten minutes"


def test_targets_are_told_reached_or_not() -> None:
    def result(arm: str, task: str, seed: int, value: float) -> Result:
        return Result(
            hash=f"{arm}{task}{seed}",
            question="share of labels",
            data="set",
            arm=arm,
            seed=seed,
            shots=None,
            values={"task": task, "share": 0.05},
            result={"natural": {"macro_f1": value}},
            cost={"cpu_s": 1.0},
        )

    def found(gain: float) -> tuple[str, ...]:
        results = []
        for place, task in enumerate(("intrusion", "bot", "application")):
            for seed in range(5):
                level = 0.5 + 0.1 * place + 0.003 * seed
                results += [result(SCRATCH, task, seed, level), result(TUNED, task, seed, level * gain)]
        section = targets_section(Evidence(study={}, facts={}, results=tuple(results), failed=()))
        rows: tuple[str, ...] = section.parts[1].rows[0]  # type: ignore[union-attr]
        return rows

    assert found(1.10)[3] == "yes" and "+10.0%" in found(1.10)[2]
    assert found(1.02)[3] == "no"


def test_labels_say_what_is_an_attack() -> None:
    words = np.array(["Normal", "benign/dns", "background", "malicious/ddos", None], dtype=object)
    assert kinds_of_attack(words).tolist() == ["normal", "benign/dns", "background", "attack/malicious/ddos", None]


def test_runs_of_the_laboratory(tmp_path: Path) -> None:
    runs = tuple(run_folder(tmp_path / name, name) for name in ("office", "drift"))
    places = Places(data=tmp_path / "none", laboratories=runs)
    asked, others = laboratory_network(places), laboratory_elsewhere(places)
    assert set(texts(asked.flows, "capture")) == {"drift"} and set(texts(others.flows, "capture")) == {"office"}
    assert "attack/dns" in set(texts(asked.flows, "label")), "what an episode did is an attack"
    assert len(others.split.test) == 0
    with pytest.raises(InputError, match="one run of the laboratory is not enough"):
        laboratory_elsewhere(Places(data=tmp_path / "none", laboratories=runs[:1]))
    with pytest.raises(InputError, match="no run of the laboratory was named"):
        laboratory_network(Places(data=tmp_path / "none"))


def run_folder(folder: Path, scenario: str) -> Path:
    """The packaged capture of the laboratory as if `lab run` had made it, with an episode that did `dns`."""
    (folder / "capture").mkdir(parents=True)
    shutil.copyfile(DEMO / "laboratory.pcapng.zst", folder / "capture" / "staff.pcapng.zst")
    shutil.copyfile(DEMO / "laboratory.csv", folder / "labels.csv")
    (folder / "run.json").write_text(json.dumps({"scenario": {"name": scenario}}))
    (folder / "episodes.jsonl").write_text(json.dumps({"application": "dns"}) + "\n")
    return folder


@pytest.mark.shared_data
@pytest.mark.parametrize(("name", "flows"), [("unsw_nb15", 9_938), ("exposed_hosts", 19_094), ("iot_23", 28_180)])
def test_real_networks(shared_data: Path, name: str, flows: int, tmp_path: Path) -> None:
    from flowlore.studies.materials import networks

    gathered = getattr(networks, name)(Places(data=shared_data))
    assert len(gathered.flows) == flows and gathered.is_network
    labels = texts(gathered.flows, "label").astype(str)
    for rows in (gathered.split.train, gathered.split.test):
        is_attack = np.char.startswith(labels[rows], "attack/")
        assert is_attack.any() and not is_attack.all()


def _material(tiny: Make) -> Material:
    conduct(tiny(sets=("unsw-nb15",), arms=("MLP",), questions=("share of labels",)))
    return load(tiny().output / "data" / "unsw-nb15")


def _facts(name: str) -> dict[str, object]:
    names = ("train", "validation", "test", "novel", "whole_train", "whole_test", "classes", "groups", "smallest_class")
    words = ("title", "checksum", "licence", "split_by", "proof", "context", "shortcuts")
    plain: dict[str, object] = dict.fromkeys(names, 1000) | dict.fromkeys(words, "x")
    return plain | {"name": name, "modalities": (), "lacks": (), "identity": ()}
