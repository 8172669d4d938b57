"""Which training flows belong together, and who is whose partner in a step."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


class Contexts:
    """Rows by context. A flow of no known context, or alone in its own, is its own partner."""

    def __init__(self, keys: npt.NDArray[np.int64] | None, rows: int) -> None:
        known = np.zeros(rows, np.int64) if keys is None else keys
        order = np.argsort(known, kind="stable")
        _, firsts, codes, counts = np.unique(known[order], return_index=True, return_inverse=True, return_counts=True)
        first, count = np.empty(rows, np.int64), np.empty(rows, np.int64)
        first[order], count[order] = firsts[codes], counts[codes]
        count[known == 0] = 0
        self.keys = torch.from_numpy(np.ascontiguousarray(known))
        self._order, self._first, self._count = (torch.from_numpy(one) for one in (order, first, count))

    def partners(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """For each row another of its context, drawn anew each time."""
        drawn = torch.rand(len(rows), generator=generator, device=generator.device).cpu()
        count = self._count[rows]
        place = self._first[rows] + (drawn * count).long().clamp(max=(count - 1).clamp(min=0))
        return torch.where(count > 0, self._order[place], rows)
