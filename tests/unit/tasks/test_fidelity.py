"""How faithful made-up flows are: alike where they are the same, far where they are noise."""

import numpy as np
import pyarrow as pa
import pytest

from flowlore.flows.table import Flows
from flowlore.tasks.fidelity import coverage, fidelity, jensen_shannon, mmd, wasserstein


def test_fidelity_of_the_same_flows_is_perfect_and_copied(office_by_protocol: Flows) -> None:
    found = fidelity(office_by_protocol, office_by_protocol, office_by_protocol, rng=np.random.default_rng(0))
    assert all(one["jsd"] == 0.0 and one["wasserstein"] == 0.0 for one in found["features"].values())
    assert found["coverage"] == 1.0 and found["copied"] == 1.0 and found["mmd"] < 0.01
    assert found["discriminator_auc"] < 0.6 and found["tstr"] > 0.95


def test_fidelity_of_noise_is_poor(office_by_protocol: Flows) -> None:
    from flowlore.features.augment.policy import Augmenter
    from flowlore.features.augment.settings import AugmentSettings
    from flowlore.features.augment.tables import augment_table

    asked = AugmentSettings(
        transforms=("permutation:1", "spike-noise:1", "interpolation:1", "gaussian-wrap-up:1"), combine="random-stack"
    )
    batches, _ = augment_table(
        office_by_protocol.to_arrow(), Augmenter(asked), np.random.default_rng(0), keep_originals=False
    )
    changed = Flows(pa.Table.from_batches(batches))
    found = fidelity(changed, office_by_protocol, office_by_protocol, rng=np.random.default_rng(0))
    assert found["discriminator_auc"] > 0.75 and found["copied"] < 0.2
    assert found["features"]["signed size"]["jsd"] > 0.02 and found["features"]["packets"]["jsd"] > 0.05


def test_distances_by_hand() -> None:
    left, right = np.array([0.0, 0.0, 1.0, 1.0]), np.array([2.0, 2.0, 3.0, 3.0])
    assert jensen_shannon(left, right) == pytest.approx(1.0)
    assert jensen_shannon(left, left) == 0.0
    assert wasserstein(left, right) == pytest.approx(2.0 / 0.5)
    rng = np.random.default_rng(0)
    same, other = rng.normal(size=(2, 300, 4))
    assert abs(mmd(same, other)) < 0.02 < mmd(same, other + 2.0)
    assert coverage(same, same)["coverage"] == 1.0 and coverage(same + 50.0, same)["coverage"] == 0.0


@pytest.mark.parametrize("flows", [10, 17, 50, 240, 500])
def test_two_samples_of_one_kind_are_near_however_few(flows: int) -> None:
    rng = np.random.default_rng(0)
    near = [jensen_shannon(rng.normal(size=flows), rng.normal(size=flows)) for _ in range(20)]
    far = [jensen_shannon(rng.normal(4, size=flows), rng.normal(size=flows)) for _ in range(20)]
    assert np.mean(near) < 0.2 < 0.3 < np.mean(far)
