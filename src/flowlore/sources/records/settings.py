"""Settings of logs and tables that sensors and programs wrote."""

from dataclasses import dataclass

from ...settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class ZeekSettings(Settings):
    """How logs of Zeek become flows."""

    names: bool = setting(True, "join the names in ssl, quic, dns, http, dhcp and ssh logs by uid")


@dataclass(frozen=True, kw_only=True)
class SuricataSettings(Settings):
    """How EVE JSON becomes flows."""

    alerts_as_labels: bool = setting(False, "the signature of a flow's first alert becomes its label")
    flows_from_events: bool = setting(
        True, "flows without a flow event are made from their other events, without counts"
    )


@dataclass(frozen=True, kw_only=True)
class ArgusSettings(Settings):
    """How binetflow files are understood."""

    timezone: str = setting("UTC", "time zone of the machine that printed the times, as in `Europe/Prague`")


@dataclass(frozen=True, kw_only=True)
class NfdumpSettings(Settings):
    """How records of nfdump become flows."""

    pairing: bool = setting(True, "records of two directions become one flow")
    timezone: str = setting("UTC", "time zone in which CSV output was printed, as in `Europe/Prague`")


@dataclass(frozen=True, kw_only=True)
class TablesSettings(Settings):
    """How columns of CSV and Parquet tables are understood."""

    map: str = setting(
        "", "column map: a name that ships with the package, or the path of a TOML file; empty finds one"
    )
    timezone: str = setting("", "time zone of times that do not say theirs, as in `Europe/Prague`; empty is the map's")
    label_source: str = setting("", "who says the labels of the table; empty is the map's name")
