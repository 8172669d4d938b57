"""A bounded sample of flows that come in batches: the same flows whatever the order of the files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..errors import TaskError
from ..flows.splitmix import STEP, finished
from .predictor import flow_id_bytes
from .raw import texts

LEAST_OF_EACH = 50
MOST_CLASSES = 256  # beyond them a class has no right of its own
Rows = npt.NDArray[np.int64]


class FlowSample:
    """Keeps at most `most` flows: the first by a hash of their id, but of every class at least some.

    A class is a value of the column `by`. Each class has its first `LEAST_OF_EACH` flows (fewer where classes are so
    many that they would fill the sample), and the others are drawn without regard to it.
    """

    def __init__(self, most: int, *, by: Sequence[str] = ("label", "app_protocol")) -> None:
        if most < 1:
            raise TaskError(f"tasks: a sample of {most} flows holds none", hint="`--most 50000`")
        self.most, self.by, self.seen = most, tuple(by), 0
        self._held: list[tuple[pa.Table, npt.NDArray[np.uint64], dict[str, Any]]] = []
        self._held_rows = 0

    def add(self, table: pa.Table, **arrays: Any) -> None:
        """More flows, with an array (a row for each flow) of whatever shall be kept beside them."""
        ranks = hashes(table, self.seen)
        self.seen += table.num_rows
        self._held.append((table, ranks, arrays))
        self._held_rows += table.num_rows
        if self._held_rows >= 2 * self.most + 8192:
            self._prune()

    def finish(self) -> tuple[pa.Table, dict[str, Any]]:
        """The flows, and the arrays beside them, in the order in which they came."""
        self._prune()
        if not self._held:
            return pa.table({}), {}
        table, _, arrays = self._held[0]
        return table, arrays

    def rule(self) -> str:
        """How flows were chosen, in words."""
        if self.seen <= self.most:
            return f"all {self.seen:,} flows"
        by = " or ".join(f"`{name}`" for name in self.by)
        return (
            f"{self.most:,} of {self.seen:,} flows: {LEAST_OF_EACH} of each {by} where there are as many, the others "
            "by a hash of their id"
        )

    def _prune(self) -> None:
        if not self._held:
            return
        table = pa.concat_tables([one for one, _, _ in self._held])
        ranks = np.concatenate([one for _, one, _ in self._held])
        names = self._held[0][2]
        arrays = {name: np.concatenate([one[name] for _, _, one in self._held]) for name in names}
        if table.num_rows > self.most:
            chosen = np.sort(self._chosen(table, ranks))
            table = table.take(pa.array(chosen)).combine_chunks()
            ranks, arrays = ranks[chosen], {name: array[chosen] for name, array in arrays.items()}
        self._held, self._held_rows = [(table, ranks, arrays)], table.num_rows

    def _chosen(self, table: pa.Table, ranks: npt.NDArray[np.uint64]) -> Rows:
        order = np.argsort(ranks, kind="stable")
        has_right = np.zeros(len(order), np.bool_)
        for name in self.by:
            values = texts(table, name)
            known = {value for value in values.tolist() if value is not None}
            if not known or len(known) > MOST_CLASSES:
                continue
            least = min(LEAST_OF_EACH, max(1, self.most // (2 * len(self.by) * len(known))))
            taken = dict.fromkeys(known, 0)
            for row in order.tolist():
                value = values[row]
                if value is not None and taken[value] < least:
                    taken[value] += 1
                    has_right[row] = True
        first, others = order[has_right[order]], order[~has_right[order]]
        return np.concatenate([first, others])[: self.most]


def hashes(table: pa.Table, first: int = 0) -> npt.NDArray[np.uint64]:
    """A number for each flow, made from its id and part; of flows without an id, from their place in the input."""
    ids = flow_id_bytes(table)
    numbers = np.ascontiguousarray(ids).view(np.uint64).reshape(-1, 2)
    if "part" in table.column_names:
        part = table.column("part").fill_null(0).to_numpy().astype(np.uint64)
    else:
        part = np.zeros(len(ids), np.uint64)
    has_none = ~numbers.any(axis=1)
    place = np.arange(first, first + len(ids), dtype=np.uint64)
    begun = finished(numbers[:, 0] + STEP) ^ numbers[:, 1] ^ part ^ np.where(has_none, place, np.uint64(0))
    return finished(begun + STEP)
