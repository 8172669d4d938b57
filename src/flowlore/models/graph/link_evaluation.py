"""How well the network tells which host a flow arrived at, beside what remembering alone can tell.

Each flow is asked for its target while the target is hidden. Wrong answers are hosts of the same window, of four kinds:

uniform     any host
same type   a host that receives flows in this window
historical  a host that the source sent to in an earlier window, and not in this one
inductive   a host that was never seen before these flows
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ...features.batch import FeatureBatch
from ...features.graphs.graph import Graph
from .inputs import GraphTensors
from .links import Hidden, without
from .losses import Pupil
from .network import Memory

KINDS = ("uniform", "same type", "historical", "inductive")
METHODS = ("model", "edgebank", "recency", "popularity")
ROUNDS = 4
WRONG = 20
ARRIVES = 2  # the relation that is asked

Numbers = npt.NDArray[np.float64]


@dataclass
class _Past:
    """What remembering knows before a window: pairs with their last window, and how often each host received."""

    pairs: dict[tuple[int, int], int] = field(default_factory=dict)
    received: Counter[int] = field(default_factory=Counter)
    partners: dict[int, set[int]] = field(default_factory=dict)
    hosts: set[int] = field(default_factory=set)

    def learn(self, sources: list[int], targets: list[int], window: int) -> None:
        for source, target in zip(sources, targets, strict=True):
            self.pairs[source, target] = window
            self.received[target] += 1
            self.partners.setdefault(source, set()).add(target)
            self.hosts.update((source, target))


def judge_links(
    pupil: Pupil, embedder: Any, flows: FeatureBatch, rng: np.random.Generator, *, history: FeatureBatch | None = None
) -> dict[str, dict[str, dict[str, float]]]:
    """`auc` (one wrong answer a flow), `mrr` (among up to 20) and `asked` for each kind of wrong answer and method.

    `embedder` is fresh; it sees `history` (earlier flows) first, which is also what remembering begins with. EdgeBank
    says yes to pairs seen before; recency prefers the last seen; popularity the host that received most.
    """
    past = _Past()
    if history is not None:
        for graph, _ in _graphs(embedder, history, last=False):
            _learn(past, graph)
    old_hosts = set(past.hosts)
    found: dict[str, dict[str, list[tuple[float, float]]]] = {
        kind: {method: [] for method in METHODS} for kind in KINDS
    }
    for graph, (tensors, memory) in _graphs(embedder, flows, last=True):
        states = _asked_states(pupil, tensors, memory)
        first = 0
        windows = graph.flow_windows[graph.context_flows :]
        for window in np.unique(windows).tolist():
            last = int(np.searchsorted(windows, window, side="right"))
            _judge_window(pupil, graph, tensors, states, range(first, last), past, old_hosts, rng, found)
            _learn(past, graph, first, last)
            first = last
    return {
        kind: {
            method: {
                "auc": float(np.mean([auc for auc, _ in pairs])) if pairs else float("nan"),
                "mrr": float(np.mean([rank for _, rank in pairs])) if pairs else float("nan"),
                "asked": float(len(pairs)),
            }
            for method, pairs in by_method.items()
        }
        for kind, by_method in found.items()
    }


def _graphs(embedder: Any, flows: FeatureBatch, *, last: bool) -> Iterator[tuple[Graph, Any]]:
    """Graphs with what the network read for each; the embedder goes on remembering."""
    parts = [embedder.add(flows)] + ([embedder.finish()] if last else [])
    for part in parts:
        for embedded in part:
            if embedded.graph is not None:
                yield embedded.graph, embedder.last_read


def _asked_states(
    pupil: Pupil, tensors: GraphTensors, memory: Memory | None
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """States of flows and hosts of each round; flow i is asked in round i mod ROUNDS."""
    turn = torch.arange(tensors.flows) % ROUNDS
    nothing, no_host = torch.zeros(tensors.flows, dtype=torch.bool), torch.zeros(len(tensors.hosts), dtype=torch.bool)
    states = []
    with torch.inference_mode():
        for number in range(ROUNDS):
            hidden = Hidden(source=nothing, target=turn == number, copy=turn == number, host=no_host)
            flow_states, host_states, _ = pupil.network(without(tensors, hidden), memory)
            states.append((flow_states, host_states))
    return states


def _judge_window(
    pupil: Pupil,
    graph: Graph,
    tensors: GraphTensors,
    states: list[tuple[torch.Tensor, torch.Tensor]],
    rows: range,
    past: _Past,
    old_hosts: set[int],
    rng: np.random.Generator,
    found: dict[str, dict[str, list[tuple[float, float]]]],
) -> None:
    keys = graph.host_keys[graph.context_hosts :]
    window = int(tensors.flow_window[rows[0]])
    hosts = np.flatnonzero(tensors.host_window.numpy() == window)
    sources, targets = tensors.source.numpy(), tensors.target.numpy()
    receiving = np.unique(targets[rows.start : rows.stop])
    now: dict[int, set[int]] = {}
    for row in rows:
        now.setdefault(int(sources[row]), set()).add(int(targets[row]))
    node_of = dict(zip(keys[hosts].tolist(), hosts.tolist(), strict=True))
    new = np.array([host for host in hosts.tolist() if int(keys[host]) not in old_hosts], np.int64)
    for row in rows:
        source, right = int(sources[row]), int(targets[row])
        partners = past.partners.get(int(keys[source]), set())
        earlier = [node_of[key] for key in partners if key in node_of and node_of[key] not in now[source]]
        pools = (hosts, receiving, np.array(sorted(earlier), np.int64), new)
        for kind, pool in zip(KINDS, pools, strict=True):
            pool = pool[(pool != right) & (pool != source)]
            if not len(pool):
                continue
            wrong = rng.choice(pool, min(WRONG, len(pool)), replace=False)
            candidates = np.concatenate([[right], wrong])
            flow_states, host_states = states[row % ROUNDS]
            with torch.inference_mode():
                told = pupil.links(ARRIVES, flow_states[row : row + 1], host_states[torch.from_numpy(candidates)][None])
            pairs = [(int(keys[source]), int(keys[host])) for host in candidates.tolist()]
            last_seen = np.array([past.pairs.get(pair, -1) for pair in pairs], np.float64)
            scores = {
                "model": told[0].numpy().astype(np.float64),
                "edgebank": (last_seen >= 0).astype(np.float64),
                "recency": last_seen,
                "popularity": np.array([past.received[target] for _, target in pairs], np.float64),
            }
            for method, score in scores.items():
                found[kind][method].append(_auc_and_rank(score))


def _auc_and_rank(scores: Numbers) -> tuple[float, float]:
    """Of the first score among the others: the share that it beats, and one over its rank; ties count by half."""
    better = int((scores[1:] > scores[0]).sum())
    equal = int((scores[1:] == scores[0]).sum())
    return 1 - (better + equal / 2) / (len(scores) - 1), 1 / (1 + better + equal / 2)


def _learn(past: _Past, graph: Graph, first: int = 0, last: int | None = None) -> None:
    part = slice(graph.context_flows + first, None if last is None else graph.context_flows + last)
    keys = graph.host_keys
    windows = graph.flow_windows[part]
    for window in np.unique(windows).tolist():
        here = windows == window
        past.learn(keys[graph.source[part][here]].tolist(), keys[graph.target[part][here]].tolist(), int(window))
