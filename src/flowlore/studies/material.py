"""One data set as a study uses it: labelled flows, their sides, proofs that nothing leaks, and what the set lacks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import TaskError
from ..features.batch import MODALITIES, FeatureBatch
from ..features.context import CLIENTS, SERVICE
from ..features.extract import extract
from ..features.settings import FeatureSettings
from ..flows.schema import NETFLOW, columns
from ..flows.table import Flows
from ..settings import settings_from, settings_values
from ..tasks.raw import texts
from ..tasks.splits import Split, novel, twin_keys
from .study import Scale

Rows = npt.NDArray[np.int64]
FORMAT = 2
FLOWS, FLOODS, SERIES = "flows", "hosts under attack", "series of a network"
SIDES = ("train", "validation", "test", "unlabelled")
FEWEST_OF_A_CLASS = 100  # kept of each class where the training side is thinned
VALIDATION_SHARE = 8  # at most one validation flow for so many training flows


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where data may lie: the folder of public data sets, and folders of laboratory runs beside it."""

    data: Path
    laboratories: tuple[Path, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What a material's function gives: flows with labels and groups, how they were split, and what is to be known."""

    title: str
    flows: Flows
    split: Split
    groups: npt.NDArray[Any]  # of each flow: the capture, minute or day that stands on one side as a whole
    split_by: str  # in words
    proof: str  # in words: what was proved of it
    features: FeatureSettings
    checksum: str
    licence: str = ""
    most_shots: int | None = None  # more labels a class than this make no sense here
    notes: tuple[str, ...] = ()
    is_network: bool = False  # flows are neighbours: none is thinned away, and those without a label stay

    def prepare(self, name: str, scale: Scale, folder: Path) -> Facts:
        """See `prepare` below. What is no table of flows prepares itself in its own way, and gives the same facts."""
        return prepare(self, name, scale, folder)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What plan and report say of a data set."""

    name: str
    title: str
    checksum: str
    licence: str
    split_by: str
    proof: str
    train: int
    validation: int
    test: int
    novel: int  # test flows without a twin in training
    whole_train: int  # before the scale thinned it
    whole_test: int
    classes: int
    groups: int
    smallest_class: int  # of the training side
    modalities: tuple[str, ...]
    lacks: tuple[str, ...]
    identity: tuple[str, ...]  # settings that would show who it was: what they need is there
    context: str  # what pre-training may know of which flows belong together
    shortcuts: str
    unlabelled: int = 0  # more of the training side, of which nobody sees the labels
    features: dict[str, Any] = field(default_factory=dict)
    most_shots: int | None = None
    notes: tuple[str, ...] = ()
    holds: str = FLOWS  # a study is given what it `asks`, flows where it says nothing

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Facts:
        lists = ("modalities", "lacks", "identity", "notes")
        known: dict[str, Any] = {name: tuple(value) if name in lists else value for name, value in values.items()}
        return cls(**known)


@dataclass(frozen=True, kw_only=True)
class Material:
    """Flows of all sides in one table; the sides are row numbers."""

    facts: Facts
    flows: Flows
    train: Rows
    validation: Rows
    test: Rows
    unlabelled: Rows
    twins: Rows
    groups: npt.NDArray[Any]

    @property
    def features(self) -> FeatureSettings:
        return settings_from(FeatureSettings, self.facts.features)

    @cached_property
    def labels(self) -> npt.NDArray[Any]:
        return texts(self.flows, "label").astype(str)

    @cached_property
    def batch(self) -> FeatureBatch:
        return extract(self.flows, self.features)

    @cached_property
    def netflow_batch(self) -> FeatureBatch:
        """The same flows as an exporter of NetFlow would have told them."""
        return extract(as_netflow(self.flows), self.features)

    @cached_property
    def is_novel(self) -> npt.NDArray[np.bool_]:
        """Which test flows have no twin on the training side."""
        taught = np.concatenate([self.train, self.unlabelled])
        return novel(Split(by="", train=taught, test=self.test, validation=self.validation), self.twins)


def as_netflow(flows: Flows) -> Flows:
    """Only the columns that NetFlow can know: no packet, no payload, no name from the payload."""
    known = {column.name for column in columns() if NETFLOW in column.known_by and column.group not in _FROM_PACKETS}
    table = flows.to_arrow()
    return Flows(table.select([name for name in table.column_names if name in known]), flows.account)


_FROM_PACKETS = ("series", "payload", "entities")


def prepare(gathered: Gathered, name: str, scale: Scale, folder: Path) -> Facts:
    """Thin the sides to the scale, and keep everything in `folder`, from which `load` takes it in any process."""
    table = gathered.flows.to_arrow()
    labels = texts(gathered.flows, "label").astype(str)
    train, validation, test, unlabelled = _sides(gathered, labels, scale)
    if len(np.unique(labels[train])) < 2:
        raise TaskError(
            f"studies: `{name}` has fewer than two classes on its training side",
            hint="give more labelled flows; the guide on studies says what each data set needs",
        )
    sides = [train, validation, test, unlabelled]
    rows = np.arange(table.num_rows)
    if not gathered.is_network:
        rows = np.concatenate(sides)
        sides = np.split(np.arange(len(rows)), np.cumsum([len(train), len(validation), len(test)]))
    asked = np.concatenate(sides)
    flows = Flows(_without_empty_columns(table.take(pa.array(rows)).combine_chunks()))
    twins = twin_keys(flows)
    batch = extract(flows, gathered.features)
    has = {modality: bool(batch.has(modality).any()) for modality in MODALITIES}
    taught = np.concatenate([sides[0], sides[3]])
    is_novel = novel(Split(by="", train=taught, test=sides[2], validation=sides[1]), twins)
    facts = Facts(
        name=name,
        title=gathered.title,
        checksum=gathered.checksum,
        licence=gathered.licence,
        split_by=gathered.split_by,
        proof=gathered.proof,
        train=len(train),
        validation=len(validation),
        test=len(test),
        novel=int(is_novel.sum()),
        unlabelled=len(unlabelled),
        whole_train=len(gathered.split.train),
        whole_test=len(gathered.split.test),
        classes=len(np.unique(labels[rows[asked]])),
        groups=len(np.unique(gathered.groups[rows[asked]])),
        smallest_class=int(np.unique(labels[train], return_counts=True)[1].min()),
        modalities=tuple(modality for modality, is_there in has.items() if is_there),
        lacks=tuple(modality for modality, is_there in has.items() if not is_there),
        identity=_identity(flows),
        context=_context(flows, gathered.features),
        shortcuts=gathered.features.shortcuts(),
        features=settings_values(gathered.features),
        most_shots=gathered.most_shots,
        notes=gathered.notes,
    )
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(flows.to_arrow(), folder / "flows.parquet", compression="zstd")
    groups = gathered.groups[rows].astype(str)
    held: dict[str, Any] = dict(zip(SIDES, sides, strict=True)) | {"twins": twins, "groups": groups}
    np.savez(folder / "sides.npz", **held)
    write_facts(facts, folder)
    return facts


def write_facts(facts: Facts, folder: Path) -> None:
    write_json(folder / "facts.json", {"format": FORMAT, "facts": asdict(facts)})


def load(folder: Path) -> Material:
    """What `prepare` kept."""
    facts = facts_of(folder)
    with np.load(folder / "sides.npz", allow_pickle=False) as sides:
        held = {name: sides[name] for name in (*SIDES, "twins", "groups")}
    return Material(facts=facts, flows=Flows(pq.read_table(folder / "flows.parquet")), **held)


def facts_of(folder: Path) -> Facts:
    """What `prepare` told."""
    return Facts.from_json(json.loads((folder / "facts.json").read_text())["facts"])


def checksum_of(paths: Sequence[Path]) -> str:
    """SHA-256 over the names and contents of files; the names without their folders' places on this machine."""
    lines = []
    for path in paths:
        with path.open("rb") as stream:
            lines.append(f"{path.parent.name}/{path.name} {hashlib.file_digest(stream, 'sha256').hexdigest()}\n")
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Whole or not at all, whatever happens in between."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)


def _sides(gathered: Gathered, labels: npt.NDArray[Any], scale: Scale) -> tuple[Rows, Rows, Rows, Rows]:
    """Rows that teach, that say when to stop, that are asked, and that teach without labels.

    They are thinned to the scale, unless they are a network's, of which all teaches without labels.
    """
    split = gathered.split
    if gathered.is_network:
        return split.train, split.validation, split.test, np.zeros(0, np.int64)
    rng = np.random.default_rng(7)
    train = _thinned(split.train, labels, scale.train_rows, rng)
    most_validation = max(len(train) // VALIDATION_SHARE, 1) if scale.train_rows else len(split.validation)
    validation = _drawn(split.validation, most_validation, rng)
    test = _drawn(split.test, scale.test_rows, rng)
    rest = np.setdiff1d(split.train, train)
    return train, validation, test, np.sort(rng.permutation(rest)[: scale.unlabelled_rows])


def _drawn(rows: Rows, most: int, rng: np.random.Generator) -> Rows:
    if not most or len(rows) <= most:
        return rows
    return np.sort(rng.choice(rows, most, replace=False))


def _thinned(rows: Rows, labels: npt.NDArray[Any], most: int, rng: np.random.Generator) -> Rows:
    """At random, but of a small class up to `FEWEST_OF_A_CLASS` stay (fewer where that is too many)."""
    if not most or len(rows) <= most:
        return rows
    classes = np.unique(labels[rows])
    fewest = min(FEWEST_OF_A_CLASS, most // (2 * len(classes)))
    kept = [rng.permutation(rows[labels[rows] == one])[:fewest] for one in classes]
    first = np.concatenate(kept)
    rest = rng.permutation(np.setdiff1d(rows, first))[: max(most - len(first), 0)]
    return np.sort(np.concatenate([first, rest])).astype(np.int64)


def _without_empty_columns(table: pa.Table) -> pa.Table:
    keep = [name for name in table.column_names if table.column(name).null_count < table.num_rows]
    return table.select([*keep, *(name for name in ("capture",) if name not in keep and name in table.column_names)])


def _identity(flows: Flows) -> tuple[str, ...]:
    """Which of the settings that show who it was would show anything."""
    table = flows.to_arrow()
    needs = {"use_names": ("server_name", "dns_query"), "use_ports": ("dst_port",), "use_addresses": ("src_ip",)}
    known = {name for name in table.column_names if table.column(name).null_count < table.num_rows}
    return tuple(setting for setting, names in needs.items() if known & set(names))


def _context(flows: Flows, features: FeatureSettings) -> str:
    """What flows have in common that belong together, as `features/context.py` chooses it."""
    if not features.context_s:
        return "nothing"
    if features.context_by == "service" and set(SERVICE) <= set(flows.column_names):
        return "the service (server, port and protocol)"
    known = [name for name in (*CLIENTS, "capture") if name in flows.column_names]
    return f"`{known[0]}` within {features.context_s:g} s" if known else "nothing"
