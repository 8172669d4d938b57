"""Anything → flow table. Sources are found by name in `SOURCES`; `reading` chooses them by content."""

from ..registry import Registry

SOURCES = Registry(
    "source",
    {
        "packets": "flowlore.sources.packets.source:PacketSource",
    },
)
