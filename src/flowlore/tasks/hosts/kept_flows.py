"""The flows that speak loudest, whole, for as long as they do."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...features.batch import FeatureBatch

Integers = npt.NDArray[np.int64]
SHOWN = ("flow_id", "part", "src_ip", "dst_ip", "src_name", "dst_name", "protocol", "dst_port")
LEAST_KEPT = 4096


class KeptFlows:
    """Rows of a flow table with their features, by their number since the beginning."""

    def __init__(self) -> None:
        self._pieces: list[tuple[Integers, pa.Table, FeatureBatch]] = []
        self._rows = 0
        self._limit = LEAST_KEPT
        self._is_in_order = True

    def __len__(self) -> int:
        return self._rows

    def add(self, numbers: Integers, table: pa.Table, batch: FeatureBatch) -> None:
        self._pieces.append((numbers, table, batch))
        self._rows += len(numbers)
        self._is_in_order = False

    @property
    def is_crowded(self) -> bool:
        """Whether it is time to let go of flows that are spoken over."""
        return self._rows > self._limit

    def keep_only(self, numbers: Integers) -> None:
        """Let go of all others."""
        held, table, batch = self._in_order()
        stays = np.flatnonzero(np.isin(held, numbers))
        self._pieces = [(held[stays], table.take(pa.array(stays)), batch.take(stays))]
        self._rows = len(stays)
        self._limit = max(LEAST_KEPT, 2 * self._rows)

    def of(self, numbers: Integers) -> tuple[pa.Table, FeatureBatch]:
        """These flows, in this order."""
        held, table, batch = self._in_order()
        places = np.searchsorted(held, numbers)
        return table.take(pa.array(places)), batch.take(places)

    def _in_order(self) -> tuple[Integers, pa.Table, FeatureBatch]:
        """All of them in one piece, by number."""
        if not self._is_in_order:
            held, table, batch = _joined(self._pieces)
            order = np.argsort(held, kind="stable")
            self._pieces = [(held[order], table.take(pa.array(order)), batch.take(order))]
            self._is_in_order = True
        return self._pieces[0]


def lone(batch: FeatureBatch) -> FeatureBatch:
    """The same flows as if nothing were known of their neighbours."""
    bare = batch.without("graph.ends", "graph.times_ns", "graph.copy", "graph.service")
    present = {name: has for name, has in bare.present.items() if name != "graph"}
    return FeatureBatch(length=len(bare), channels=bare.channels, present=present)


def _joined(pieces: list[tuple[Integers, pa.Table, FeatureBatch]]) -> tuple[Integers, pa.Table, FeatureBatch]:
    tables: list[Any] = [table for _, table, _ in pieces]
    return (
        np.concatenate([numbers for numbers, _, _ in pieces]),
        pa.concat_tables(tables, promote_options="permissive"),
        FeatureBatch.concat([batch for _, _, batch in pieces]),
    )
