"""Checkpoints on a disk: whole or not there, and told when damaged."""

from pathlib import Path

import numpy as np
import pytest

from flowlore.errors import ModelError, OutputError
from flowlore.tasks.checkpoint import CheckpointFolder


def test_what_was_saved_last_is_loaded(tmp_path: Path) -> None:
    place = CheckpointFolder(tmp_path / "new")
    assert place.load() is None
    place.save({"weight": np.zeros(2, np.float32)}, {"step": 1})
    place.save({"weight": np.arange(3, dtype=np.float32)}, {"step": 2, "best": None})
    arrays, values = CheckpointFolder(tmp_path / "new").load() or ({}, {})
    assert arrays["weight"].tolist() == [0, 1, 2] and values == {"step": 2, "best": None}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["checkpoint.safetensors"]


def test_a_damaged_one_is_told(tmp_path: Path) -> None:
    place = CheckpointFolder(tmp_path)
    place.save({"weight": np.zeros(99, np.float32)}, {})
    place.path.write_bytes(place.path.read_bytes()[:40])
    with pytest.raises(ModelError, match="is damaged") as caught:
        place.load()
    assert "delete it" in str(caught.value.hint)


def test_a_place_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        CheckpointFolder(tmp_path / "file" / "below")
