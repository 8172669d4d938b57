"""Flows like this one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, TaskError
from .metrics import CHUNK_ROWS, checked_vectors, nearest, normalised


def similar(vectors: Any, queries: Any, *, count: int = 10) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """For each query the rows of the most alike vectors, the most alike first, and their cosines."""
    vectors, queries = checked_vectors(vectors), checked_vectors(queries)
    if vectors.shape[1] != queries.shape[1]:
        raise TaskError(
            f"tasks: vectors of {vectors.shape[1]} numbers are not like any of {queries.shape[1]}",
            hint="embed both with the same bundle",
        )
    unit, asked = normalised(vectors), normalised(queries)
    count = min(count, len(unit))
    rows = np.empty((len(asked), count), np.int64)
    cosines = np.empty((len(asked), count), np.float32)
    for first in range(0, len(asked), CHUNK_ROWS):
        alike = asked[first : first + CHUNK_ROWS] @ unit.T
        places = nearest(alike, count)
        rows[first : first + len(alike)] = places
        cosines[first : first + len(alike)] = np.take_along_axis(alike, places, axis=1)
    return rows, cosines


def rows_of(flow_ids: npt.NDArray[Any], wanted: str) -> npt.NDArray[np.int64]:
    """Rows of the flow whose id, in hexadecimal, is or begins with `wanted`; its parts share it."""
    begin = wanted.strip().lower()
    rows = np.flatnonzero([begin != "" and one is not None and one.startswith(begin) for one in flow_ids])
    found = sorted({flow_ids[row] for row in rows})
    if not found:
        raise InputError(
            f"flows: no flow has the id `{wanted}`",
            hint='`flowlore query "select flow_id, server_name from flows" FLOWS` shows ids',
        )
    if len(found) > 1:
        raise InputError(
            f"flows: the ids of {len(found):,} flows begin with `{wanted}`, for example `{found[0]}` and `{found[1]}`",
            hint="give more of it",
        )
    return rows
