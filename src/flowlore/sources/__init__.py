"""Anything → flow table. Sources are found by name in `SOURCES`; `reading` chooses them by content."""

from ..registry import Registry

SOURCES = Registry(
    "source",
    {
        "argus": "flowlore.sources.records.argus:ArgusSource",
        "flows": "flowlore.sources.records.flowtables:FlowsSource",
        "netflow": "flowlore.sources.records.netflow.source:NetflowSource",
        "nfdump": "flowlore.sources.records.nfdump:NfdumpSource",
        "packets": "flowlore.sources.packets.source:PacketSource",
        "sflow": "flowlore.sources.records.sflow.source:SflowSource",
        "suricata": "flowlore.sources.records.suricata:SuricataSource",
        "tables": "flowlore.sources.records.tables:TablesSource",
        "zeek": "flowlore.sources.records.zeek:ZeekSource",
    },
)
