"""Class numbers → packet series that look like theirs. Every generator by name; listing them needs no torch."""

from ...registry import Registry

GENERATORS = Registry(
    "generator",
    {
        "transformer": "flowlore.models.generators.transformer:TransformerGenerator",
    },
)
