"""One vector for each host, from its flows, and from what it is, asked for and met.

A host is who spoke first. Its parts stand side by side, each of length 1, or zeros where nothing is known of it: the
mean of its flows' vectors, its own vector of entities, and the means of its ports' and names' vectors, each as often as
it asked for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...errors import InputError, TaskError
from ...features.sentences import Codes, Met, hosts_of, names_of, ports_of, words_of
from ..metrics import normalised

if TYPE_CHECKING:
    from ..predictor import Predictor
    from .vectors import EntityVectors

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class HostVectors:
    """A row for each host, in the order of their first flows."""

    hosts: pa.Array
    flows: npt.NDArray[np.int64]  # that each began
    is_known: npt.NDArray[np.bool_]  # whether it was met when vectors of entities were learnt
    parts: Mapping[str, Floats]  # `flows`, `host`, `ports`, `names`

    def __len__(self) -> int:
        return len(self.hosts)

    @property
    def vectors(self) -> Floats:
        """All parts side by side, each of length 1."""
        return np.concatenate([normalised(part) for part in self.parts.values()], axis=1).astype(np.float32)

    def to_arrow(self) -> pa.Table:
        """`host`, `flows`, `is_known` and `vector`; the metadata tells which numbers are of which part."""
        vectors = self.vectors
        table = pa.table(
            {
                "host": self.hosts,
                "flows": self.flows,
                "is_known": self.is_known,
                "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1]),
            }
        )
        widths = {f"width of {name}": str(part.shape[1]) for name, part in self.parts.items()}
        return table.replace_schema_metadata(widths)


def host_vectors(
    flows: Any, entities: EntityVectors | None = None, *, predictor: Predictor | None = None
) -> HostVectors:
    """Of the hosts that began these flows (`Flows` or Arrow), by vectors of entities, an encoder of flows, or both."""
    if entities is None and predictor is None:
        raise TaskError(
            "entities: vectors of hosts need vectors of entities or a bundle that embeds flows, and neither is given",
            hint="`EntityVectors.load(FOLDER)`, `flowlore.load(BUNDLE)`",
        )
    met = _hosts_in_order(hosts_of(flows))
    if not len(met.texts):
        raise InputError(
            "entities: no flow says who began it",
            hint="map columns to `src_ip`, or to `src_name` for pseudonyms",
        )
    is_there = met.codes >= 0
    parts: dict[str, Floats] = {}
    is_known = np.zeros(len(met.texts), np.bool_)
    if predictor is not None:
        parts["flows"] = _means_of_flows(predictor, flows, met)
    if entities is not None:
        words = words_of("host", met.texts)
        is_known = entities.models["host"].knows(words)
        parts["host"] = entities.models["host"].vectors_of(words)
        ports, (asked, named) = ports_of(flows), names_of(flows)
        parts["ports"] = means(met.codes, ports.codes, entities.vectors(ports.texts, "port"), len(met.texts))
        names = np.concatenate([asked.codes, np.where(named.codes == asked.codes, -1, named.codes)])
        parts["names"] = means(np.tile(met.codes, 2), names, entities.vectors(asked.texts, "name"), len(met.texts))
    return HostVectors(
        hosts=met.texts,
        flows=np.bincount(met.codes[is_there], minlength=len(met.texts)),
        is_known=is_known,
        parts=parts,
    )


def means(owners: Codes, words: Codes, vectors: Floats, count: int) -> Floats:
    """The mean of the vectors of each owner's words; each word counts as often as it is there."""
    found = np.zeros((count, vectors.shape[1]), np.float32)
    rows = np.flatnonzero((owners >= 0) & (words >= 0))
    if not len(rows):
        return found
    order = rows[np.argsort(owners[rows], kind="stable")]
    begins = np.flatnonzero(np.diff(owners[order], prepend=-1))
    lengths = np.diff(np.append(begins, len(order)))
    sums = np.add.reduceat(vectors[words[order]], begins, axis=0)
    found[owners[order[begins]]] = sums / lengths[:, None]
    return found


def _hosts_in_order(met: Met) -> Met:
    """Only those that there are, by their first flow."""
    used, first, places = np.unique(met.codes, return_index=True, return_inverse=True)
    nobody = int(len(used) > 0 and used[0] < 0)
    order = np.argsort(first[nobody:], kind="stable")
    moved = np.append(np.argsort(order, kind="stable"), -1)
    return Met(texts=met.texts.take(pa.array(used[nobody:][order])), codes=moved[places.reshape(-1) - nobody])


def _means_of_flows(predictor: Predictor, flows: Any, met: Met) -> Floats:
    """Flows with nothing to look at do not count."""
    found = predictor.embed(flows)
    codes = np.where(found.is_blank, -1, met.codes)
    return means(codes, np.arange(len(codes)), normalised(found.vectors), len(met.texts))
