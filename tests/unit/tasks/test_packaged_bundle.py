"""The bundle that ships: found by name, small, made from laboratory runs only, useful on flows of several sources."""

import json
from pathlib import Path

import numpy as np
import pytest

import flowlore
from flowlore.cli.demo import BUNDLE, DEMO_CAPTURE
from flowlore.tasks.bundle_shelf import PACKAGED, find_bundle, list_bundles

FOLDER = PACKAGED / BUNDLE


@pytest.fixture(autouse=True)
def no_own_bundles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLOWLORE_CACHE_DIR", str(tmp_path))


def test_a_name_finds_it_and_it_is_listed() -> None:
    assert find_bundle(BUNDLE) == FOLDER
    row = next(row for row in list_bundles() if row["name"] == BUNDLE)
    assert row["packaged"] and "problem" not in row


def test_it_is_small_enough_to_ship() -> None:
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 5_000_000


def test_its_card_says_what_it_is_and_how_good() -> None:
    manifest = json.loads((FOLDER / "bundle.json").read_text(encoding="utf-8"))
    assert manifest["data"]["licence"] == "CC0 1.0"
    assert set(manifest["data"]["sources"]) == {"packets"}
    assert manifest["data"]["runs"] and all(one.startswith("scenario ") for one in manifest["data"]["runs"].values())
    assert manifest["labels"] == []
    for shots in ("1 a class", "5 a class", "10 a class"):
        assert {"probe", "nearest", "extra-trees", "lightgbm"} == set(manifest["metrics"]["demo"][shots])
    card = (FOLDER / "card.md").read_text(encoding="utf-8")
    assert "nobody's traffic" in card and "5 a class" in card


def test_it_embeds_packets_and_bare_counters() -> None:
    bundle = flowlore.load(BUNDLE)
    flows = flowlore.read(DEMO_CAPTURE)
    whole = bundle.embed(flows)
    assert np.isfinite(whole.vectors).all() and not whole.is_blank.any()
    counters = ["start", "part", "flow_id", "duration_ns", "packets_fwd", "packets_rev", "bytes_fwd", "bytes_rev"]
    bare = bundle.embed(flows.select(counters))
    assert bare.vectors.shape == whole.vectors.shape
    assert np.isfinite(bare.vectors).all() and bare.masked
