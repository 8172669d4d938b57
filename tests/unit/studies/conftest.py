"""The made-up study and its toy data, by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import flowlore.studies
from flowlore.registry import Registry
from flowlore.studies.conduct import Order
from flowlore.studies.material import Places
from flowlore.studies.study import SCALES

STUDIES = {
    "made-up": "made_up_study:MadeUp",
    "failing": "made_up_study:Failing",
    "slow": "made_up_study:Slow",
    "in-rounds": "made_up_study:InRounds",
    "in-rounds-failing": "made_up_study:InRoundsFailing",
    "representations": "flowlore.studies.representations:Representations",
    "audit": "flowlore.studies.audit:Audit",
    "graph": "flowlore.studies.graph:Graph",
    "augmentation": "flowlore.studies.augmentation:Augmentation",
    "generation": "flowlore.studies.generation:Generation",
    "latent": "flowlore.studies.latent:Latent",
}
MATERIALS = {
    "toy": "made_up_study:toy",
    "validated-toy": "made_up_study:validated_toy",
    "unsw-nb15": "made_up_network:town",
    "laboratory-elsewhere": "made_up_network:elsewhere",
    "ndpi-network": "made_up_network:captures",
    "office": "flowlore.studies.materials.laboratory:office",
    "laboratory": "flowlore.studies.materials.laboratory:laboratory",
    "fgnet": "flowlore.studies.materials.tables:fgnet",
    "fgnet-days": "flowlore.studies.materials.tables:fgnet_days",
}


@pytest.fixture(autouse=True)
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    studies = Registry("study", STUDIES, with_plugins=False, plural="studies")
    monkeypatch.setattr(flowlore.studies, "STUDIES", studies)
    monkeypatch.setattr(flowlore.studies, "MATERIALS", Registry("material", MATERIALS, with_plugins=False))


@pytest.fixture
def order(tmp_path: Path) -> Callable[..., Order]:
    """An order of the smoke scale into the test's own folder."""

    def make(name: str = "made-up", **changed: Any) -> Order:
        seeds, shots = changed.pop("seeds", 2), changed.pop("shots", (1, 5))
        scale = SCALES["smoke"].changed(seeds=seeds, shots=shots)
        plain = {"places": Places(data=tmp_path / "none"), "output": tmp_path / "out", "scale": scale}
        return Order(name=name, **(plain | changed))

    return make
