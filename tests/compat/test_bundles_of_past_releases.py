"""Bundles of every release still load, and say what they said. `scripts/make_compat_bundle` keeps one a release."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

import flowlore

RELEASES = sorted(Path(__file__).parent.glob("v*.zip"))


def test_this_release_has_one() -> None:
    assert f"v{flowlore.__version__}.zip" in [path.name for path in RELEASES]


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.stem)
def test_a_bundle_says_what_it_said(release: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(release) as archive:
        archive.extractall(tmp_path)
    expected = json.loads((tmp_path / "expected.json").read_text(encoding="utf-8"))
    flows = flowlore.read(tmp_path / "flows.parquet")
    bundle = flowlore.load(tmp_path / "bundle")
    np.testing.assert_allclose(bundle.embed(flows).vectors, np.array(expected["vectors"]), rtol=1e-3, atol=1e-3)
    answers = bundle.predict(flows)
    assert answers.column("label").to_pylist() == expected["labels"]
    np.testing.assert_allclose(answers.column("confidence").to_pylist(), expected["confidence"], atol=5e-3)
    np.testing.assert_allclose(answers.column("novelty").to_pylist(), expected["novelty"], atol=5e-3)
