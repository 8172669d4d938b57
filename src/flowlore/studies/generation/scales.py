"""How large the study is. `epochs` are those of a generator over its flows; a WGAN takes more of them."""

from __future__ import annotations

from dataclasses import replace

from ..augmentation.scales import SCALES as CAMPAIGN

WGAN_EPOCHS = 4
SMALL = replace(CAMPAIGN["small"], seeds=2, seeds_of_variants=1, shots=(20,), epochs=40, pretrain_steps=200)
SCALES = {
    "smoke": replace(CAMPAIGN["smoke"], seeds=1, shots=(5,), epochs=1, pretrain_steps=2),
    "small": SMALL,
    "full": replace(SMALL, name="full", test_rows=15_000, seeds=3, seeds_of_variants=1, shots=(20, 100)),
}
