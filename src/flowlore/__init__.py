"""Flowlore: any record of network traffic becomes one flow table.

>>> import flowlore
>>> flows = flowlore.read("office.pcap")  # doctest: +SKIP
>>> flows.where("dst_port = 443").to_polars()  # doctest: +SKIP

Names are loaded when they are first used, so that `import flowlore` takes no time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .config import PipelineConfig
    from .errors import FlowloreError
    from .features.rates.rates import rates
    from .flows.annotate import annotate
    from .flows.lake import Lake
    from .flows.query import query
    from .flows.table import Flows
    from .sources.reading import read, scan
    from .tasks.loading import load

__all__ = [
    "FlowloreError",
    "Flows",
    "Lake",
    "PipelineConfig",
    "__version__",
    "annotate",
    "load",
    "query",
    "rates",
    "read",
    "scan",
]

_HOMES = {
    "FlowloreError": "errors",
    "Flows": "flows.table",
    "Lake": "flows.lake",
    "PipelineConfig": "config",
    "annotate": "flows.annotate",
    "load": "tasks.loading",
    "query": "flows.query",
    "rates": "features.rates.rates",
    "read": "sources.reading",
    "scan": "sources.reading",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module `flowlore` has no attribute `{name}`")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
