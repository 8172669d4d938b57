"""Class numbers → packet series that look like theirs. Every generator by name; listing them needs no torch."""

from ...registry import Registry

GENERATORS = Registry(
    "generator",
    {
        "diffusion": "flowlore.models.generators.diffusion:DiffusionGenerator",
        "transformer": "flowlore.models.generators.transformer:TransformerGenerator",
        "wgan": "flowlore.models.generators.wgan:WganGenerator",
    },
)
