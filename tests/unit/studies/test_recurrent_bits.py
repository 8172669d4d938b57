"""The GRU beside the decoder: it learns what follows what, of several features at once, and sees no later step."""

from __future__ import annotations

import numpy as np
import pytest

from flowlore.studies.dynamics import recurrent_bits as module
from flowlore.studies.dynamics.recurrent_bits import RecurrentLikelihood, recurrent_bits

BINS = 5


def test_it_learns_and_sees_no_later_step() -> None:
    rng = np.random.default_rng(0)
    turns = (np.arange(80)[None] + rng.integers(0, BINS, (12, 1))) % BINS
    tokens = np.stack([turns, (2 * turns) % BINS], axis=1)
    tokens[:, :, :9] = BINS  # not known
    made = RecurrentLikelihood(2, BINS, rng)
    made.fit(tokens[:, :, :60], rng, steps=60, known_from=np.full(12, 9))
    bits = made.bits(tokens)
    assert np.isnan(bits[:, :, :9]).all() and bits[:, :, 20:].mean() < 0.5 * np.log2(BINS)
    changed = tokens.copy()
    changed[:, :, 50:] = (changed[:, :, 50:] + 1) % BINS
    again = made.bits(changed)
    assert np.allclose(bits[:, :, 9:50], again[:, :, 9:50], atol=1e-5)
    assert not np.allclose(bits[:, :, 50:], again[:, :, 50:], atol=0.1)


def test_later_steps_do_not_teach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STEPS", 12)
    tokens = np.random.default_rng(1).integers(0, BINS, (4, 90))
    other = tokens.copy()
    other[:, 60:] = 0
    told = [recurrent_bits(one, 60, BINS, np.random.default_rng(2))[:, :60] for one in (tokens, other)]
    assert np.allclose(told[0], told[1], atol=1e-6, equal_nan=True)
