"""How well flows that are not benign are told from those that are, as whoever looks at the alarms would see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import TaskError
from .metrics import NS_PER_DAY, false_positives_a_day, pr_auc, roc_auc

RECALL = 0.9  # share of the flows to be found, where false alarms are counted


def check_benign(benign: Sequence[str], classes: npt.NDArray[Any]) -> None:
    """Benign classes must be classes of the bundle, and leave some that are alarms."""
    known = [str(name) for name in classes]
    for name in benign:
        if name not in known:
            raise TaskError(
                f"evaluate: `{name}` is no class of the bundle, so that it cannot be benign",
                hint=f"choose from {', '.join(f'`{one}`' for one in known)}",
            )
    if set(benign) == set(known):
        raise TaskError(
            "evaluate: every class of the bundle is benign, and nothing would be an alarm",
            hint="name only those that nobody wants to be called for",
        )


def alarm_scores(
    is_alarm: npt.NDArray[np.bool_],
    likely: npt.NDArray[np.float64],
    *,
    duration_ns: int,
    recall: float = RECALL,
) -> dict[str, Any]:
    """Areas below the curves, and false alarms a day where the threshold finds this share; else None."""
    found = {
        "pr_auc": pr_auc(is_alarm, likely),
        "roc_auc": roc_auc(is_alarm, likely),
        "false_alarms_a_day": false_positives_a_day(is_alarm, likely, recall=recall, duration_ns=duration_ns),
    }
    return {
        "flows": int(is_alarm.sum()),
        "prevalence": round(float(is_alarm.mean()), 4),
        "days": round(duration_ns / NS_PER_DAY, 4),
        "recall": recall,
        **{name: None if np.isnan(value) else round(value, 4) for name, value in found.items()},
    }
