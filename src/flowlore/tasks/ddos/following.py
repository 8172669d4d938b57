"""What is usual of each host, followed step by step in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .settings import DetectionSettings
from .thresholds import Usual, Values

SILENT = 0  # the row of a host that never had traffic: what one is that turns up for the first time
FIRST_ROWS = 1_024
KEPT_OF_8 = 7  # of so many eighths of the hosts nothing is forgotten, so that forgetting is rare
Rows = npt.NDArray[np.int64]


class FollowedHosts:
    """A row for every host that turned up; beyond `most_hosts` those that were silent longest are forgotten."""

    def __init__(
        self, noise: Values, step_s: float, settings: DetectionSettings, *, judged_by: int, most_hosts: int
    ) -> None:
        self.noise, self.step_s, self.settings = noise, step_s, settings
        self.judged_by, self.most_hosts = judged_by, most_hosts
        self.forgotten = 0
        self._names: list[str | None] = [None]
        self._places: dict[str, int] = {}
        self._usual = Usual.of_nothing(len(noise), FIRST_ROWS)
        self._heard = np.zeros(FIRST_ROWS, np.int64)  # number of the last step with traffic
        self._judged = np.zeros(FIRST_ROWS, np.bool_)

    @property
    def used(self) -> int:
        """Rows, of which the first is nobody's."""
        return len(self._names)

    @property
    def memory_bytes(self) -> int:
        usual = self._usual
        return int(
            usual.mean.nbytes + usual.spread.nbytes + usual.far.nbytes + usual.seen.nbytes + 9 * len(self._heard)
        )

    @property
    def judged(self) -> int:
        """Hosts of those followed that were judged in some step."""
        return int(self._judged[: self.used].sum())

    def judge(self, rows: Rows) -> None:
        self._judged[rows] = True

    def names(self, rows: Rows) -> list[str | None]:
        return [self._names[row] for row in rows.tolist()]

    def make_room(self, entities: Sequence[str]) -> Rows | None:
        """For those of these hosts that are new. The old rows that stay, in order; None where all do."""
        known = [self._places[name] for name in entities if name in self._places]
        new = len(entities) - len(known)
        if self.used - 1 + new <= self.most_hosts:
            return None
        stay = max(min(self.most_hosts - new, self.most_hosts * KEPT_OF_8 // 8), len(known))
        heard = self._heard[: self.used].copy()
        heard[known] = np.iinfo(np.int64).max
        rows = np.sort(np.argsort(-heard[1:], kind="stable")[:stay] + 1)
        kept = np.concatenate([[SILENT], rows]).astype(np.int64)
        self.forgotten += self.used - len(kept)
        self._names = self.names(kept)
        self._places = {name: row for row, name in enumerate(self._names) if name is not None}
        usual, used = self._usual, len(kept)
        usual.mean[:, :used], usual.spread[:, :used] = usual.mean[:, kept], usual.spread[:, kept]
        usual.far[:, :used] = usual.far[:, kept]
        usual.seen[:used], self._heard[:used] = usual.seen[kept], self._heard[kept]
        self._judged[:used], self._judged[used:] = self._judged[kept], False
        return kept

    def rows(self, entities: Sequence[str], step: int) -> Rows:
        """The row of each host with traffic in this step; one that is new begins as one that was silent until now."""
        new = [name for name in entities if name not in self._places]
        first, used = self.used, self.used + len(new)
        self._grow(used)
        self._places.update({name: first + place for place, name in enumerate(new)})
        self._names += new
        usual = self._usual
        usual.mean[:, first:used], usual.spread[:, first:used] = usual.mean[:, [SILENT]], usual.spread[:, [SILENT]]
        usual.far[:, first:used] = usual.far[:, [SILENT]]
        usual.seen[first:used] = usual.seen[SILENT]
        found = np.array([self._places[name] for name in entities], np.int64)
        self._heard[found] = step
        return found

    def take(self, counts: Values) -> tuple[npt.NDArray[np.float32], Values]:
        """One more step [features, rows]: how far each logarithm is above its mean, and scores in deviations."""
        used, whole = self.used, self._usual
        part = Usual(
            mean=whole.mean[:, :used],
            spread=whole.spread[:, :used],
            seen=whole.seen[:used],
            far=whole.far[:, :used],
        )
        rises, scores = part.take(counts, self.noise, self.step_s, self.settings, judged_by=self.judged_by)
        whole.mean[:, :used], whole.spread[:, :used], whole.seen[:used] = part.mean, part.spread, part.seen
        whole.far[:, :used] = part.far
        return rises, scores

    def _grow(self, rows: int) -> None:
        held = len(self._heard)
        if rows <= held:
            return
        more = max(held, rows - held)
        added, usual = Usual.of_nothing(len(self.noise), more), self._usual
        self._usual = Usual(
            mean=np.concatenate([usual.mean, added.mean], axis=1),
            spread=np.concatenate([usual.spread, added.spread], axis=1),
            seen=np.concatenate([usual.seen, added.seen]),
            far=np.concatenate([usual.far, added.far], axis=1),
        )
        self._heard = np.concatenate([self._heard, np.zeros(more, np.int64)])
        self._judged = np.concatenate([self._judged, np.zeros(more, np.bool_)])
