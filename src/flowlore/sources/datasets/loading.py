"""A data set's name → its files on this machine, checked, and the source that reads them."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...errors import InputError
from ..inputs import gather_inputs
from ..source import Source
from .catalogue import Dataset, DatasetFile, dataset
from .settings import DatasetSettings

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class LoadedDataset:
    """A data set that is there: its files in sorted order."""

    dataset: Dataset
    paths: tuple[Path, ...]

    def open(self, settings: Any = None) -> Source:
        """The source that reads its files into the flow table. `settings` are those of all sources, or none."""
        from ..settings import SourceSettings

        settings = SourceSettings() if settings is None else settings
        if not self.dataset.has_flows:
            raise InputError(
                f"datasets: `{self.dataset.name}` holds {self.dataset.kind}, not flows: {self.dataset.what}",
                hint=f"its files are {', '.join(str(path) for path in self.paths[:3])}",
            )
        inputs = gather_inputs(list(self.paths))
        if self.dataset.source == "tables":
            from ..records.settings import TablesSettings
            from ..records.tables import TablesSource

            own = TablesSettings(map=self.dataset.map, label_source=self.dataset.name)
            return TablesSource(inputs, replace(settings, tables=own))
        if not self.dataset.source:
            raise InputError(
                f"datasets: no source reads all of `{self.dataset.name}` at once: {self.dataset.what}",
                hint="give its files to `flowlore.read`, which recognises each by content",
            )
        from .. import SOURCES

        source: Source = SOURCES.load(self.dataset.source)(inputs, settings)
        return source


def load_dataset(
    name: str, folder: str | os.PathLike[str] | None = None, settings: DatasetSettings | None = None
) -> LoadedDataset:
    """The data set's files in `folder`, else in the setting's, else in `FLOWLORE_DATA`, else in `data`; or a mirror's.

    A file that is absent or has another checksum is an error that says where to put the right one.
    """
    settings = settings or DatasetSettings()
    found = dataset(name)
    root = Path(folder or settings.folder or os.environ.get("FLOWLORE_DATA") or "data")
    paths: list[Path] = []
    for item in found.files:
        here = _files_here(root, item)
        if not here and settings.mirror and not item.is_pattern:
            here = [_fetched(settings.mirror, item)]
        if not here:
            raise _absent(found, item, root)
        if item.count is not None and len(here) != item.count:
            raise InputError(
                f"datasets: `{name}` has {item.count} files `{item.path}`, but {len(here)} are in `{root}`",
                hint=f"get the whole set from {found.page}",
            )
        if settings.verify:
            _verify(found, item, here, root)
        paths += here
    return LoadedDataset(found, tuple(paths))


def is_present(
    name: str, folder: str | os.PathLike[str] | None = None, settings: DatasetSettings | None = None
) -> bool:
    """Whether all of a data set's files are there, without checking them."""
    settings = settings or DatasetSettings()
    root = Path(folder or settings.folder or os.environ.get("FLOWLORE_DATA") or "data")
    return all(_files_here(root, item) for item in dataset(name).files)


def digest_of(paths: Sequence[Path], base: Path) -> str:
    """SHA-256 of the sorted lines `sha256  path`, paths below `base`."""
    lines = sorted((path.relative_to(base).as_posix(), _sha256(path)) for path in paths)
    return hashlib.sha256("".join(f"{sha}  {name}\n" for name, sha in lines).encode()).hexdigest()


def _files_here(root: Path, item: DatasetFile) -> list[Path]:
    """The files below the data folder, or directly in the folder that was given."""
    if item.is_pattern:
        tail = item.path.rpartition("/")[2]
        found = [path for path in root.glob(item.path) if path.is_file()]
        return sorted(found or [path for path in root.glob(tail) if path.is_file() and root.name in item.path])
    for path in (root / item.path, root / Path(item.path).name):
        if path.is_file():
            return [path]
    return []


def _verify(found: Dataset, item: DatasetFile, paths: Sequence[Path], root: Path) -> None:
    if item.sha256 is not None and (given := _sha256(paths[0])) != item.sha256:
        raise _changed(found, str(paths[0]), item.sha256, given)
    if item.digest is not None:
        base = root / item.path.partition("*")[0].rpartition("/")[0]
        base = base if paths[0].is_relative_to(base) else paths[0].parent
        if (given := digest_of(paths, base)) != item.digest:
            raise _changed(found, f"{root}/{item.path}", item.digest, given)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _fetched(mirror: str, item: DatasetFile) -> Path:
    """The file from the mirror, kept in the cache folder; a half of it never has its name."""
    import fsspec

    cache = Path(os.environ.get("FLOWLORE_CACHE_DIR") or Path.home() / ".cache" / "flowlore") / "datasets"
    path = cache / item.path
    if path.is_file():
        return path
    address = f"{mirror.rstrip('/')}/{item.path}"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with fsspec.open(address, "rb") as stream, part.open("wb") as copy:
            while chunk := stream.read(CHUNK_BYTES):
                copy.write(chunk)
        part.replace(path)
    except (OSError, ImportError, ValueError) as error:
        raise InputError(f"datasets: `{address}` cannot be fetched: {error}", hint="see `datasets.mirror`") from None
    finally:
        part.unlink(missing_ok=True)
    return path


def _absent(found: Dataset, item: DatasetFile, root: Path) -> InputError:
    return InputError(
        f"datasets: `{found.name}` is not here: `{root / item.path}` does not exist",
        hint=f"get it from {found.page} (licence: {found.licence}) and put it there, or set `FLOWLORE_DATA` to the "
        "folder that holds it",
    )


def _changed(found: Dataset, where: str, wanted: str, given: str) -> InputError:
    return InputError(
        f"datasets: `{where}` is not the file of the catalogue: its SHA-256 is {given[:16]}…, not {wanted[:16]}…",
        hint=f"get it again from {found.page}, or read it as it is with `--set datasets.verify=false`",
    )
