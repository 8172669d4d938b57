"""Settings of public data sets."""

from dataclasses import dataclass

from ...settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class DatasetSettings(Settings):
    """Where public data sets lie, and whether their files are checked."""

    folder: str = setting("", "folder that holds the data sets; empty is what `FLOWLORE_DATA` says, else `data`")
    mirror: str = setting(
        "", "address below which the same files lie, as in `https://mirror.example/flows`; empty is none"
    )
    verify: bool = setting(True, "compare the checksums of files with the catalogue")
