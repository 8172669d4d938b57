"""The study of floods over made-up days: what stands on which side, its runs, its numbers and its report."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from made_up_floods import tiny_floods

import flowlore.studies
from flowlore.registry import Registry
from flowlore.studies.conduct import Order, conduct
from flowlore.studies.ddos.arms import FROZEN, LABELS, PRETRAINED, SAMPLED, UNSEEN, shots_of
from flowlore.studies.ddos.episodes import scene_of, scenes_of, sides_of
from flowlore.studies.material import Places
from flowlore.studies.materials.floods import (
    ASKING,
    TEACHING,
    by_network,
    by_service,
    floods,
    laboratory_floods,
    load_floods,
)
from flowlore.studies.study import SCALES
from flowlore.tasks.ddos.signs import SIGNS


@pytest.fixture(autouse=True)
def materials(monkeypatch: pytest.MonkeyPatch) -> None:
    named = {"tiny-floods": "made_up_floods:tiny_floods", "tiny-laboratory": "made_up_floods:tiny_laboratory"}
    named |= {"toy": "made_up_study:toy", "tiny-network": "made_up_floods:tiny_network"}
    monkeypatch.setattr(flowlore.studies, "MATERIALS", Registry("material", named, with_plugins=False))
    studies = {"ddos": "flowlore.studies.ddos:Ddos"}
    monkeypatch.setattr(flowlore.studies, "STUDIES", Registry("study", studies, with_plugins=False, plural="studies"))


def test_no_capture_and_no_victim_is_on_two_sides() -> None:
    material = tiny_floods(Places(data=None)).material  # type: ignore[arg-type]
    for seed in range(2):
        teaching, asking = sides_of(material.sources, unseen=None, seed=seed)
        assert {one.name for one in teaching} & {one.name for one in asking} == set()
        assert {one.kind for one in asking} == {"syn-flood", "udp-flood"}
    teaching, asking = sides_of(material.sources, unseen="syn-flood", seed=0)
    assert {one.kind for one in teaching} == {"udp-flood"} and {one.kind for one in asking} == {"syn-flood"}
    rng = np.random.default_rng(0)
    taught = scenes_of(material, TEACHING, teaching, 6, rng)
    asked = scenes_of(material, ASKING, asking, 6, rng)
    victims = [{one.victim for scene in scenes for one in scene.attacks} for scenes in (taught, asked)]
    assert victims[0] and victims[1] and not victims[0] & victims[1]
    assert all(one.begin_ns >= scene.signs.start_ns + 7_200e9 for scene in (*taught, *asked) for one in scene.attacks)


def test_attacks_are_told_as_the_background_tells_its_own_flows() -> None:
    background = tiny_floods(Places(data=None)).material.backgrounds[0]  # type: ignore[arg-type]
    syn = next(one for one in tiny_floods(Places(data=None)).material.sources if one.kind == "syn-flood")  # type: ignore[arg-type]
    flags = [name for name in background.flows.column_names if "flags" in name or name.startswith(("syn_", "rst_"))]
    bare = replace(background, flows=background.flows.drop_columns(flags).append_column(
        "tcp_flags_fwd", pa.nulls(len(background.flows), pa.uint8())
    ))  # fmt: skip
    half_open = SIGNS.index("in_half_open_flows itself")
    with_flags, without = (scene_of(one, [syn], 8, np.random.default_rng(0)) for one in (background, bare))
    assert with_flags.attacks and np.nanmax(with_flags.signs.values[:, half_open]) > 0
    assert np.nanmax(without.signs.values[:, half_open]) == 0
    sent = [place for place, name in enumerate(SIGNS) if name.startswith("out_")]
    assert sent and np.nanmax(with_flags.signs.values[:, sent]) == 0


def test_what_is_sent_to_the_campus_is_sent_to_its_services() -> None:
    table = pa.table(
        {"dst_name": ["AS786", "AS786", "AS1", None], "dst_port": pa.array([443, None, 443, 22], pa.uint16())}
    )
    found = by_service(table)["dst_name"].to_pylist()
    assert found[0].startswith("AS786/") and found[1].startswith("AS786/") and found[2:] == ["AS1", None]
    source = tiny_floods(Places(data=None)).material.sources[0]  # type: ignore[arg-type]
    coarse = by_network(source)
    assert len(set(coarse.src_ip.to_pylist())) < len(set(source.src_ip.to_pylist()))
    assert {one[:14] for one in coarse.src_ip.to_pylist()} == {one[:14] for one in source.src_ip.to_pylist()}


def test_sampling_keeps_amounts_and_loses_flows() -> None:
    background = tiny_floods(Places(data=None)).material.backgrounds[0]  # type: ignore[arg-type]
    whole = scene_of(background, (), 0, np.random.default_rng(0)).signs
    thin = scene_of(background, (), 0, np.random.default_rng(0), sampled=20).signs
    of = thin.names[0]
    before, after = (np.nansum(one.packets[one.names.index(of)]) for one in (whole, thin))
    assert 0.8 < after / before < 1.25
    assert (np.nan_to_num(thin.packets) > 0).sum() < 0.9 * (np.nan_to_num(whole.packets) > 0).sum()


def test_the_study_runs_goes_on_and_tells_what_it_aimed_at(order: Callable[..., Order]) -> None:
    arms = ["z-score", "lightgbm", FROZEN, "syn-flood: lightgbm", f"syn-flood: {PRETRAINED}"]
    arms += [f"{what}: z-score" for what in ("syn-flood", "udp-flood", "1:100")]
    asked = order(
        "ddos", sets=("tiny-floods", "tiny-laboratory", "toy", "tiny-network"), seeds=1, shots=(5,), arms=tuple(arms)
    )  # fmt: skip
    done = conduct(asked)
    assert not done.failed and set(done.left_out) == {"toy", "tiny-network"}
    assert done.left_out["toy"] == "it holds flows, and `ddos` asks hosts under attack"
    text = (asked.output / "report.md").read_text()
    for words in ("A kind that nobody taught", "aimed at: 10 points above", "Sampled NetFlow", "The laboratory"):
        assert words in text
    results = [json.loads(path.read_text()) for path in (asked.output / "runs").glob("*.json")]
    held = {(one["configuration"]["question"], one["configuration"]["arm"]): one["result"] for one in results}
    labelled, unseen = held[LABELS, "lightgbm"], held[UNSEEN, "syn-flood: lightgbm"]
    assert set(labelled["sources_that_teach"]) & set(labelled["sources_that_ask"]) == set()
    assert all(name.startswith("syn-flood") for name in unseen["sources_that_ask"])
    assert not any(name.startswith("syn-flood") for name in unseen["sources_that_teach"])
    for result in held.values():
        every = result["strata"]["all"]
        assert 0 <= every["pr_auc"] <= 1 and every["attacks"] > 0 and result["background_days"] > 0
    assert labelled["strata"]["all"]["pr_auc"] > 10 * labelled["strata"]["all"]["prevalence"]
    assert (SAMPLED, "1:100: z-score") in held
    assert conduct(asked).made == 0


def test_shots_are_those_of_the_study_unless_they_are_asked_for() -> None:
    assert shots_of(SCALES["small"]) == [1, 5, 10, 100]
    assert shots_of(SCALES["small"].changed(shots=[3, 20])) == [3, 20]


@pytest.mark.shared_data
def test_real_captures_are_what_they_say(shared_data, tmp_path) -> None:  # type: ignore[no-untyped-def]
    gathered = floods(Places(data=shared_data))
    kinds = {one.kind for one in gathered.material.sources}
    assert kinds == {"syn-flood", "udp-reflection", "syn-ack-reflection", "web-flood", "mirai-flood"}
    spoofed = next(one for one in gathered.material.sources if "spoofed" in one.name)
    assert 20_000 < len(set(spoofed.src_ip.to_pylist())) < 37_000  # by network
    assert [one.side for one in gathered.material.backgrounds] == [TEACHING, TEACHING, ASKING, ASKING]
    gathered.prepare("floods", SCALES["smoke"], tmp_path / "floods")
    again = load_floods(tmp_path / "floods")
    assert [one.packets for one in again.sources] == [one.packets for one in gathered.material.sources]


def test_what_is_not_here_is_told(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from flowlore.errors import InputError

    with pytest.raises(InputError, match="attack captures of two kinds"):
        floods(Places(data=tmp_path))
    with pytest.raises(InputError, match="no run of the laboratory with floods"):
        laboratory_floods(Places(data=tmp_path))
