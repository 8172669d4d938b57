"""Flows like this one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import TaskError
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
