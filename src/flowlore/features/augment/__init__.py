"""Packet series → packet series: the same traffic as another path, sender or meter might have shown it."""

from ...registry import Registry

AUGMENTATIONS = Registry(
    "augmentation",
    {
        "average": "flowlore.features.augment.mixing:AVERAGE",
        "bernoulli-mask": "flowlore.features.augment.masking:BERNOULLI_MASK",
        "change-rtt": "flowlore.features.augment.path:CHANGE_RTT",
        "constant-wrap-up": "flowlore.features.augment.amplitude:CONSTANT_WRAP_UP",
        "cutmix": "flowlore.features.augment.mixing:CUTMIX",
        "duplicate-fast-retransmit": "flowlore.features.augment.retransmission:DUPLICATE_FAST_RETRANSMIT",
        "duplicate-timeout": "flowlore.features.augment.retransmission:DUPLICATE_TIMEOUT",
        "gaussian-noise": "flowlore.features.augment.amplitude:GAUSSIAN_NOISE",
        "gaussian-wrap-up": "flowlore.features.augment.amplitude:GAUSSIAN_WRAP_UP",
        "horizontal-flip": "flowlore.features.augment.sequence:HORIZONTAL_FLIP",
        "interpolation": "flowlore.features.augment.sequence:INTERPOLATION",
        "mtu": "flowlore.features.augment.path:MTU",
        "packet-loss": "flowlore.features.augment.sequence:PACKET_LOSS",
        "permutation": "flowlore.features.augment.sequence:PERMUTATION",
        "permute-fast-retransmit": "flowlore.features.augment.retransmission:PERMUTE_FAST_RETRANSMIT",
        "permute-timeout": "flowlore.features.augment.retransmission:PERMUTE_TIMEOUT",
        "sine-wrap-up": "flowlore.features.augment.amplitude:SINE_WRAP_UP",
        "spike-noise": "flowlore.features.augment.amplitude:SPIKE_NOISE",
        "sub-flow": "flowlore.features.augment.sequence:SUB_FLOW",
        "time-shift": "flowlore.features.augment.path:TIME_SHIFT",
        "translation": "flowlore.features.augment.sequence:TRANSLATION",
        "window-mask": "flowlore.features.augment.masking:WINDOW_MASK",
        "wrap": "flowlore.features.augment.sequence:WRAP",
    },
)
