"""The catalogue of public data sets: what each is, where it comes from, what may be done with it, what it hides."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from ...errors import UnknownName
from ...registry import nearest_name_hint

KINDS = ("flows", "packets", "rates", "matrices")
WITH_FLOWS = ("flows", "packets")


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetFile:
    """A file of a data set, or several by a pattern with `*`, below the data folder."""

    path: str
    sha256: str | None = None  # of one file
    count: int | None = None  # how many files the pattern finds in the whole set
    digest: str | None = None  # of all files of the pattern: SHA-256 of the sorted lines `sha256  path`

    @property
    def is_pattern(self) -> bool:
        return "*" in self.path


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """One public data set."""

    name: str
    title: str
    what: str
    kind: str  # one of KINDS: only flows and packets become flow tables
    page: str  # the official one: where to get it
    licence: str
    weights: str  # `ship`: models trained on it may be given away; `study`: they may not
    citation: str
    files: tuple[DatasetFile, ...]
    source: str = ""  # the source that reads it; empty: by content
    map: str = ""  # its column map, for the source `tables`
    label: str = ""  # where its labels are
    traps: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)  # meanings of columns, beyond what the map says

    @property
    def has_flows(self) -> bool:
        return self.kind in WITH_FLOWS


@cache
def catalogue() -> dict[str, Dataset]:
    """Every data set by name, in alphabetical order."""
    found = {}
    for item in (files(__package__) / "catalogue").iterdir():
        if item.name.endswith(".toml"):
            for name, entry in tomllib.loads(item.read_text(encoding="utf-8")).items():
                parts = tuple(DatasetFile(**part) for part in entry.pop("files"))
                found[name] = Dataset(name=name, files=parts, **{**entry, "traps": tuple(entry.get("traps", ()))})
    return dict(sorted(found.items()))


def dataset(name: str) -> Dataset:
    """The data set of that name."""
    known = catalogue()
    if name not in known:
        raise UnknownName(
            f"datasets: no data set is called `{name}`",
            hint=nearest_name_hint(name, known) or f"known are {', '.join(known)}",
        )
    return known[name]
