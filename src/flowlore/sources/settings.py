"""The settings of all sources in one."""

from dataclasses import dataclass, field

from ..settings import Settings
from .packets.settings import MeterSettings, PacketSettings


@dataclass(frozen=True, kw_only=True)
class SourceSettings(Settings):
    """Settings of everything that turns an input into the flow table."""

    packets: PacketSettings = field(default_factory=PacketSettings)
    meter: MeterSettings = field(default_factory=MeterSettings)
