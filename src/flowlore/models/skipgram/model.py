"""Vectors of the entities of one kind: learnt from sentences, brought up to date by later ones, given to any word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...errors import ModelError
from ...features.sentences import TOKENS_OF, Kind, Sentences, Words, words_of
from .settings import SkipGramSettings
from .tokens import Floats, Hashes, Keys, Places, first_vectors, nearest_vectors

BLOCK_WORDS = 256  # of a sentence that are gone through together; blocks are shuffled
BLOCKS_AT_ONCE = 4096  # between two looks at whether somebody wants it to end
NOISE_POWER = 0.75
Progress = Callable[[float], None]  # is told the share that is done


@dataclass(frozen=True, kw_only=True)
class SkipGram:
    """Never changes; what has learnt more is another one.

    Words that stood near others have a token of their own. All others have those that they share: prefixes, domains,
    classes.
    """

    kind: Kind
    settings: SkipGramSettings
    texts: pa.Array  # of the words that were met
    tokens: Hashes  # what these are made of, [words, tokens of the kind]
    counts: npt.NDArray[np.int64]
    rows: Keys  # the token that each row of `vectors` is of
    vectors: Floats
    contexts: Floats  # what stands near each word

    @classmethod
    def empty(cls, kind: Kind, settings: SkipGramSettings) -> Self:
        """Knows nothing yet: every vector is zeros."""
        return cls(
            kind=kind,
            settings=settings,
            texts=pa.array([], pa.string()),
            tokens=np.zeros((0, TOKENS_OF[kind]), np.uint64),
            counts=np.zeros(0, np.int64),
            rows=Keys(np.zeros(0, np.uint64)),
            vectors=np.zeros((0, settings.width), np.float32),
            contexts=np.zeros((0, settings.width), np.float32),
        )

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def words(self) -> Keys:
        """The own tokens of the words that were met."""
        return Keys(np.ascontiguousarray(self.tokens[:, 0]))

    def learnt(self, sentences: Sentences, rng: np.random.Generator, progress: Progress | None = None) -> Self:
        """What it is after these sentences too. New words begin where what they share with others lies."""
        seed = int(rng.integers(1, 2**63))
        grown = self._with_words(sentences, seed)
        sequence, offsets = _known_only(sentences, grown.words)
        if not len(sequence):
            return grown
        _learn(grown, sequence, offsets, rng, seed, progress)
        if not np.isfinite(grown.vectors).all():
            raise ModelError(
                f"entities: the vectors of {self.kind}s grew beyond all bounds",
                hint=f"a smaller `skipgram.learning_rate` than {self.settings.learning_rate}",
            )
        return grown

    def vectors_of(self, words: Words) -> Floats:
        """Its own for a word that was met, else of what it shares with the fewest; zeros where there is nothing."""
        rows = self.rows.places(words.tokens)
        return nearest_vectors(np.concatenate([rows[:, 1:], rows[:, :1]], axis=1), self.vectors)

    def vectors_of_texts(self, texts: pa.Array) -> Floats:
        return self.vectors_of(words_of(self.kind, texts))

    def knows(self, words: Words) -> npt.NDArray[np.bool_]:
        """Which of the words were met."""
        return self.words.places(words.tokens[:, 0]) >= 0

    @cached_property
    def own_vectors(self) -> Floats:
        """Of the words that were met, in the order of `texts`."""
        return self.vectors[self.rows.places(self.tokens[:, 0])]

    def state(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        texts = self.texts.cast(pa.large_binary()).to_pylist()
        joined = b"".join(texts)
        return {
            "texts": np.frombuffer(joined, np.uint8),
            "text_ends": np.cumsum([len(text) for text in texts], dtype=np.int64).reshape(-1),
            "tokens": self.tokens,
            "counts": self.counts,
            "rows": self.rows.held,
            "vectors": self.vectors,
            "contexts": self.contexts,
        }, {"words": len(texts)}

    @classmethod
    def from_state(cls, kind: Kind, settings: SkipGramSettings, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """What `state` described. Whatever does not fit together is a `ModelError`."""
        wanted = {name: np.dtype(type_) for name, type_ in _ARRAYS.items()}
        found = {name: array.dtype for name, array in arrays.items()}
        if found != wanted:
            raise ModelError(f"entities: the arrays of `{kind}` are not those of vectors of entities")
        ends, tokens, rows = arrays["text_ends"], arrays["tokens"], arrays["rows"]
        words = len(ends)
        shapes = {
            "text_ends": (words,),
            "texts": (int(ends[-1]) if words else 0,),
            "tokens": (words, TOKENS_OF[kind]),
            "counts": (words,),
            "rows": (len(rows),),
            "vectors": (len(rows), settings.width),
            "contexts": (words, settings.width),
        }
        for name, shape in shapes.items():
            if arrays[name].shape != shape:
                raise ModelError(f"entities: `{name}` of `{kind}` has the shape {arrays[name].shape}, not {shape}")
        if (np.diff(ends, prepend=0) < 0).any() or (arrays["counts"] < 1).any():
            raise ModelError(f"entities: ends of texts or counts of `{kind}` are none")
        if len(np.unique(rows)) != len(rows) or (words and len(np.unique(tokens[:, 0])) != words):
            raise ModelError(f"entities: a token or word of `{kind}` is there twice")
        held = arrays["texts"].tobytes()
        texts = [held[begin:end].decode() for begin, end in zip([0, *ends[:-1]], ends, strict=True)]
        return cls(
            kind=kind,
            settings=settings,
            texts=pa.array(texts, pa.string()),
            tokens=tokens,
            counts=arrays["counts"],
            rows=Keys(rows),
            vectors=arrays["vectors"],
            contexts=arrays["contexts"],
        )

    def _with_words(self, sentences: Sentences, seed: int) -> Self:
        """With a place for every word of the sentences, as far as there is room, and for its tokens."""
        words = sentences.words
        met = np.bincount(sentences.sequence, minlength=len(words))
        places = self.words.places(words.tokens[:, 0])
        new = np.flatnonzero(places < 0)
        room = max(0, self.settings.most_words - len(self))
        new = np.sort(new[np.argsort(-met[new], kind="stable")][:room])
        counts = np.concatenate([self.counts, met[new]])
        counts[places[places >= 0]] += met[places >= 0]
        tokens = np.concatenate([self.tokens, words.tokens[new]])
        rows = self.rows.with_new(np.unique(words.tokens[new]))
        vectors = np.concatenate([self.vectors, first_vectors(rows.held[len(self.rows) :], self.settings.width, seed)])
        shared = self.rows.places(words.tokens[new, 1:])
        began = nearest_vectors(shared, self.vectors)
        is_met = (shared >= 0).any(axis=1)
        vectors[rows.places(words.tokens[new, 0])[is_met]] = began[is_met]
        return replace(
            self,
            texts=pa.concat_arrays([self.texts, words.texts.take(pa.array(new))]),
            tokens=tokens,
            counts=counts,
            rows=rows,
            vectors=vectors,
            contexts=np.concatenate([self.contexts, np.zeros((len(new), self.settings.width), np.float32)]),
        )


def epochs_of(settings: SkipGramSettings, words: int) -> int:
    """How often so many words are gone through."""
    return max(settings.epochs, -(-settings.least_words // max(words, 1)))


_ARRAYS = {
    "texts": np.uint8,
    "text_ends": np.int64,
    "tokens": np.uint64,
    "counts": np.int64,
    "rows": np.uint64,
    "vectors": np.float32,
    "contexts": np.float32,
}


def _known_only(sentences: Sentences, words: Keys) -> tuple[Places, npt.NDArray[np.int64]]:
    """The sequence by places among the known words, and its offsets; words without a place are left out."""
    sequence = words.places(sentences.words.tokens[:, 0])[sentences.sequence]
    kept = np.concatenate([[0], np.cumsum(sequence >= 0)])
    return sequence[sequence >= 0], kept[sentences.offsets]


def _learn(
    model: SkipGram, sequence: Places, offsets: npt.NDArray[np.int64], rng: np.random.Generator, seed: int,
    progress: Progress | None,
) -> None:  # fmt: skip
    """Move the vectors of a model that nobody else has yet."""
    from .kernels import Plan, learn_words

    settings = model.settings
    plan = Plan(settings.window, settings.negatives, int(settings.hidden_names * 2**32))
    blocks = _blocks(offsets)
    share, other = _draws(model.counts)
    tokens = model.rows.places(model.tokens)
    sureness, state = _sureness(), np.array([seed], np.uint64)
    words = blocks[:, 1] - blocks[:, 0]
    epochs = epochs_of(settings, int(words.sum()))
    done, total = 0, int(words.sum()) * epochs
    for _ in range(epochs):
        order = rng.permutation(len(blocks))
        begun = done + np.cumsum(words[order]) - words[order]
        rates = settings.learning_rate + (settings.last_learning_rate - settings.learning_rate) * begun / total
        for first in range(0, len(order), BLOCKS_AT_ONCE):
            part = slice(first, first + BLOCKS_AT_ONCE)
            looked_at = learn_words(
                sequence, blocks[order[part]], tokens, model.vectors, model.contexts, share, other, sureness,
                rates[part].astype(np.float32), plan, state,
            )  # fmt: skip
            assert looked_at >= 0, "arrays that do not fit together"
            done += int(words[order[part]].sum())
            if progress is not None:
                progress(done / total)


def _blocks(offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Every sentence in blocks: [first, last, begin of sentence, end of sentence]."""
    lengths = np.diff(offsets)
    pieces = -(-lengths // BLOCK_WORDS)
    sentence = np.repeat(np.arange(len(lengths)), pieces)
    number = np.arange(len(sentence)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    begin, end = offsets[sentence], offsets[sentence + 1]
    first = begin + number * BLOCK_WORDS
    return np.stack([first, np.minimum(first + BLOCK_WORDS, end), begin, end], axis=1)


def _draws(counts: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.uint32], Places]:
    from .kernels import draw_evenly

    weights = counts.astype(np.float64) ** NOISE_POWER
    weights /= weights.mean()
    share, other = np.empty(len(counts), np.uint32), np.empty(len(counts), np.int32)
    draw_evenly(weights, share, other, np.empty(len(counts), np.int32))
    return share, other


def _sureness() -> Floats:
    """The logistic function at the middle of each step from -`STEEPEST` to `STEEPEST`."""
    from .kernels import SCORES, STEEPEST

    at = ((np.arange(SCORES) + 0.5) / SCORES * 2 - 1) * STEEPEST
    return (1 / (1 + np.exp(-at))).astype(np.float32)
