"""Floods against hosts, found in their rates: scores by step, thresholds by false alarms a day, alarms with a kind."""

from ...registry import Registry

DETECTORS = Registry(
    "detector",
    {
        "entropy": "flowlore.tasks.ddos.simple:Entropy",
        "ewma": "flowlore.tasks.ddos.simple:Ewma",
        "flowgen": "flowlore.tasks.ddos.decoder:DecoderDetector",
        "gru": "flowlore.tasks.ddos.recurrent:RecurrentDetector",
        "lightgbm": "flowlore.tasks.ddos.trees:BoostedDetector",
        "percentile": "flowlore.tasks.ddos.simple:Percentile",
        "static": "flowlore.tasks.ddos.simple:Static",
        "z-score": "flowlore.tasks.ddos.simple:Deviations",
    },
)
