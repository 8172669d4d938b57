"""Class numbers → packet series that look like theirs. Every generator by name; listing them needs no torch."""

from ...registry import Registry

GENERATORS = Registry(
    "generator",
    {
        "flow-matching": "flowlore.models.generators.flow_matching:FlowMatchingGenerator",
        "transformer": "flowlore.models.generators.transformer:TransformerGenerator",
    },
)
