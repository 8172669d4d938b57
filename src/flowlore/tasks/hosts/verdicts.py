"""What is said of hosts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ..predictor import keys

if TYPE_CHECKING:
    import pyarrow as pa

ORDINARY = ("benign", "normal", "background", "ordinary")
Role = Literal["source", "target"]


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One flow that decided, or came nearest to it. `alone` is how sure the bundle is of the same flow without its
    neighbours.
    """

    flow_id: str
    start_ns: int
    partner: str
    service: str
    role: Role
    score: float
    alone: float | None


@dataclass(frozen=True, kw_only=True)
class HostVerdict:
    """What is said of one host. `role` says whether the flows that decided were begun by it, or sent to it. `label` and
    `confidence` are those of a taught bundle.

    A host of an ordinary class has that class because nothing else is sure enough: its reasons are the flows that came
    nearest to `nearly`, another class.

    `surprise` is the mean of its three most surprising flows, 0 standing for those that a host does not have; 1 is as
    one in ten flows of training, 2 as one in a hundred.
    """

    host: str
    role: Role
    label: str | None
    confidence: float | None
    surprise: float
    flows_out: int
    flows_in: int
    partners: int
    windows: int
    first_ns: int
    last_ns: int
    labels: dict[str, int]
    nearly: str | None = None
    reasons: tuple[Reason, ...] = ()
    deciding_partners: dict[str, int] = field(default_factory=dict)
    deciding_windows: dict[int, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class HostReport:
    """Verdicts, the most telling first, with a vector of each host, and where the flows went."""

    verdicts: list[HostVerdict]
    vectors: npt.NDArray[np.float32]  # [verdicts, width]
    counts: dict[str, int]

    def to_arrow(self) -> pa.Table:
        """A row for each host, without its reasons."""
        import pyarrow as pa

        plain = ("host", "role", "label", "confidence", "surprise", "flows_out", "flows_in", "partners", "windows")
        columns: dict[str, Any] = {name: [getattr(one, name) for one in self.verdicts] for name in plain}
        instant = pa.timestamp("ns", tz="UTC")
        types = {"label": pa.string(), "confidence": pa.float32(), "surprise": pa.float32()}
        arrays = {name: pa.array(values, types.get(name)) for name, values in columns.items()}
        arrays["first"] = pa.array([one.first_ns for one in self.verdicts], pa.int64()).cast(instant)
        arrays["last"] = pa.array([one.last_ns for one in self.verdicts], pa.int64()).cast(instant)
        arrays["vector"] = pa.FixedSizeListArray.from_arrays(pa.array(self.vectors.ravel()), self.vectors.shape[1])
        return pa.table(arrays)


def surprise_table(flows: Any, surprise: npt.NDArray[np.float32]) -> pa.Table:
    """A row for each flow: its key, its surprise, and how unusual its source's window, its target's and its own numbers
    are; null where it is in no graph.
    """
    import pyarrow as pa

    table = keys(flows)
    known = np.isfinite(surprise).all(axis=1)
    names = ("surprise", "source_surprise", "target_surprise", "numbers_surprise")
    for name, values in zip(names, surprise.astype(np.float32).T, strict=True):
        table = table.append_column(name, pa.array(values, pa.float32(), mask=~known))
    return table
