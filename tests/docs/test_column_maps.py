"""Every key of a column map is in its guide."""

from dataclasses import fields
from pathlib import Path

import pytest

from flowlore.sources.records.columnmaps import ColumnMap, ColumnRule

GUIDE = Path(__file__).resolve().parents[2] / "docs/guides/column-maps.md"
OUTSIDE = {"name", "columns", "constants"}  # the file's name, and the two tables


@pytest.mark.parametrize(
    "key", sorted({item.name for kind in (ColumnMap, ColumnRule) for item in fields(kind)} - OUTSIDE)
)
def test_every_key_is_documented(key: str) -> None:
    assert f"`{key}`" in GUIDE.read_text(encoding="utf-8")
