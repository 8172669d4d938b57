"""Labelled flows → a generator, and made-up flows of any of its classes as a flow table or a capture."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import BundleError, FlowloreError, TaskError
from ..registry import nearest_name_hint
from ..settings import settings_values
from .bundle import Bundle, damaged, load_bundle, plain, save_bundle
from .bundle_shelf import find_bundle
from .classify.episodes import labelled
from .predictor import keys
from .pretraining import data_card
from .raw import numbers, starts_ns, texts
from .thin_places import ShownVectors, Where, checked_place

if TYPE_CHECKING:
    import pyarrow as pa

    from ..features.augment.packets import PacketSeries
    from ..features.augment.settings import AugmentSettings
    from ..models.generators.generator import Generator
    from ..models.settings import TrainingSettings
    from ..models.training import Progress
    from .following.follow import Followed

FEWEST_OF_A_CLASS = 2
ENOUGH_TO_VALIDATE = 500
TAUGHT_SHARE = 0.9  # of so many, the earliest
USUAL_PACKETS = 32  # of a flow, where the generator does not say
PORTS_KEPT = 32
JOINT = 1.0  # as much as being told from what is real
SOURCE = "generate"
MAKER = "imitate LABELLED"
PSEUDONYM = "made-up"
BEGIN_NS = 978_307_200 * 10**9  # 2001-01-01: nobody takes it for a day on which these flows were seen
BETWEEN_FLOWS_NS = 10_000_000
FLOW_ID_BYTES = 16
CAPTURED = (6, 17, None)  # protocols that a capture may have; what is not known becomes TCP


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """Flows of one class over one IP protocol: a class number of the generator. Ports are those of servers."""

    label: str
    protocol: int | None
    flows: int
    ports: tuple[tuple[int, int], ...]  # port, and how many flows went there


@dataclass(frozen=True, kw_only=True)
class Imitator:
    """A generator, the kinds of flows that it knows, and the columns that its flows have."""

    model: str
    generator: Generator
    kinds: tuple[Kind, ...]
    knows: tuple[str, ...]  # packet columns
    data: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    shown: ShownVectors | None = None  # of the flows that it learnt from, where it was told which flow is meant

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> Imitator:
        from ..models.generators import GENERATORS

        if "generator" not in bundle.states:
            raise BundleError(
                f"bundle: `{bundle.name}` is no generator: it embeds flows, and makes none up",
                hint="`flowlore imitate LABELLED -o BUNDLE` makes a generator",
            )
        try:
            generator = GENERATORS.load(bundle.model).from_state(bundle.arrays["generator"], bundle.states["generator"])
            held = bundle.states["kinds"]
            kinds = tuple(
                Kind(
                    label=str(one["label"]),
                    protocol=one["protocol"],
                    flows=int(one["flows"]),
                    ports=tuple((int(port), int(count)) for port, count in one["ports"]),
                )
                for one in held["kinds"]
            )
            knows = tuple(str(one) for one in held["knows"])
            told = bundle.arrays.get("kinds")
            shown = ShownVectors(vectors=told["vectors"], codes=told["codes"]) if told else None
        except FlowloreError as error:
            raise damaged(bundle.name, "generator", error) from error
        except (KeyError, TypeError, ValueError) as error:
            raise damaged(bundle.name, "state", error) from error
        return cls(
            model=bundle.model,
            generator=generator,
            kinds=kinds,
            knows=knows,
            data=bundle.data,
            metrics=bundle.metrics,
            name=bundle.name,
            shown=shown,
        )

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(kind.label for kind in self.kinds))

    def series(
        self,
        label: str | None,
        flows: int,
        rng: np.random.Generator,
        *,
        where: Where = "as-learnt",
        over: Collection[int | None] | None = None,
    ) -> tuple[PacketSeries, list[Kind]]:
        """Packets of so many flows of a class, or of all classes as often as they were learnt, and their kinds.

        `where` needs a generator that was told vectors of flows: more come where classes are thin, or near others.
        `over` names the protocols that may come, all unless given.
        """
        flows, where = checked_count(flows), checked_place(where)
        self._check(label)
        if self.shown is None and where != "as-learnt":
            raise TaskError(
                f"generate: `{self.name or self.model}` knows no latent space, so it has no `{where}` places",
                hint="`flowlore imitate LABELLED --encoder BUNDLE -o GENERATOR` makes a generator that knows one",
            )
        fits = [label in (None, kind.label) and (over is None or kind.protocol in over) for kind in self.kinds]
        weights = np.array([kind.flows for kind in self.kinds], np.float64) * fits
        if self.shown is None:
            codes = rng.choice(len(self.kinds), flows, p=weights / weights.sum()).astype(np.int64)
            made = self.generator.sample(codes, rng)
        else:
            latents, codes = self.shown.asked(weights > 0, flows, rng, where)
            made = self.generator.sample(codes, rng, latents=latents)
        return made, [self.kinds[code] for code in codes.tolist()]

    def generate(
        self, label: str | None, flows: int, rng: np.random.Generator, *, where: Where = "as-learnt"
    ) -> pa.Table:
        """Made-up flows as a flow table. Counters follow from packets; addresses are null, as nobody had them."""
        return flow_table(*self.series(label, flows, rng, where=where), self.knows, rng)

    def capture(self, label: str | None, flows: int, rng: np.random.Generator, *, where: Where = "as-learnt") -> bytes:
        """So many made-up flows over TCP and UDP as a pcap file with right checksums."""
        from ..models.generators.captures import TCP, Ends, capture_bytes, with_headers

        self.check_capture(label)
        series, kinds = self.series(label, flows, rng, where=where, over=CAPTURED)
        protocols = np.array([TCP if kind.protocol is None else kind.protocol for kind in kinds], np.int64)
        ends = Ends(protocol=protocols, dst_port=server_ports(kinds, rng), start_ns=_starts(flows, rng))
        return capture_bytes(with_headers(series, protocols, self.knows), ends)

    def check_capture(self, label: str | None) -> None:
        """Refuse a class that is not known, or that no capture can hold."""
        self._check(label)
        if not any(kind.protocol in CAPTURED for kind in self.kinds if label in (None, kind.label)):
            raise TaskError(
                f"generate: nothing of `{label or self.name or self.model}` goes over TCP or UDP, so no capture of it "
                "can be written",
                hint="`-o flows.parquet` writes a flow table",
            )

    def follow(
        self, rates: Any, rng: np.random.Generator, *, label: str | None = None, path: int | None = None
    ) -> Followed:
        """Made-up flows at hosts, times and in directions so that their `rates` come near these; see `follow`."""
        from .following.follow import follow

        return follow(self, rates, rng, label=label, path=path)

    def taught(self) -> Any:
        """What tells the kinds of flows apart, where a classifier learnt with the generator."""
        if not getattr(self.generator.settings, "joint", 0.0):
            raise BundleError(
                f"bundle: `{self.name or self.model}` makes flows up, and neither embeds nor names any",
                hint="`flowlore imitate --generator wgan --joint` teaches a classifier with it, "
                "`flowlore generate` makes flows up",
            )
        generator: Any = self.generator
        return generator.classify

    def predict(self, flows: Any) -> pa.Table:
        """The class of each flow by that classifier, laid out as a taught bundle's answers.

        It is not calibrated, and knows nothing of classes that it never saw; a flow without packets has no answer.
        """
        import pyarrow as pa

        from ..features.augment.tables import series_of_table

        found = keys(flows)
        table = flows if isinstance(flows, pa.RecordBatch | pa.Table) else flows.to_arrow()
        series = series_of_table(table, _packets(self.generator))
        names = np.array(self.labels)
        is_label = np.array([[kind.label == name for name in self.labels] for kind in self.kinds], np.float32)
        sure = self.taught()(series) @ is_label
        blank = series.lengths == 0
        nothing = pa.nulls(len(series))
        return pa.table(
            {
                "flow_id": found.column("flow_id"),
                "part": found.column("part"),
                "label": pa.array(names[sure.argmax(axis=1)].astype(object), pa.string(), mask=blank),
                "confidence": pa.array(sure.max(axis=1), pa.float32(), mask=blank),
                "answers": nothing.cast(pa.list_(pa.string())),
                "unknown": nothing.cast(pa.bool_()),
                "novelty": nothing.cast(pa.float32()),
            }
        )

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        arrays, values = self.generator.state()
        kinds = [
            {"label": one.label, "protocol": one.protocol, "flows": one.flows, "ports": list(one.ports)}
            for one in self.kinds
        ]
        settings = values.get("settings", {})
        bundle = Bundle(
            model=self.model,
            config={"model": {"name": self.model}, "generator": settings},
            needs=(),
            states=plain({"generator": values, "kinds": {"kinds": kinds, "knows": list(self.knows)}}),
            arrays={"generator": arrays} | ({} if self.shown is None else {"kinds": _arrays(self.shown)}),
            labels=self.labels,
            data=self.data,
            metrics=self.metrics,
        )
        return save_bundle(bundle, path, overwrite=overwrite)

    def _check(self, label: str | None) -> None:
        if label is not None and label not in self.labels:
            known = ", ".join(f"`{one}`" for one in self.labels)
            raise TaskError(
                f"generate: `{self.name or self.model}` knows no class `{label}` (known: {known})",
                hint=nearest_name_hint(label, list(self.labels)),
            )


def imitate(
    model: str,
    flows: Any,
    *,
    rng: np.random.Generator,
    settings: Any = None,
    training: TrainingSettings | None = None,
    epochs: int | None = None,
    augmentation: AugmentSettings | None = None,
    progress: Callable[[Progress], None] | None = None,
    vectors: npt.NDArray[np.floating[Any]] | None = None,
) -> Imitator:
    """A generator of these labelled flows, and of no others: what a classifier may not see, it may not see either.

    The latest tenth of many flows says when to stop. `epochs` are instead of those of the training's settings. With
    `augmentation` it also learns from changed copies. `vectors` are those of an encoder, a row for each flow: then it
    is told which flow of a class is meant, keeps the vectors, and may be asked for what is thin or near a boundary.
    `progress` is called after each step.
    """
    from ..features.augment.tables import series_of_table
    from ..models.generators import GENERATORS

    make = GENERATORS.load(model)
    settings = make().settings if settings is None else settings
    if vectors is not None:
        settings = _with_latent(model, settings, vectors, len(flows))
    generator = make(settings)
    training = training or generator.usual_training
    if epochs is not None:
        training = replace(training, epochs=epochs)
    table = flows.to_arrow()
    labels = texts(flows, "label")
    series = series_of_table(table, _packets(generator))
    usable = labelled(labels) & (series.lengths > 0)
    if not usable.any():
        what = "has a packet series" if labelled(labels).any() else "has a label"
        raise TaskError(
            f"imitate: no flow {what}, so there is nothing to learn from",
            hint="meter captures, and `flowlore annotate FLOWS LABELS -o labelled.parquet` joins labels to flows",
        )
    rows = np.flatnonzero(usable)
    series = series.take(rows)
    kinds, codes = _kinds(labels[rows].astype(str), numbers(flows, ("protocol", "dst_port"))[rows])
    order = np.argsort(starts_ns(flows)[rows], kind="stable")
    held_out = order[round(TAUGHT_SHARE * len(order)) :] if len(order) >= ENOUGH_TO_VALIDATE else order[:0]
    taught = np.setdiff1d(order, held_out)
    shown = None if vectors is None else ShownVectors.of(vectors[rows], codes)
    began = time.perf_counter()
    teaching, origin = series.take(taught), taught
    if augmentation is not None and augmentation.transforms:
        from ..features.augment.policy import Augmenter

        copying = replace(augmentation, policy="pre-augment")
        teaching, which = Augmenter(copying).enlarged(
            teaching, rng, codes=codes[taught], names=tuple(kind.label for kind in kinds)
        )
        teaching, origin = teaching.seen(), taught[which]
    told: dict[str, Any] = {} if shown is None else {"latents": shown.vectors[origin]}
    report = generator.fit(
        teaching,
        codes[origin],
        len(kinds),
        rng,
        training=training,
        validation=(series.take(held_out), codes[held_out]) if len(held_out) else None,
        progress=progress,
        **told,
    )
    from ..features.settings import FeatureSettings

    data = data_card(flows[usable], FeatureSettings(entities=False))
    return Imitator(
        model=model,
        generator=generator,
        kinds=kinds,
        knows=_known(table, rows),
        data=data
        | {"training_s": round(time.perf_counter() - began, 1), "steps": report.steps}
        | ({} if augmentation is None else {"augmentation": settings_values(augmentation)}),
        shown=shown,
    )


def checked_count(flows: Any) -> int:
    """How many flows, as a plain number; NumPy's whole numbers are taken, anything else but a whole one is an error."""
    if isinstance(flows, bool) or not isinstance(flows, int | np.integer):
        raise TaskError(f"generate: the number of flows is {flows!r}, but must be a whole number", hint="`100`")
    if flows < 1:
        raise TaskError(f"generate: {flows} flows were asked for, but at least 1 can be made up", hint="`-n 100`")
    return int(flows)


def with_classifier(model: str) -> Any:
    """The usual settings of a generator that learns together with a classifier."""
    from ..models.generators import GENERATORS

    settings = GENERATORS.load(model)().settings
    if not hasattr(settings, "joint"):
        raise TaskError(f"imitate: no classifier learns with the generator `{model}`", hint="`--generator wgan`")
    return replace(settings, joint=JOINT)


def load_imitator(name_or_path: str | Path) -> Imitator:
    """A bundle that makes flows up, by its name or folder."""
    return Imitator.from_bundle(load_bundle(find_bundle(name_or_path, maker=MAKER)))


def flow_table(
    series: PacketSeries,
    kinds: list[Kind],
    knows: tuple[str, ...],
    rng: np.random.Generator,
    *,
    statistics: Mapping[str, npt.NDArray[np.float64]] | None = None,
    placed: Mapping[str, Any] | None = None,
) -> pa.Table:
    """Packets of made-up flows as rows, with every counter that they tell.

    `statistics` are given where counters say more than the packets, `placed` are columns that are known otherwise.
    """
    import pyarrow as pa

    from ..features.augment.statistics import flow_statistics
    from ..features.augment.tables import column_of_numbers, series_lists
    from ..flows.arrays import plain_array, repeated_word
    from ..flows.ids import fixed_binary
    from ..flows.schema import arrow_schema, flow_batch

    rows, schema = len(series), arrow_schema()
    needs = {"bytes": "packet_bytes", "size": "packet_bytes", "payload": "packet_payload_bytes"}
    needs |= dict.fromkeys(
        ("tcp", "fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "synack"), "packet_tcp_flags"
    )
    known: dict[str, Any] = {name: array for name, array in series_lists(series, series.width).items() if name in knows}
    for name, values in (statistics or flow_statistics(series)).items():
        if name.startswith("window") or needs.get(name.partition("_")[0], "packet_direction") not in knows:
            continue
        known[name] = column_of_numbers(values, schema.field(name).type)
    protocols = np.array([np.nan if kind.protocol is None else kind.protocol for kind in kinds])
    ports = server_ports(kinds, rng)
    has_port = np.array([bool(kind.ports) for kind in kinds])
    known |= {
        "start": pa.array(_starts(rows, rng), pa.int64()).cast(schema.field("start").type),
        "part": plain_array(np.zeros(rows, np.uint32)),
        "src_name": repeated_word(PSEUDONYM, rows),
        "dst_name": repeated_word(PSEUDONYM, rows),
        "protocol": column_of_numbers(protocols, pa.uint8()),
        "dst_port": column_of_numbers(np.where(has_port, ports, np.nan), pa.uint16()),
        "flow_id": fixed_binary(rng.integers(0, 256, (rows, FLOW_ID_BYTES), np.uint8)),
        "source": repeated_word(SOURCE, rows),
        "capture": repeated_word(SOURCE, rows),
        "label": pa.array([kind.label for kind in kinds], pa.string()),
        "label_source": repeated_word(SOURCE, rows),
    }
    known |= placed or {}
    return pa.Table.from_batches([flow_batch(known, rows)])


def _packets(generator: Generator) -> int:
    return int(getattr(generator.settings, "packets", USUAL_PACKETS))


def _with_latent(model: str, settings: Any, vectors: npt.NDArray[np.floating[Any]], flows: int) -> Any:
    if len(vectors) != flows:
        raise TaskError(
            f"imitate: {len(vectors)} vectors were given for {flows} flows", hint="give one for each, in their order"
        )
    if not hasattr(settings, "latent"):
        raise TaskError(
            f"imitate: the generator `{model}` takes no vectors of flows",
            hint="leave the encoder out, or choose another",
        )
    return replace(settings, latent=vectors.shape[1])


def _arrays(shown: ShownVectors) -> dict[str, npt.NDArray[Any]]:
    return {"vectors": shown.vectors, "codes": shown.codes}


def _kinds(labels: npt.NDArray[Any], ends: npt.NDArray[np.float64]) -> tuple[tuple[Kind, ...], npt.NDArray[np.int64]]:
    """Every pair of label and protocol with the ports of its servers, and which pair each flow is."""
    from ..features.augment.mixing import where_without

    names, counts = np.unique(labels, return_counts=True)
    small = names[counts < FEWEST_OF_A_CLASS]
    if len(small):
        said = ", ".join(f"`{name}`" for name in small)
        raise TaskError(
            f"imitate: there is one flow of {said}, but a generator learns from at least {FEWEST_OF_A_CLASS} of each "
            "class",
            hint=f"leave them out (`{where_without(small.tolist())}`), or label more",
        )
    protocols = np.where(np.isnan(ends[:, 0]), -1, ends[:, 0]).astype(np.int64)
    pairs = np.stack([np.searchsorted(names, labels), protocols], 1)
    found, codes = np.unique(pairs, axis=0, return_inverse=True)
    codes = codes.reshape(-1).astype(np.int64)
    kinds = []
    for code, (label, protocol) in enumerate(found.tolist()):
        ports = ends[codes == code, 1]
        known, often = np.unique(ports[~np.isnan(ports)].astype(np.int64), return_counts=True)
        most = np.argsort(-often, kind="stable")[:PORTS_KEPT]
        kinds.append(
            Kind(
                label=str(names[label]),
                protocol=None if protocol < 0 else int(protocol),
                flows=int((codes == code).sum()),
                ports=tuple(zip(known[most].tolist(), often[most].tolist(), strict=True)),
            )
        )
    return tuple(kinds), codes


def _known(table: pa.Table, rows: npt.NDArray[np.int64]) -> tuple[str, ...]:
    """Packet columns that most of the flows have."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from ..features.augment.tables import LISTS

    found = []
    for name in LISTS:
        if name == "packet_window" or name not in table.column_names:
            continue
        held = table.column(name).take(pa.array(rows))
        if pc.sum(pc.is_valid(held)).as_py() * 2 > len(rows):
            found.append(name)
    return tuple(found)


def server_ports(kinds: list[Kind], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """The server's port of each flow, as often as its kind went there; 9 (discard) where none is known."""
    lots = rng.random(len(kinds))
    found = np.full(len(kinds), 9, np.int64)
    by_kind: dict[Kind, list[int]] = {}
    for row, kind in enumerate(kinds):
        by_kind.setdefault(kind, []).append(row)
    for kind, rows in by_kind.items():
        if kind.ports:
            ports, counts = np.array(kind.ports).T
            found[rows] = ports[np.searchsorted(np.cumsum(counts) / counts.sum(), lots[rows])]
    return found


def _starts(flows: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Flows begin at random, a hundred a second on average."""
    return BEGIN_NS + np.cumsum(rng.exponential(BETWEEN_FLOWS_NS, flows)).astype(np.int64)
