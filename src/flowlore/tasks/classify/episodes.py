"""Few labels a class: which flows are shown to a head, and which it is asked about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import TaskError

Rows = npt.NDArray[np.int64]
FEWEST_SHOWN = 2  # of each class that has as many, where a share of all labels is shown


@dataclass(frozen=True, kw_only=True)
class Episode:
    """`support` rows are shown with their labels, `query` rows are asked. No row is both."""

    support: Rows
    query: Rows
    dropped_classes: tuple[str, ...] = ()  # had too few flows, and were asked to be left out
    absent_classes: tuple[str, ...] = ()  # of the test only: never shown, so that no answer can be right
    not_asked: int = 0  # labelled flows of the test that were left out with their classes
    asked_in_vain: int = 0  # flows of absent classes that were asked all the same


def draw_episode(
    labels: npt.NDArray[Any],
    shots: int | None,
    *,
    rng: np.random.Generator,
    train: Rows | None = None,
    test: Rows | None = None,
    drop_small_classes: bool = False,
    share: float | None = None,
) -> Episode:
    """`shots` labelled flows of every class of `train` (None: all); the query is `test`, or what is left of `train`.

    Labels of None or "" are no labels: such rows are neither shown nor asked. A class with fewer flows is an error
    that names it, unless small classes are to be dropped (from the query too). A `share` in place of shots shows that
    much of `train`, each class as often as it is there but `FEWEST_SHOWN` of it at least.
    """
    if share is not None:
        _check_share(share, shots)
    takes_all, shots = shots is None, 1 if shots is None else shots
    if not isinstance(shots, (int, np.integer)):
        raise TaskError(f"tasks: `{shots!r}` is no number of shots", hint="a whole number such as 5; None shows all")
    if shots < 1:
        raise TaskError(f"tasks: {shots} shots teach nothing", hint="`--shots 5`")
    is_labelled = labelled(labels)
    train = np.flatnonzero(is_labelled) if train is None else train[is_labelled[train]]
    if not len(train):
        raise TaskError(
            "tasks: no flow has a label, so there is nothing to learn from",
            hint="`flowlore annotate FLOWS LABELS -o labelled.parquet` joins labels to flows",
        )
    texts = labels.astype(str)
    names, counts = np.unique(texts[train], return_counts=True)
    small = [str(name) for name in names[counts < shots]]
    if small and not drop_small_classes:
        worst = int(counts.argmin())
        others = f" (and {len(small) - 1} more classes have too few)" if len(small) > 1 else ""
        raise TaskError(
            f"tasks: {shots} shots were asked for but the side that teaches has {counts[worst]} of class "
            f"`{names[worst]}`{others}",
            hint=f"`--shots {counts[worst]}`, more labels, or `--drop-small-classes`",
        )
    kept = names[counts >= shots]
    if not len(kept):
        raise TaskError(
            f"tasks: no class has {shots} labelled flows to teach with; the largest, `{names[counts.argmax()]}`, has "
            f"{counts.max()}",
            hint=f"`--shots {counts.max()}`",
        )
    if share is not None:
        drawn = [rng.permutation(train[texts[train] == name])[:FEWEST_SHOWN] for name in kept]
        drawn.append(rng.permutation(train)[: round(share * len(train))])
        support = np.unique(np.concatenate(drawn)).astype(np.int64)
    elif takes_all:
        support = np.sort(train).astype(np.int64)
    else:
        drawn = [rng.choice(train[texts[train] == name], shots, replace=False) for name in kept]
        support = np.sort(np.concatenate(drawn)).astype(np.int64)
    query = np.setdiff1d(train, support) if test is None else test[is_labelled[test]]
    query = np.setdiff1d(query, support)
    is_shown = np.isin(texts[query], kept)
    unseen = int((~is_shown).sum())
    return Episode(
        support=support,
        query=query[is_shown] if drop_small_classes else query,
        dropped_classes=tuple(small),
        absent_classes=tuple(np.setdiff1d(texts[query], names).tolist()),
        not_asked=unseen if drop_small_classes else 0,
        asked_in_vain=0 if drop_small_classes else unseen,
    )


def _check_share(share: float, shots: int | None) -> None:
    if shots is not None:
        raise TaskError(f"tasks: {shots} shots and a share of all labels exclude each other", hint="choose one of them")
    if not 0 < share <= 1:
        raise TaskError(f"tasks: {share} is no share of the labels that can be shown", hint="for example 0.05")


def labelled(labels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which rows have a label at all."""
    return np.array([label is not None and label != "" for label in labels.tolist()], np.bool_)
