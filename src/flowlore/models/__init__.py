"""Arrays → vectors. Every encoder by name; nothing is imported until asked for, so that listing them needs no torch."""

from ..registry import Registry

MODELS = Registry(
    "model",
    {
        "autoencoder": "flowlore.models.autoencoder.encoder:AutoencoderEncoder",
        "flowgen": "flowlore.models.flowgen.encoder:FlowgenEncoder",
        "graph": "flowlore.models.graph.encoder:GraphEncoder",
    },
)
