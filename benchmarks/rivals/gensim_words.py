"""gensim's word2vec or FastText on the same sentences: `gensim_words.py FOLDER word2vec|fasttext`, one thread."""

import json
import sys
import time
from pathlib import Path

import numpy as np
from gensim.models import FastText, Word2Vec

BUCKETS = 100_000  # of gensim's two million, which would be half a gigabyte for a few hundred words


def main() -> None:
    folder, name = Path(sys.argv[1]), sys.argv[2]
    task = json.loads((folder / "task.json").read_text())
    asked = {kind: task[kind]["asked"] for kind in task["kinds"]}
    learnt, spent, words = {}, 0.0, 0
    sentences = {kind: _sentences(folder, kind, task[kind]["texts"]) for kind in task["kinds"]}
    before = _most_kib()
    for kind, held in sentences.items():
        if not held:
            continue
        began = time.process_time()
        learnt[kind] = _model(name, task, task[kind]["epochs"])
        learnt[kind].build_vocab(held)
        learnt[kind].train(held, total_examples=len(held), epochs=task[kind]["epochs"])
        spent += time.process_time() - began
        words += sum(map(len, held)) * task[kind]["epochs"]
    peak = _most_kib()
    for kind in task["kinds"]:
        vectors = np.zeros((len(asked[kind]), task["width"]), np.float32)
        for place, word in enumerate(asked[kind]):
            if kind in learnt and (name == "fasttext" or word in learnt[kind].wv):
                vectors[place] = learnt[kind].wv[word]
        np.save(folder / f"{name}-{kind}.npy", vectors)
    figures = {"words": words, "cpu_s": spent, "grown_mb": (peak - before) * 1024 / 1e6, "peak_mb": peak * 1024 / 1e6}
    (folder / f"{name}.json").write_text(json.dumps(figures))


def _model(name: str, task: dict[str, int], epochs: int) -> Word2Vec:
    same = {
        "vector_size": task["width"], "window": task["window"], "negative": task["negatives"], "min_count": 1, "sg": 1,
        "hs": 0, "sample": 0, "workers": 1, "seed": task["seed"], "epochs": epochs,
    }  # fmt: skip
    return FastText(bucket=BUCKETS, **same) if name == "fasttext" else Word2Vec(**same)


def _sentences(folder: Path, kind: str, texts: list[str]) -> list[list[str]]:
    sequence, offsets = np.load(folder / f"{kind}-sequence.npy"), np.load(folder / f"{kind}-offsets.npy")
    words = [texts[word] for word in sequence.tolist()]
    return [words[first:last] for first, last in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]


def _most_kib() -> int:
    """Memory at its most so far. What `getrusage` tells is that of the parent, where this was more."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


if __name__ == "__main__":
    main()
