"""Every encoder of the registry keeps the promises of `models/encoder.py`."""

from typing import Any

import pytest

from flowlore.models import MODELS
from flowlore.models.checks import Check, model_checks


@pytest.mark.parametrize("name", MODELS.names())
@pytest.mark.parametrize("check", list(model_checks()), ids=lambda check: check.__name__)
def test_model(name: str, check: Check) -> None:
    made: Any = MODELS.load(name)
    check(made)
