"""Bundles come back as they were, and what is damaged, foreign or too new is told with its place."""

import json
from pathlib import Path

import numpy as np
import pytest

from flowlore.errors import BundleError, OutputError
from flowlore.tasks.bundle import CARD, MANIFEST, VOCABULARY, WEIGHTS, Bundle, load_bundle, save_bundle


def a_bundle() -> Bundle:
    return Bundle(
        model="autoencoder",
        config={"model": {"width": 64}, "features": {"packets": 32}},
        needs=("quantities", "series.size"),
        states={"encoder": {"layers": 2}, "head": {"labels": ["dns", "tls"]}},
        arrays={"encoder": {"weights.0": np.arange(6, dtype=np.float32).reshape(2, 3)}, "head": {"mean_": np.ones(2)}},
        labels=("dns", "tls"),
        data={"flows": 10, "sources": ["packets"]},
        metrics={"macro_f1": np.float64(0.5), "nothing": float("nan")},
    )


def test_a_bundle_comes_back(tmp_path: Path) -> None:
    path = save_bundle(a_bundle(), tmp_path / "office")
    again = load_bundle(path)
    assert again.name == "office"
    assert again.labels == ("dns", "tls") and again.has_head
    assert again.config_hash == a_bundle().config_hash
    assert np.array_equal(again.arrays["encoder"]["weights.0"], a_bundle().arrays["encoder"]["weights.0"])
    assert again.metrics == {"macro_f1": 0.5, "nothing": None}
    assert sorted(file.name for file in path.iterdir()) == sorted([MANIFEST, WEIGHTS, VOCABULARY, CARD])
    assert list(tmp_path.iterdir()) == [path]
    assert len({(path / name).stat().st_mode for name in (MANIFEST, WEIGHTS, VOCABULARY, CARD)}) == 1
    assert "It names 2 classes: `dns`, `tls`." in (path / CARD).read_text()


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    path = save_bundle(a_bundle(), tmp_path / "office")
    with pytest.raises(OutputError, match="already there"):
        save_bundle(a_bundle(), path)
    save_bundle(a_bundle(), path, overwrite=True)
    assert list(tmp_path.iterdir()) == [path]
    (tmp_path / "photos").mkdir()
    with pytest.raises(BundleError, match="is not a bundle, so it is not replaced"):
        save_bundle(a_bundle(), tmp_path / "photos", overwrite=True)


def test_what_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    broken = Bundle(
        model="m",
        config={},
        needs=(),
        states={"encoder": {"odd": object()}},
        arrays={"encoder": {"x": np.array([1.0])}},
    )
    with pytest.raises(TypeError):
        save_bundle(broken, tmp_path / "office")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OutputError, match="folder does not exist"):
        save_bundle(a_bundle(), tmp_path / "no" / "office")


@pytest.mark.parametrize("name", [WEIGHTS, VOCABULARY, CARD])
def test_a_file_that_is_missing_or_changed(tmp_path: Path, name: str) -> None:
    path = save_bundle(a_bundle(), tmp_path / "office")
    content = bytearray((path / name).read_bytes())
    content[-1] ^= 1
    (path / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name}` is damaged or was changed"):
        load_bundle(path)
    (path / name).unlink()
    with pytest.raises(BundleError, match=f"lacks `{name}`"):
        load_bundle(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99, "version": "7.0"}, "has format 99.*made with flowlore 7.0"),
        ({"format": "1"}, "is not Flowlore's"),
        ({"format": True}, "is not Flowlore's"),
        ({"needs": None}, "`needs` in .* is missing or of the wrong kind"),
        ({"labels": [1]}, "`labels` in .* must hold text only"),
        ({"config": {"model": {"width": 65}}}, "do not have the hash"),
        ({"states": {"encoder": {}}}, "holds `head.mean_`"),
    ],
)
def test_a_manifest_that_is_wrong(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = save_bundle(a_bundle(), tmp_path / "office")
    manifest = json.loads((path / MANIFEST).read_text()) | change
    (path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=message):
        load_bundle(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff", "[" * 100_000])
def test_a_manifest_that_is_not_one(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_bytes(text.encode("latin-1"))
    with pytest.raises(BundleError, match=r"damaged|not Flowlore's"):
        load_bundle(tmp_path)


def test_what_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"has no `bundle\.json`"):
        load_bundle(tmp_path)
    with pytest.raises(BundleError, match="does not exist"):
        load_bundle(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(BundleError, match="a bundle is a folder"):
        load_bundle(tmp_path / "file")


def test_weights_that_are_no_numbers(tmp_path: Path) -> None:
    bundle = a_bundle()
    bundle.arrays["head"]["mean_"][0] = np.nan
    with pytest.raises(BundleError, match="holds NaN or infinities"):
        load_bundle(save_bundle(bundle, tmp_path / "office"))
