"""How well the network tells where the asked flows arrive, beside remembering who talked to whom."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...tasks.metrics import rounded
from ..bench import Bench
from ..study import Run
from .encoders import encoder_of, teaching_rows

MOST_ASKED = 2_000


def judge(run: Run, bench: Bench) -> dict[str, Any]:
    """AUC and MRR by kind of wrong answer and method, over the first asked flows; what came before is known."""
    material = bench.material(run.data)
    encoder, state = encoder_of(bench, run)
    teaching = teaching_rows(material)
    later = np.setdiff1d(np.arange(len(material.batch)), teaching)
    ends = material.batch.channels["graph.times_ns"][later, 1]
    asked = np.sort(later[np.argsort(ends, kind="stable")[:MOST_ASKED]])
    found = encoder.judge_links(
        material.batch.take(asked), bench.rng(run), history=material.batch.take(teaching[-MOST_ASKED * 5 :])
    )
    by_kind = {kind: {method: rounded(one) for method, one in methods.items()} for kind, methods in found.items()}
    return {"links": by_kind, "asked": len(asked), "pretrain_s": state["pretrain_s"]}
