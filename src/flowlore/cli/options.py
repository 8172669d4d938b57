"""Options that several verbs share, each with one meaning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..config import PipelineConfig

ConfigFile = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Read settings from this TOML file.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="Change one setting, e.g. meter.idle_timeout_s=30. May be repeated."
    ),
]
Where = Annotated[
    str | None,
    typer.Option("--where", metavar="EXPR", help="Keep flows for which this DuckDB expression is true."),
]
Asn = Annotated[
    Path | None, typer.Option("--asn", metavar="FILE.mmdb", help="Fill AS numbers from a MaxMind-format database.")
]
Geo = Annotated[
    Path | None, typer.Option("--geo", metavar="FILE.mmdb", help="Fill countries from a MaxMind-format database.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is at the output already.")]
Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="IN...", help="Captures, exports, logs or flow tables; files, folders, or - for standard input."
    ),
]

Interface = Annotated[
    str | None, typer.Option("--interface", "-i", metavar="IFACE", help="Meter the packets of this interface.")
]
Listen = Annotated[
    str | None,
    typer.Option("--listen", metavar="HOST:PORT", help="Collect NetFlow, IPFIX and sFlow sent to this UDP address."),
]
Duration = Annotated[
    float | None, typer.Option("--duration", metavar="SECONDS", min=0.0, help="Stop after this time (live only).")
]


def resolved(config: Path | None, overrides: Sequence[str] | None) -> PipelineConfig:
    """Settings by precedence: defaults, then `--config`, then each `--set`."""
    from ..config import PipelineConfig
    from ..settings import read_settings

    return read_settings(PipelineConfig, config, overrides or ())
