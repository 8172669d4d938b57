"""The page of features names every one of them, with unit and formula as the code has them."""

from dataclasses import fields
from pathlib import Path

from flowlore.features import entities, series
from flowlore.features.quantities import quantities
from flowlore.features.settings import FeatureSettings


def test_every_feature_is_on_the_page(repository: Path) -> None:
    page = (repository / "docs/concepts/features.md").read_text(encoding="utf-8")
    for feature in (*quantities(), *series.CHANNELS):
        assert f"| `{feature.name}` | {feature.unit} | {feature.formula} |" in page
    for channel in entities.CHANNELS:
        assert f"| `{channel.name}` |" in page and f"| {channel.meaning} | `{channel.admitted_by}` |" in page
    for item in fields(FeatureSettings):
        if item.name.startswith("use_"):
            assert f"`{item.name}`" in page
