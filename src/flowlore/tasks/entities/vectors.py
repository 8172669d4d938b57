"""`EntityVectors`: vectors of hosts, ports and names, learnt from flows without labels, and kept as a bundle.

The bundle holds the words that were met in clear: addresses and names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...errors import BundleError, FlowloreError, InputError, TaskError
from ...features.sentences import KINDS, Kind, as_written, kind_of, sentences_of, words_of
from ...models.skipgram.model import SkipGram
from ...models.skipgram.settings import SkipGramSettings
from ...registry import nearest_name_hint
from ...settings import settings_from, settings_values
from ..bundle import Arrays, Bundle, damaged, load_bundle, save_bundle
from ..bundle_shelf import find_bundle
from ..retrieval import similar

Floats = npt.NDArray[np.float32]
Progress = Callable[[float], None]
MODEL = "skip-gram"


@dataclass(frozen=True, kw_only=True, slots=True)
class Alike:
    """A word beside the one that was asked for, the cosine of their vectors, and how often it stood near others."""

    word: str
    likeness: float
    count: int


@dataclass(frozen=True, kw_only=True)
class EntityVectors:
    """Never changes: `update` gives another one.

    A host that was never seen has a vector of its network, a name of its domain, a port of its class.
    """

    settings: SkipGramSettings
    models: Mapping[Kind, SkipGram]
    data: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""

    @classmethod
    def learn(
        cls, flows: Any, rng: np.random.Generator, *, settings: SkipGramSettings | None = None,
        progress: Progress | None = None,
    ) -> EntityVectors:  # fmt: skip
        """From flows (`Flows` or Arrow) in any order. Flows in which nothing meets anything are refused."""
        chosen = settings or SkipGramSettings()
        empty = cls(settings=chosen, models={kind: SkipGram.empty(kind, chosen) for kind in KINDS})
        found = empty.update(flows, rng, progress=progress)
        if not any(len(model) for model in found.models.values()):
            raise TaskError(
                "entities: in these flows no two hosts met one service, and no host asked for two ports or names",
                hint="more flows; `flowlore inspect` shows which hosts, ports and names are known",
            )
        return found

    def update(self, flows: Any, rng: np.random.Generator, *, progress: Progress | None = None) -> EntityVectors:
        """What is known after later flows too. A sentence does not go on from earlier flows; it begins anew."""
        all_sentences = {kind: sentences_of(flows, kind) for kind in KINDS}
        work = [len(one.sequence) for one in all_sentences.values()]
        models: dict[Kind, SkipGram] = {}
        rounds = list(self.data.get("rounds", []))
        counted: dict[str, Any] = {"flows": len(flows) if hasattr(flows, "__len__") else flows.num_rows}
        for place, (kind, sentences) in enumerate(all_sentences.items()):
            told = progress and _part_of(progress, sum(work[:place]), work[place], sum(work))
            models[kind] = self.models[kind].learnt(sentences, rng, told)
            counted[f"{kind}s"] = len(sentences.words)
            counted[f"{kind} sentences"] = len(sentences)
            left_out = int((~models[kind].knows(sentences.words)).sum())
            if left_out:
                counted[f"{kind}s left out"] = left_out
        data = {"rounds": [*rounds, counted], "known": {f"{kind}s": len(model) for kind, model in models.items()}}
        return EntityVectors(settings=self.settings, models=models, data=data, name=self.name)

    def vectors(self, words: pa.Array | Sequence[str], kind: Kind) -> Floats:
        """A row for each word of one kind: addresses or pseudonyms, `443/tcp`, names. Zeros: nothing is known of it."""
        return self._model(kind).vectors_of_texts(as_written(kind, words))

    def vector(self, word: str, kind: Kind | None = None) -> Floats:
        """Of one word; its kind is what it looks like unless said."""
        row: Floats = self.vectors([word], kind or self.kind_of(word))[0]
        return row

    def knows(self, words: pa.Array | Sequence[str], kind: Kind) -> npt.NDArray[np.bool_]:
        """Which words were met; the others' vectors are of what they share with words that were."""
        return self._model(kind).knows(words_of(kind, as_written(kind, words)))

    def is_known(self, word: str, kind: Kind) -> bool:
        return bool(self.knows([word], kind)[0])

    def kind_of(self, word: str) -> Kind:
        """What a word looks like; a name that was met as a host is a host's pseudonym."""
        kind = kind_of(word)
        if kind == "name" and not self.is_known(word, "name") and self.is_known(word, "host"):
            return "host"
        return kind

    def similar(self, word: str, kind: Kind | None = None, *, count: int = 10) -> list[Alike]:
        """The words whose vectors are most like that of this one, which itself is left out."""
        asked = kind or self.kind_of(word)
        model = self._model(asked)
        wanted = self.vector(word, asked)
        if not wanted.any():
            raise InputError(
                f"entities: nothing is known of the {asked} `{word}`, nor of anything that it shares with others",
                hint=_hint(word, asked, model),
            )
        texts = model.texts.to_pylist()
        rows, cosines = similar(model.own_vectors, wanted[None], count=count + 1)
        own = as_written(asked, [word])[0].as_py()
        found = [
            Alike(word=texts[row], likeness=float(cosine), count=int(model.counts[row]))
            for row, cosine in zip(rows[0].tolist(), cosines[0].tolist(), strict=True)
        ]
        return [one for one in found if one.word != own][:count]

    def to_bundle(self) -> Bundle:
        """Everything as arrays and JSON."""
        arrays: dict[str, Arrays] = {}
        states: dict[str, Any] = {}
        for kind, model in self.models.items():
            arrays[kind], states[kind] = model.state()
        return Bundle(
            model=MODEL,
            config={"skipgram": settings_values(self.settings)},
            needs=("entities",),
            states=states,
            arrays=arrays,
            data=self.data,
            name=self.name,
        )

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> EntityVectors:
        if bundle.model != MODEL:
            raise BundleError(
                f"bundle: `{bundle.name}` holds the model `{bundle.model}`, not vectors of entities",
                hint="`flowlore entities learn FLOWS -o FOLDER` makes one of those",
            )
        try:
            settings = settings_from(SkipGramSettings, bundle.config["skipgram"])
            models = {kind: SkipGram.from_state(kind, settings, bundle.arrays[kind]) for kind in KINDS}
        except (FlowloreError, KeyError, TypeError, ValueError) as error:
            raise damaged(bundle.name, "vectors of entities", error) from error
        return cls(settings=settings, models=models, data=bundle.data, name=bundle.name)

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """A folder of safetensors and JSON, whole or not at all."""
        return save_bundle(self.to_bundle(), path, overwrite=overwrite)

    @classmethod
    def load(cls, name_or_path: str | Path) -> EntityVectors:
        """From a folder, or by the name of a bundle. Damaged and foreign folders are a `BundleError`."""
        return cls.from_bundle(load_bundle(find_bundle(name_or_path)))

    def _model(self, kind: Kind) -> SkipGram:
        if kind not in self.models:
            raise InputError(
                f"entities: there is no kind `{kind}` (known: {', '.join(KINDS)})",
                hint=nearest_name_hint(kind, list(KINDS)) or "leave it out: words mostly look like what they are",
            )
        return self.models[kind]


def _hint(word: str, kind: Kind, model: SkipGram) -> str:
    from difflib import get_close_matches

    if not len(model):
        return f"the flows that it learnt from had no {kind}s that met others"
    near = get_close_matches(word, model.texts.to_pylist()[:100_000], n=1)
    return f"did you mean `{near[0]}`?" if near else "`--kind` says what it is: host, port or name"


def _part_of(progress: Progress, before: int, own: int, total: int) -> Progress:
    return lambda share: progress((before + share * own) / max(total, 1))
