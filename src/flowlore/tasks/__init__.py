"""Vectors → answers: classes from few labels, unknowns, clusters, neighbours; splits, metrics, and what is saved."""

from ..registry import Registry

HEADS = Registry(
    "head",
    {
        "forest": "flowlore.tasks.classify.forest:ForestHead",
        "joined": "flowlore.tasks.classify.joined:JoinedHead",
        "knn": "flowlore.tasks.classify.neighbours:NeighboursHead",
        "probe": "flowlore.tasks.classify.probe:ProbeHead",
        "prototypes": "flowlore.tasks.classify.prototypes:PrototypesHead",
    },
)
BASELINES = Registry(
    "baseline",
    {
        "extra-trees": "flowlore.tasks.classify.baselines:extra_trees",
        "lightgbm": "flowlore.tasks.classify.baselines:boosted_trees",
        "nearest": "flowlore.tasks.classify.baselines:nearest_raw",
    },
)
