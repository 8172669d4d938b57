"""Ours on the same sentences: `flowlore_words.py FOLDER`, one thread. Without a rival's name it measures ourselves."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from flowlore.features.sentences import Sentences, words_of
from flowlore.models.skipgram.model import SkipGram
from flowlore.models.skipgram.settings import SkipGramSettings


def main() -> None:
    folder = Path(sys.argv[1])
    task = json.loads((folder / "task.json").read_text())
    held = {kind: _sentences(folder, kind, task[kind]["texts"]) for kind in task["kinds"]}
    for kind in task["kinds"]:  # machine code is made once and kept
        SkipGram.empty(kind, _settings(task, 1)).learnt(_few(kind), np.random.default_rng(0))
    spent, words = 0.0, 0
    before = _most_kib()
    learnt = {}
    for kind, (texts, sequence, offsets) in held.items():
        began = time.process_time()
        sentences = Sentences(kind=kind, words=words_of(kind, texts), sequence=sequence, offsets=offsets)
        settings = _settings(task, task[kind]["epochs"])
        learnt[kind] = SkipGram.empty(kind, settings).learnt(sentences, np.random.default_rng(task["seed"]))
        spent += time.process_time() - began
        words += len(sequence) * settings.epochs
    peak = _most_kib()
    for kind, model in learnt.items():
        np.save(folder / f"flowlore-{kind}.npy", model.vectors_of_texts(pa.array(task[kind]["asked"], pa.string())))
    figures = {"words": words, "cpu_s": spent, "grown_mb": (peak - before) * 1024 / 1e6, "peak_mb": peak * 1024 / 1e6}
    (folder / "flowlore.json").write_text(json.dumps(figures))


def _settings(task: dict[str, Any], epochs: int) -> SkipGramSettings:
    same = {name: task[name] for name in ("width", "window", "negatives", "hidden_names")}
    return SkipGramSettings(epochs=epochs, least_words=1, **same)


def _sentences(folder: Path, kind: str, texts: list[str]) -> tuple[pa.Array, np.ndarray, np.ndarray]:
    held = pa.array(texts, pa.string())
    return held, np.load(folder / f"{kind}-sequence.npy"), np.load(folder / f"{kind}-offsets.npy")


def _few(kind: str) -> Sentences:
    words = words_of(kind, ["1", "2"])
    return Sentences(kind=kind, words=words, sequence=np.array([0, 1], np.int32), offsets=np.array([0, 2]))


def _most_kib() -> int:
    """Memory at its most so far. What `getrusage` tells is that of the parent, where this was more."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


if __name__ == "__main__":
    main()
