"""Every encoder of the registry keeps the promises of `models/encoder.py`."""

from typing import Any

import pytest

from flowlore.models import MODELS
from flowlore.models.checks import Check, model_checks
from flowlore.models.flowgen.settings import FlowgenSettings
from flowlore.models.settings import TrainingSettings

SOON = TrainingSettings(epochs=1, least_steps=12, batch_rows=64)
SMALL: dict[str, Any] = {"flowgen": FlowgenSettings(size="small", farthest=3, least_windows=1)}


def soon_done(name: str) -> Any:
    """The encoder as it is, but trained for a moment: no promise asks that it has learnt much."""
    made = MODELS.load(name)

    class Quick(made):
        def __init__(self, *settings: Any) -> None:
            super().__init__(*(settings or ([SMALL[name]] if name in SMALL else [])))

        def fit(self, batches: Any, rng: Any, **_: Any) -> Any:
            return super().fit(batches, rng, training=SOON)

    return Quick


@pytest.mark.parametrize("name", MODELS.names())
@pytest.mark.parametrize("check", list(model_checks()), ids=lambda check: check.__name__)
def test_model(name: str, check: Check) -> None:
    check(soon_done(name))
