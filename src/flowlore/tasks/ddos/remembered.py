"""What the decoder made of earlier steps of a window: with it each further step of a host costs one step, not all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .detector import CONTEXT

if TYPE_CHECKING:
    from torch import Tensor

    from ...models.flowgen.network import Cache

HOSTS_AT_ONCE = 1_024  # in a piece: so many are judged together
MOST_BYTES = 5 << 29  # enough for 100,000 hosts
NEVER = -1
Rows = npt.NDArray[np.int64]


class Remembered:
    """Keys and values of hosts by row, at half precision, in pieces that are made when a host of them is judged.

    A host that was not judged in the step before is begun anew, and so are all when a window begins. Where `most_bytes`
    are full, further hosts are not remembered, and cost what they cost without.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self._pieces: dict[int, Tensor] = {}  # [hosts, layers, 2, heads, steps, width of a head]
        self._begin = np.full(0, NEVER, np.int64)
        self._last = np.full(0, NEVER, np.int64)

    @property
    def memory_bytes(self) -> int:
        return sum(piece.nbytes for piece in self._pieces.values())

    def grow(self, rows: int) -> None:
        more = np.full(max(rows - len(self._last), 0), NEVER, np.int64)
        self._begin, self._last = np.concatenate([self._begin, more]), np.concatenate([self._last, more])

    def has(self, rows: Rows, begin: int, last: int) -> npt.NDArray[np.bool_]:
        """Whether the window from `begin` is remembered up to the step before `last`, and no further."""
        return np.asarray((self._begin[rows] == begin) & (self._last[rows] == last - 1) & (last > begin))

    def cache(self, rows: Rows, steps: int) -> Cache:
        """Of rows of one piece that have so many steps."""
        import torch

        from ...models.flowgen.network import Cache

        piece = self._pieces[int(rows[0]) // HOSTS_AT_ONCE]
        held = piece[torch.from_numpy(rows % HOSTS_AT_ONCE)][..., :steps, :].float()
        return Cache(held=[(held[:, layer, 0], held[:, layer, 1]) for layer in range(held.shape[1])])

    def keep(self, rows: Rows, cache: Cache, begin: int, last: int) -> None:
        """Of rows of one piece; only steps that were not kept before are written."""
        import torch

        number, first_key = int(rows[0]) // HOSTS_AT_ONCE, cache.held[0][0]
        _, heads, steps, width = first_key.shape
        if number not in self._pieces:
            shape = (HOSTS_AT_ONCE, len(cache.held), 2, heads, CONTEXT, width)
            if self.memory_bytes + 2 * int(np.prod(shape)) > self.most_bytes:
                return
            self._pieces[number] = torch.zeros(shape, dtype=torch.float16)
        piece, places = self._pieces[number], torch.from_numpy(rows % HOSTS_AT_ONCE)
        first = steps - 1 if self.has(rows, begin, last).all() else 0
        for layer, both in enumerate(cache.held):
            for side, numbers in enumerate(both):
                piece[places, layer, side, :, first:steps] = numbers[:, :, first:].half()
        self._begin[rows], self._last[rows] = begin, last
