"""What can be read back from a vector: networks, ports, names, first bytes of payload.

The attacker has vectors with their secrets for the teaching side, learns the way back, and is asked on the test side.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...features.entities import domain_suffixes
from ...tasks.raw import texts
from ...tasks.splits import networks
from ..bench import Bench
from ..material import Material
from ..representations.methods import few_of_each_are_meant
from ..study import Run
from .classifiers import view_of

MOST_SECRETS = 50  # the most frequent; all others are one
OCTETS = 8  # of the payload of who spoke first
TREES = 60
OTHER = "other"


def reconstruct(run: Run, bench: Bench) -> dict[str, Any]:
    """Share of test flows with a secret for which it is told right; `told_apart` counts every secret equally."""
    material = bench.material(run.data)
    secrets = _secrets(material, run.values["secret"])
    rng = bench.rng(run)
    numbers = None if run.values["window"] == "nothing" else view_of(run, bench, material.train)[1]
    right, balanced, asked, kinds = [], [], 0, 0
    for secret in secrets:
        shown = material.train[secret[material.train] != ""]
        tests = material.test[secret[material.test] != ""]
        if not len(shown) or not len(tests):
            continue
        answers = _answers(numbers, secret, shown, tests, rng)
        truth = secret[tests]
        right.append(float(np.mean(answers == truth)))
        balanced.append(float(np.mean([np.mean(answers[truth == one] == one) for one in np.unique(truth)])))
        asked, kinds = max(asked, len(tests)), max(kinds, len(np.unique(truth)))
    return {
        "flows": asked,
        "kinds": kinds,
        "right": round(float(np.mean(right)), 4) if right else None,
        "told_apart": round(float(np.mean(balanced)), 4) if balanced else None,
    }


def _answers(
    numbers: npt.NDArray[np.float32] | None,
    secret: npt.NDArray[Any],
    shown: npt.NDArray[np.int64],
    tests: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> npt.NDArray[Any]:
    names, counts = np.unique(secret[shown], return_counts=True)
    if numbers is None or len(names) == 1:
        return np.full(len(tests), names[counts.argmax()])
    from sklearn.ensemble import ExtraTreesClassifier

    trees = ExtraTreesClassifier(n_estimators=TREES, random_state=int(rng.integers(2**31)))
    with few_of_each_are_meant():
        answers: npt.NDArray[Any] = trees.fit(numbers[shown], secret[shown]).predict(numbers[tests])
    return answers


def _secrets(material: Material, secret: str) -> list[npt.NDArray[Any]]:
    """One array for each thing to be told, as text; "" is not known."""
    flows = material.flows
    if secret in ("src_network", "dst_network"):
        return [_frequent(networks(texts(flows, f"{secret[:3]}_ip")), material)]
    if secret == "dst_port":
        return [_frequent(texts(flows, "dst_port"), material)]
    if secret == "server_name":
        names = [None if name is None else domain_suffixes(str(name))[-1:] for name in texts(flows, "server_name")]
        return [_frequent(np.array([one[0] if one else None for one in names], dtype=object), material)]
    octets, is_octet = (material.batch.channels[f"payload.fwd{part}"] for part in ("", "_is_byte"))
    width = min(OCTETS, octets.shape[1])
    return [np.where(is_octet[:, place], octets[:, place].astype(str), "") for place in range(width)]


def _frequent(values: npt.NDArray[Any], material: Material) -> npt.NDArray[Any]:
    plain = np.array(["" if value is None else str(value) for value in values])
    names, counts = np.unique(plain[material.train][plain[material.train] != ""], return_counts=True)
    kept = names[np.argsort(-counts, kind="stable")][:MOST_SECRETS]
    return np.where((plain == "") | np.isin(plain, kept), plain, OTHER)
