"""The settings of all sources in one."""

from dataclasses import dataclass, field

from ..settings import Settings
from .datasets.settings import DatasetSettings
from .packets.settings import MeterSettings, PacketSettings
from .records.netflow.settings import NetflowSettings
from .records.settings import ArgusSettings, NfdumpSettings, SuricataSettings, TablesSettings, ZeekSettings
from .records.sflow.settings import SflowSettings


@dataclass(frozen=True, kw_only=True)
class SourceSettings(Settings):
    """Settings of everything that turns an input into the flow table."""

    packets: PacketSettings = field(default_factory=PacketSettings)
    meter: MeterSettings = field(default_factory=MeterSettings)
    netflow: NetflowSettings = field(default_factory=NetflowSettings)
    sflow: SflowSettings = field(default_factory=SflowSettings)
    zeek: ZeekSettings = field(default_factory=ZeekSettings)
    suricata: SuricataSettings = field(default_factory=SuricataSettings)
    argus: ArgusSettings = field(default_factory=ArgusSettings)
    nfdump: NfdumpSettings = field(default_factory=NfdumpSettings)
    tables: TablesSettings = field(default_factory=TablesSettings)
    datasets: DatasetSettings = field(default_factory=DatasetSettings)
