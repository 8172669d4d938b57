"""Windows of hosts' rates, the numbers that simple methods see of them, and the vectors that the decoder makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...errors import TaskError
from ...features.rates.rates import Rates
from ...features.rates.settings import step_words

if TYPE_CHECKING:
    from ...models.flowgen.encoder import FlowgenEncoder

FEATURES = tuple(
    f"{side}_{name}"
    for name in ("bytes", "packets", "active_flows", "peers", "ports", "syn_packets")
    for side in ("in", "out")
)
WINDOW_STEPS = 60
FEWEST_STEPS = 8  # with anything known, in a window
FEWEST_BUSY = 2  # of them with traffic: a host that was silent says nothing
Values = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Windows:
    """`values` [windows, features, steps], NaN where nothing is known; whose they are, and when they begin."""

    hosts: npt.NDArray[Any]
    begins_ns: Places
    values: Values
    step_ns: int
    features: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.hosts)

    def of(self, rows: npt.NDArray[Any]) -> Windows:
        return replace(self, hosts=self.hosts[rows], begins_ns=self.begins_ns[rows], values=self.values[rows])

    @classmethod
    def joined(cls, parts: Sequence[Windows]) -> Windows:
        """Of several records; steps, features and widths are the same."""
        first = parts[0]
        return replace(
            first,
            hosts=np.concatenate([one.hosts for one in parts]),
            begins_ns=np.concatenate([one.begins_ns for one in parts]),
            values=np.concatenate([one.values for one in parts]),
        )


def windows_of(
    rates: Rates, names: Sequence[str], *, width: int = WINDOW_STEPS, features: Sequence[str] = FEATURES
) -> Windows:
    """Windows side by side from the first step on; those in which a host was silent, or nothing is known, are left out.

    What is missing at the end of the last one is not known.
    """
    start_ns, columns = rates.matrices(features, names)
    held = np.stack([columns[name] for name in features], axis=1)
    missing = -held.shape[2] % width
    held = np.pad(held, ((0, 0), (0, 0), (0, missing)), constant_values=np.nan)
    count = held.shape[2] // width
    parts = held.reshape(len(names), len(features), count, width).transpose(0, 2, 1, 3)
    values = parts.reshape(-1, len(features), width)
    known = (~np.isnan(values)).any(axis=1).sum(axis=1)
    busy = (np.nan_to_num(values) > 0).any(axis=1).sum(axis=1)
    begins = start_ns + np.arange(count, dtype=np.int64) * width * rates.step_ns
    whole = Windows(
        hosts=np.repeat(np.asarray(names, object), count),
        begins_ns=np.tile(begins, len(names)),
        values=values,
        step_ns=rates.step_ns,
        features=tuple(features),
    )
    return whole.of(np.flatnonzero((known >= FEWEST_STEPS) & (busy >= FEWEST_BUSY)))


def check_windows(windows: Windows) -> None:
    """There are some."""
    if not len(windows):
        raise TaskError(
            f"roles: no host has a window of {FEWEST_STEPS} steps of {step_words(windows.step_ns)} with traffic",
            hint="a finer `--step`, or a longer record",
        )


def window_numbers(windows: Windows) -> npt.NDArray[np.float32]:
    """What simple methods see: of each feature its mean, most, spread, silence, persistence and peaks."""
    known = ~np.isnan(windows.values)
    values = np.where(known, windows.values, 0.0)
    steps = np.maximum(known.sum(axis=2), 1)
    mean = values.sum(axis=2) / steps
    away = np.where(known, values - mean[:, :, None], 0.0)
    variance = (away**2).sum(axis=2) / steps
    both = (away[:, :, 1:] * away[:, :, :-1]).sum(axis=2) / np.maximum(steps - 1, 1)
    busy = (values > 0).sum(axis=2)
    columns = [
        np.log1p(mean),
        np.log1p(values.max(axis=2)),
        np.log1p(np.sqrt(variance)),
        1 - busy / steps,
        both / np.maximum(variance, 1e-9),
        ((values > 2 * mean[:, :, None]) & known).sum(axis=2) / steps,
        np.log1p(values.sum(axis=2) / np.maximum(busy, 1)),
    ]
    return np.concatenate(columns, axis=1).astype(np.float32)


def window_vectors(encoder: FlowgenEncoder, windows: Windows) -> npt.NDArray[np.float32]:
    """What the decoder made of each window, and how much there was of each feature: it sees shapes, not sizes."""
    from ...features.batch import FeatureBatch

    batch = FeatureBatch(
        length=len(windows),
        channels={
            "rates.values": windows.values.transpose(0, 2, 1).astype(np.float32),
            "rates.start_ns": windows.begins_ns,
            "rates.step_ns": np.full(len(windows), windows.step_ns),
        },
        present={"rates": np.ones(len(windows), np.bool_)},
    )
    known = ~np.isnan(windows.values)
    sizes = np.log1p(np.where(known, windows.values, 0.0).sum(axis=2) / np.maximum(known.sum(axis=2), 1))
    return np.concatenate([encoder.embed(batch), sizes.astype(np.float32)], axis=1)
