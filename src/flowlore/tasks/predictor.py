"""A bundle brought to life: flows in, vectors and answers out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import BundleError, FlowloreError, InputError
from .bundle import Bundle, damaged, load_bundle, plain, save_bundle
from .bundle_shelf import find_bundle
from .extra import require_learning

if TYPE_CHECKING:
    import pyarrow as pa

    from ..features.batch import FeatureBatch
    from ..features.settings import FeatureSettings
    from ..models.encoder import Encoder
    from .calibrate import Calibration, OpenSet
    from .classify.head import Head

FLOW_ID_BYTES = 16


def load(name_or_path: str | Path) -> Predictor:
    """A bundle by its name or folder, ready to embed and predict."""
    require_learning()
    return Predictor.from_bundle(load_bundle(find_bundle(name_or_path)))


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """A vector for each flow, in the order of the flows. A flow with nothing to look at has a vector of zeros."""

    vectors: npt.NDArray[np.float32]
    masked: tuple[str, ...]  # channels that the encoder could use and no flow has
    is_blank: npt.NDArray[np.bool_]  # flows that have none of its channels
    numbers: npt.NDArray[np.float32] | None = None  # plain numbers of each flow, for heads that look at them too

    def take(self, rows: npt.NDArray[Any]) -> Embedding:
        """The flows at these places, or those where a mask is true."""
        return Embedding(
            vectors=self.vectors[rows],
            masked=self.masked,
            is_blank=self.is_blank[rows],
            numbers=None if self.numbers is None else self.numbers[rows],
        )

    def seen_by(self, head: Head) -> npt.NDArray[np.float32]:
        """What a head is shown of each flow: its vector, and behind it its plain numbers where the head wants them."""
        return seen_by(head, self.vectors, self.numbers)


@dataclass(frozen=True, kw_only=True)
class Support:
    """The labelled flows that a head learnt from: for "unknown", explanations, and to keep them out of examinations."""

    vectors: npt.NDArray[np.float32]
    labels: npt.NDArray[Any]
    flow_ids: npt.NDArray[np.uint8]  # [flows, 16]


@dataclass(frozen=True, kw_only=True, repr=False)
class Predictor:
    """An encoder, what it sees, and where it was taught, a head with its calibration."""

    model: str
    encoder: Encoder
    features: FeatureSettings
    head_name: str = ""
    head: Head | None = None
    calibration: Calibration | None = None
    open_set: OpenSet | None = None
    support: Support | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""

    def __repr__(self) -> str:
        known = "no classes" if self.head is None else f"{len(self.head.classes_)} classes by `{self.head_name}`"
        return f"<Predictor {self.name or 'without a name'}: {self.model}, {known}>"

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> Predictor:
        from ..features.settings import FeatureSettings
        from ..models import MODELS
        from ..settings import settings_from

        if "generator" in bundle.states:
            raise BundleError(
                f"bundle: `{bundle.name}` makes flows up, and neither embeds nor names any",
                hint="`flowlore generate` uses it; `flowlore bundles` lists others",
            )
        if bundle.model == "skip-gram":
            raise BundleError(
                f"bundle: `{bundle.name}` holds vectors of entities, and neither embeds nor names single flows",
                hint="`flowlore entities` asks it; `flowlore bundles` lists others",
            )
        if "detector" in bundle.states or bundle.needs == ("rates.values",):
            raise BundleError(
                f"bundle: `{bundle.name}` knows rates of hosts over time, and neither embeds nor names single flows",
                hint="`flowlore hosts`, `detect --bundle` or `forecast --bundle` ask it; `flowlore bundles` lists all",
            )
        try:
            encoder = MODELS.load(bundle.model).from_state(bundle.arrays["encoder"], bundle.states["encoder"])
            features = settings_from(FeatureSettings, bundle.config["features"])
            parts = _head_parts(bundle) if bundle.has_head else {}
        except FlowloreError as error:
            raise damaged(bundle.name, "encoder", error) from error
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise damaged(bundle.name, "state", error) from error
        if bundle.needs != tuple(encoder.needs):
            raise BundleError(
                f"bundle: `{bundle.name}` says that it needs {_listed(bundle.needs)}, but its encoder needs "
                f"{_listed(encoder.needs)}",
                hint="take a fresh copy, or make it again",
            )
        return cls(
            model=bundle.model,
            encoder=encoder,
            features=features,
            data=bundle.data,
            metrics=bundle.metrics,
            name=bundle.name,
            **parts,
        )

    def to_bundle(self) -> Bundle:
        """Everything as arrays and JSON."""
        from ..settings import settings_values

        arrays, values = self.encoder.state()
        held: dict[str, Any] = {"encoder": arrays}
        states: dict[str, Any] = {"encoder": values}
        config: dict[str, Any] = {"model": {"name": self.model}, "features": settings_values(self.features)}
        labels: tuple[str, ...] = ()
        if self.head is not None:
            assert self.calibration is not None and self.open_set is not None and self.support is not None
            held["head"], states["head"] = self.head.state()
            codes = np.searchsorted(self.head.classes_, self.support.labels)
            held["support"] = {
                "vectors": self.support.vectors,
                "codes": codes,
                "flow_ids": self.support.flow_ids,
                "middle": self.open_set.placing.middle,
                "turn": np.ascontiguousarray(self.open_set.placing.turn),
            }
            states["support"] = {"threshold": self.open_set.threshold}
            states["calibration"] = asdict(self.calibration)
            config["head"] = {"name": self.head_name, **states["head"]["settings"]}
            labels = tuple(str(label) for label in self.head.classes_)
        return Bundle(
            model=self.model,
            config=config,
            needs=tuple(self.encoder.needs),
            states=plain(states),
            arrays=held,
            labels=labels,
            data=self.data,
            metrics=self.metrics,
            name=self.name,
        )

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        return save_bundle(self.to_bundle(), path, overwrite=overwrite)

    def embed(self, flows: Any, *, with_numbers: bool = False) -> Embedding:
        """Vectors of flows (`Flows` or Arrow). Channels that the flows lack are masked; without any it refuses.

        Plain numbers come with them on request, or where the head looks at them.
        """
        from ..features.extract import extract
        from ..features.numbers import plain_numbers

        batch = extract(flows, self.features.without_context())
        masked, is_blank = self.looked_at(batch)
        found = self.checked(self.encoder.embed(batch), masked, is_blank)
        wanted = with_numbers or (self.head is not None and self.head.sees_numbers)
        return replace(found, numbers=plain_numbers(batch)) if wanted else found

    def looked_at(self, batch: FeatureBatch) -> tuple[tuple[str, ...], npt.NDArray[np.bool_]]:
        """Channels that no flow has, and which flows have none; flows without any channel at all are refused."""
        has = {
            need: batch.has(need) if need in batch.present else batch.has(need.partition(".")[0])
            for need in self.encoder.needs
            if _is_admitted(need, self.features)
        }
        masked = tuple(need for need, rows in has.items() if not rows.any())
        if len(batch) and len(masked) == len(has):
            raise BundleError(
                f"features: bundle `{self.name or self.model}` needs one of {', '.join(f'`{need}`' for need in has)}, "
                "but these flows have none of them",
                hint="`flowlore inspect` shows what the input holds; `flowlore columns` what each source can know",
            )
        seen = np.logical_or.reduce(list(has.values())) if has else np.ones(len(batch), np.bool_)
        return masked, ~seen

    def checked(
        self, vectors: npt.NDArray[np.float32], masked: tuple[str, ...], is_blank: npt.NDArray[np.bool_]
    ) -> Embedding:
        """Vectors that are numbers, or an error."""
        if not np.isfinite(vectors).all():
            raise BundleError(
                f"bundle: `{self.name or self.model}` gave vectors that are no numbers", hint="train it again"
            )
        return Embedding(vectors=vectors, masked=masked, is_blank=is_blank)

    def embed_where(self, flows: Any, wanted: npt.NDArray[np.bool_], *, with_numbers: bool = False) -> Embedding:
        """Vectors of some of the flows. The others are neighbours, for an encoder that looks at neighbours."""
        if wanted.all() or not hasattr(self.encoder, "embedder"):
            return self.embed(flows[wanted], with_numbers=with_numbers)
        return self.embed(flows, with_numbers=with_numbers).take(wanted)

    def embed_batches(self, batches: Iterable[Any], *, patient: bool = False) -> Iterator[tuple[Any, Embedding]]:
        """Each batch with its vectors, in bounded memory. An encoder of graphs gives a batch back when the windows of
        all its flows have closed, so that flows of other batches are neighbours too; when `patient`, windows stay open
        while few flows wait, and of more for as long as some were seen to come late.
        """
        if not hasattr(self.encoder, "embedder"):
            for batch in batches:
                yield batch, self.embed(batch)
            return
        from .windows import embedded_in_windows

        yield from embedded_in_windows(self, batches, patient=patient)

    def predict(self, flows: Any) -> pa.Table:
        """A row for each flow: label, confidence, the set of answers that holds the truth, unknown, novelty.

        A flow with nothing to look at has no label. Keys are `flow_id` and `part`, as in the flow table.
        """
        return self.predict_embedded(flows, self.embed(flows))

    def predict_embedded(self, flows: Any, embedding: Embedding) -> pa.Table:
        """The same with vectors that are there already."""
        import pyarrow as pa

        head = self.taught()
        assert self.calibration is not None and self.open_set is not None
        rows = len(embedding.vectors)
        raw = head.predict_proba(embedding.seen_by(head)) if rows else np.zeros((0, len(head.classes_)))
        sure = self.calibration.confidences(raw) if rows else raw
        sets = self.calibration.sets(raw) if rows else raw > 0
        novelty = self.open_set.novelty(embedding.vectors)
        blank = embedding.is_blank
        places = sure.argmax(axis=1) if rows else np.zeros(0, np.int64)
        offsets = np.concatenate([[0], np.cumsum(sets.sum(axis=1))]).astype(np.int32)
        names = pa.array(head.classes_.astype(str).tolist(), pa.string())
        table = keys(flows)
        return pa.table(
            {
                "flow_id": table.column("flow_id"),
                "part": table.column("part"),
                "label": names.take(pa.array(places, mask=blank)),
                "confidence": pa.array(sure.max(axis=1) if rows else [], pa.float32(), mask=blank),
                "answers": pa.ListArray.from_arrays(pa.array(offsets), names.take(pa.array(np.nonzero(sets)[1]))),
                "unknown": pa.array(self.open_set.is_unknown(embedding.vectors) | blank, pa.bool_()),
                "novelty": pa.array(novelty, pa.float32(), mask=blank),
            }
        )

    def taught(self) -> Head:
        """The head, or an error that says how to get one."""
        if self.head is None:
            raise BundleError(
                f"bundle: `{self.name or self.model}` embeds flows but knows no labels",
                hint="`flowlore fit BUNDLE LABELLED --shots 5 -o NEW` teaches it some",
            )
        return self.head


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "nothing"


def _is_admitted(need: str, features: FeatureSettings) -> bool:
    """Whether the settings let a channel through at all; one that they do not is no lack of the flows."""
    switches = {
        "quantities": features.quantities,
        "series": features.series,
        "entities": features.entities,
        "payload": bool(features.payload_bytes),
    }
    return switches.get(need.partition(".")[0], True)


def seen_by(
    head: Head, vectors: npt.NDArray[np.float32], numbers: npt.NDArray[np.float32] | None
) -> npt.NDArray[np.float32]:
    """What a head is shown: vectors, or vectors and numbers side by side."""
    if not head.sees_numbers:
        return vectors
    if numbers is None:
        raise BundleError(
            "bundle: this head looks at the numbers of a flow too, and only its vector is there",
            hint="`--head probe` teaches one that looks at vectors only",
        )
    return np.concatenate([vectors, numbers], axis=1)


def keys(flows: Any) -> pa.Table:
    """`flow_id` and `part` of each flow."""
    from ..features.extract import table_of

    table = table_of(flows)
    if missing := [name for name in ("flow_id", "part") if name not in table.column_names]:
        raise InputError(
            f"features: answers are told by `flow_id` and `part`, and these flows have no column `{missing[0]}`",
            hint="keep these columns: `flowlore.read` gives them",
        )
    return table.select(["flow_id", "part"])


def flow_id_bytes(flows: Any) -> npt.NDArray[np.uint8]:
    """Flow ids as [flows, 16]; an unknown one is zeros."""
    values = keys(flows).column("flow_id").to_pylist()
    joined = b"".join(bytes(FLOW_ID_BYTES) if value is None else value for value in values)
    return np.frombuffer(joined, np.uint8).reshape(-1, FLOW_ID_BYTES)


def _head_parts(bundle: Bundle) -> dict[str, Any]:
    from . import HEADS
    from .calibrate import Calibration, OpenSet
    from .classify.placing import Placing
    from .metrics import normalised

    head_name = bundle.config["head"]["name"]
    head = HEADS.load(head_name).from_state(bundle.arrays["head"], bundle.states["head"])
    held = bundle.arrays["support"]
    placing = Placing(middle=held["middle"], turn=held["turn"])
    threshold = float(bundle.states["support"]["threshold"])
    return {
        "head_name": head_name,
        "head": head,
        "calibration": Calibration(**bundle.states["calibration"]),
        "open_set": OpenSet(placing=placing, known=normalised(placing.apply(held["vectors"])), threshold=threshold),
        "support": Support(vectors=held["vectors"], labels=head.classes_[held["codes"]], flow_ids=held["flow_ids"]),
    }
