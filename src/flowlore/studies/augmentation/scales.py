"""How large the campaign is: every training capture is used, and few flows of each class are shown."""

from __future__ import annotations

from dataclasses import replace

from ..study import ALL_LABELS, Scale
from ..study import SCALES as SHARED

SMALL = Scale(
    name="small",
    train_rows=0,
    unlabelled_rows=0,
    test_rows=4_000,
    seeds=5,
    seeds_with_all_labels=1,
    seeds_of_variants=3,
    shots=(100, 20),
    epochs=1,
    pretrain_steps=1,
    network_epochs=1,
    network_steps=600,
    trees=300,
    probed_rows=1_000,
)
SCALES = {
    "smoke": replace(SHARED["smoke"], train_rows=0, shots=(5, 10), seeds=2, seeds_of_variants=1),
    "small": SMALL,
    "full": replace(
        SMALL,
        name="full",
        test_rows=15_000,
        seeds=30,
        seeds_with_all_labels=2,
        shots=(*SMALL.shots, ALL_LABELS),
        probed_rows=2_000,
    ),
}
