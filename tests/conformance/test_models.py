"""Every encoder of the registry keeps the promises of `models/encoder.py`."""

from typing import Any

import pytest

from flowlore.models import MODELS
from flowlore.models.checks import Check, model_checks
from flowlore.models.flowgen.encoder import FlowgenEncoder
from flowlore.models.flowgen.settings import FlowgenSettings
from flowlore.models.settings import TrainingSettings

SMALL = FlowgenSettings(size="small", farthest=3, least_windows=1)


class QuickFlowgen(FlowgenEncoder):
    """As it is, but soon done."""

    def __init__(self, settings: FlowgenSettings = SMALL) -> None:
        super().__init__(settings)

    def fit(self, batches: Any, rng: Any, **_: Any) -> Any:
        return super().fit(batches, rng, training=TrainingSettings(epochs=1, least_steps=8, batch_rows=16))


QUICK = {"flowgen": QuickFlowgen}


@pytest.mark.parametrize("name", MODELS.names())
@pytest.mark.parametrize("check", list(model_checks()), ids=lambda check: check.__name__)
def test_model(name: str, check: Check) -> None:
    made = MODELS.load(name)
    quick = QUICK.get(name, made)
    assert issubclass(quick, made)
    check(quick)
