"""Answers over windows while batches come: what is held is what open windows need, however long the traffic is."""

import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from scanned_network import network

from flowlore.features.graphs.settings import GraphSettings
from flowlore.flows.table import Flows
from flowlore.models.graph.settings import GraphEncoderSettings
from flowlore.models.settings import TrainingSettings
from flowlore.tasks.pretraining import pretrain

WINDOWS = GraphSettings(window_s=5, memory_windows=3, wait_s=10)
BATCH_FLOWS, BATCHES = 20, 60


class Batch:
    """A table that can be watched: how long does it live?"""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def to_arrow(self) -> pa.Table:
        return self._table


def test_batches_go_as_their_windows_close() -> None:
    flows = network(BATCH_FLOWS * BATCHES)
    predictor = pretrain(
        "graph",
        flows,
        rng=np.random.default_rng(0),
        settings=GraphEncoderSettings(width=16, training_flows=128, windows=WINDOWS),
        training=TrainingSettings(epochs=1, least_steps=2, batch_rows=1),
    )
    alive: weakref.WeakSet[Batch] = weakref.WeakSet()
    most = 0

    def batches() -> Iterator[Batch]:
        nonlocal most
        for first in range(0, len(flows), BATCH_FLOWS):
            batch = Batch(flows.to_arrow().slice(first, BATCH_FLOWS))
            alive.add(batch)
            most = max(most, len(alive))
            yield batch
            del batch

    streamed = [found.vectors for _, found in predictor.embed_batches(batches())]
    whole = predictor.embed(Flows(flows.to_arrow())).vectors
    assert np.allclose(np.concatenate(streamed), whole, atol=1e-5), "a stream has the vectors of the whole"
    # A batch is 5 s of traffic: one that comes closes windows up to `wait_s` before it.
    assert 2 < most <= 8, f"{most} of {BATCHES} batches were held at a time"
