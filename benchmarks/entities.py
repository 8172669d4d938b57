"""Vectors of entities beside gensim's word2vec and FastText: `python -m benchmarks.entities`.

All learn in one run, on one thread each, from the same sentences, with the same width, window, negatives and epochs.
Quality is the macro F1 of the 7 nearest neighbours by cosine. Each host that was seen is asked beside all others that
were; for those never seen, the seen ones teach. word2vec has nothing of a word that it never saw; FastText has pieces
of its text.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from flowlore.features.sentences import Kind, Sentences, hosts_of, names_of, ports_of, sentences_of, words_of
from flowlore.models.skipgram.model import epochs_of
from flowlore.models.skipgram.settings import SkipGramSettings
from flowlore.settings import settings_hash
from flowlore.tasks.entities.host_vectors import means
from flowlore.tasks.metrics import normalised, scores
from flowlore.tasks.retrieval import similar

from .entity_material import Question, questions
from .machine import load, machine_class, our_versions, version_of
from .rivals_setup import WORDS_VENV, set_up_words

RESULTS = Path(__file__).parent / "results"
RIVALS = Path(__file__).parent / "rivals"
CONTENDERS = ("flowlore", "word2vec", "fasttext")
NEIGHBOURS = 7
SENTENCE_WORDS = 10_000  # gensim cuts longer sentences off
MADE_UP_HOSTS, MADE_UP_SERVICES = 100_000, 2_000
KINDS_OF_PART: dict[str, Kind] = {"host": "host", "ports": "port", "names": "name"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.entities")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("FLOWLORE_DATA", "../shared/data")))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--made-up-words", type=int, default=1_000_000, help="of sentences for speed and memory")
    parser.add_argument("--validation", action="store_true", help="earlier days only, for choosing settings")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting, e.g. window=5")
    parser.add_argument("--output", type=Path, default=RESULTS / "entities.json")
    arguments = parser.parse_args()
    problems = set_up_words()
    given = {
        name: float(value) if "." in value else int(value)
        for name, _, value in (s.partition("=") for s in arguments.set)
    }
    settings = SkipGramSettings(**given)
    result: dict[str, Any] = {
        "part": "entities",
        "command": f"python -m benchmarks.entities --seeds {arguments.seeds} --made-up-words {arguments.made_up_words}",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine_class(),
        "versions": our_versions() | {"gensim": version_of([str(WORDS_VENV / "bin/pip"), "show", "gensim"])},
        "config_hash": settings_hash(settings),
        "load_before": load(),
        "problems": problems,
        "quality": {
            question.name: asked(question, settings, arguments.seeds)
            for question in questions(arguments.data, validation=arguments.validation)
        },
        "load_after": load(),
    }
    if arguments.made_up_words:
        result["speed"] = speed(settings, arguments.made_up_words)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def asked(question: Question, settings: SkipGramSettings, seeds: int) -> dict[str, Any]:
    """Macro F1 of every contender, for hosts that were seen and those never seen, a number for each seed."""
    kinds = sorted({KINDS_OF_PART[part] for part in question.parts})
    learnt = [sentences_of(question.flows, kind) for kind in kinds]
    words = {kind: _asked_words(question, kind) for kind in kinds}
    found: dict[str, Any] = {
        "flows": len(question.flows),
        "hosts seen": int(question.is_seen.sum()),
        "hosts never seen": int((~question.is_seen).sum()),
        "classes": len(set(question.labels)),
        "words": {one.kind: len(one.sequence) for one in learnt},
        "epochs": {one.kind: epochs_of(settings, len(one.sequence)) for one in learnt},
        "words_per_cpu_s": {},
        "scores": {name: {"seen": [], "never seen": []} for name in CONTENDERS},
    }
    for seed in range(seeds):
        for name, vectors, figures in contended(learnt, words, settings, seed):
            rate = round(figures["words"] / figures["cpu_s"])
            found["words_per_cpu_s"][name] = max(rate, found["words_per_cpu_s"].get(name, 0))
            of_hosts = _vectors_of_hosts(question, vectors, words)
            for side, score in _judged(question, of_hosts).items():
                found["scores"][name][side].append(round(score, 4))
    for name, answers in question.plain.items():
        seen = question.is_seen
        found["scores"][name] = {"seen": [round(scores(question.labels[seen], answers[seen]).macro_f1, 4)]}
    if not question.is_seen.all() and "host" in question.parts:
        found["scores"]["most common in the nearest network"] = {"never seen": [round(_by_network(question), 4)]}
    return found


def speed(settings: SkipGramSettings, words: int) -> dict[str, Any]:
    """Words a second of processor time and memory, from made-up sentences of hosts of skewed popularity."""
    rng = np.random.default_rng(3)
    hosts = np.minimum(rng.zipf(1.2, words) - 1, MADE_UP_HOSTS - 1)
    hosts = np.where(rng.random(words) < 0.5, rng.integers(0, MADE_UP_HOSTS, words), hosts)
    used, sequence = np.unique(hosts, return_inverse=True)
    ends = np.unique(np.concatenate([[0, words], rng.integers(1, words, MADE_UP_SERVICES)]))
    texts = [f"10.{one >> 16 & 255}.{one >> 8 & 255}.{one & 255}" for one in (used * 37).tolist()]
    sentences = Sentences(
        kind="host", words=words_of("host", texts), sequence=sequence.astype(np.int32), offsets=ends.astype(np.int64)
    )
    figures = {}
    for name, _, figure in contended([sentences], {"host": texts[:10]}, settings, 0, epochs=1):
        figures[name] = {
            "words_per_cpu_s": round(figure["words"] / figure["cpu_s"]),
            "grown_mb": round(figure["grown_mb"]),
            "peak_mb": round(figure["peak_mb"]),
        }
    ours = figures["flowlore"]["words_per_cpu_s"]
    ratios = {name: round(ours / figures[name]["words_per_cpu_s"], 2) for name in figures if name != "flowlore"}
    return {"words": words, "hosts": len(texts), "contenders": figures, "times_as_fast_as": ratios}


def contended(
    learnt: Sequence[Sentences], words: dict[Kind, list[str]], settings: SkipGramSettings, seed: int, *, epochs: int = 0
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Each contender's name, its vectors of the words of each kind, and what it took."""
    task: dict[str, Any] = {
        "kinds": [one.kind for one in learnt], "width": settings.width, "window": settings.window,
        "negatives": settings.negatives, "hidden_names": settings.hidden_names, "seed": seed + 1,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for one in learnt:
            task[one.kind] = {"texts": one.words.texts.to_pylist(), "asked": words[one.kind]}
            task[one.kind]["epochs"] = epochs or epochs_of(settings, len(one.sequence))
            np.save(folder / f"{one.kind}-sequence.npy", one.sequence)
            np.save(folder / f"{one.kind}-offsets.npy", _cut(one.offsets))
        (folder / "task.json").write_text(json.dumps(task))
        for name in CONTENDERS:
            is_ours = name == "flowlore"
            python = sys.executable if is_ours else str(WORDS_VENV / "bin/python")
            script = RIVALS / ("flowlore_words.py" if is_ours else "gensim_words.py")
            threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
            environment = {**os.environ, **threads, "PYTHONHASHSEED": "0"}
            if not is_ours:
                environment.pop("PYTHONPATH", None)
            subprocess.run([python, str(script), str(folder), name], check=True, env=environment)
            vectors = {one.kind: np.load(folder / f"{name}-{one.kind}.npy") for one in learnt}
            yield name, vectors, json.loads((folder / f"{name}.json").read_text())


def _cut(offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    starts = [np.arange(first, last, SENTENCE_WORDS) for first, last in pairwise(offsets)]
    return np.concatenate([*starts, offsets[-1:]]).astype(np.int64)


def _asked_words(question: Question, kind: Kind) -> list[str]:
    if kind == "host":
        return [str(host) for host in question.hosts]
    met = ports_of(question.asked_flows) if kind == "port" else names_of(question.asked_flows)[0]
    return [str(text) for text in met.texts.to_pylist()]


def _vectors_of_hosts(
    question: Question, vectors: dict[str, Any], words: dict[Kind, list[str]]
) -> npt.NDArray[np.float32]:
    parts = []
    if "host" in question.parts:
        parts.append(vectors["host"])
    places = {host: place for place, host in enumerate(question.hosts)}
    met = hosts_of(question.asked_flows)
    moved = np.array([*(places.get(text, -1) for text in met.texts.to_pylist()), -1])
    owners = moved[met.codes]
    if "ports" in question.parts:
        parts.append(means(owners, ports_of(question.asked_flows).codes, vectors["port"], len(places)))
    if "names" in question.parts:
        asked_names, named = names_of(question.asked_flows)
        codes = np.concatenate([asked_names.codes, np.where(named.codes == asked_names.codes, -1, named.codes)])
        parts.append(means(np.tile(owners, 2), codes, vectors["name"], len(places)))
    return np.concatenate([normalised(part) for part in parts], axis=1)


def _judged(question: Question, vectors: npt.NDArray[np.float32]) -> dict[str, float]:
    seen, labels = question.is_seen, question.labels
    own, own_labels = vectors[seen], labels[seen].astype(str)
    found = {"seen": scores(own_labels, _answers(own, own_labels).astype(str)).macro_f1}
    if not seen.all():
        others = _answers(own, own_labels, vectors[~seen])
        found["never seen"] = scores(labels[~seen].astype(str), others.astype(str)).macro_f1
    return found


def _answers(
    known: npt.NDArray[np.float32], labels: Any, others: npt.NDArray[np.float32] | None = None
) -> npt.NDArray[Any]:
    """What most of the nearest say, the nearer one where equal; the most common label where a vector is zeros.

    Without others each is asked itself, and does not count among its own nearest.
    """
    wanted = known if others is None else others
    rows, _ = similar(known, wanted, count=NEIGHBOURS + 1)
    common = max(sorted(set(labels)), key=list(labels).count)
    answers = []
    for place, (near, vector) in enumerate(zip(rows.tolist(), wanted, strict=True)):
        kept = [labels[row] for row in near if others is not None or row != place][:NEIGHBOURS]
        counts = {label: kept.count(label) for label in kept}  # in order of nearness
        answers.append(max(counts, key=lambda one: counts[one]) if vector.any() else common)
    return np.array(answers, dtype=object)


def _by_network(question: Question) -> float:
    """The most common label of the hosts in the same /24, else /16, else /8, else of all."""
    tokens = words_of("host", pa.array([str(host) for host in question.hosts])).tokens[:, :0:-1]
    seen, labels = question.is_seen, question.labels.astype(str)
    answers = []
    for own in tokens[~seen]:
        same = [labels[seen & (tokens[:, column] == own[column])] for column in range(tokens.shape[1])]
        near = next((held for held in same if len(held)), labels[seen])
        answers.append(max(sorted(set(near)), key=list(near).count))
    return scores(labels[~seen], np.array(answers)).macro_f1


if __name__ == "__main__":
    main()
