"""Bundles by name: your own in the cache folder, then those that ship with the package."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..errors import BundleError, FlowloreError
from ..registry import nearest_name_hint
from .bundle import MANIFEST, read_manifest

PACKAGED = Path(__file__).resolve().parent.parent / "data" / "bundles"


def bundle_folders() -> list[Path]:
    """Folders that are searched for a name, in order: `FLOWLORE_CACHE_DIR/bundles`, then the package's."""
    cache = Path(os.environ.get("FLOWLORE_CACHE_DIR") or Path.home() / ".cache" / "flowlore")
    return [cache / "bundles", PACKAGED]


def find_bundle(name_or_path: str | Path, *, maker: str = "pretrain autoencoder FLOWS") -> Path:
    """The folder of a bundle: a path that is there, or a name among the known ones.

    `maker` is the verb that makes what is looked for, which the error names where nothing has such a name.
    """
    path = Path(name_or_path)
    if path.exists():
        return path
    name = str(name_or_path)
    if len(path.parts) == 1:
        for folder in bundle_folders():
            if (folder / name / MANIFEST).is_file():
                return folder / name
    known = [item.name for item in _bundles()]
    listed = f" (known: {', '.join(known)})" if known else ""
    raise BundleError(
        f"bundle: there is no folder and no bundle called `{name}`{listed}",
        hint=nearest_name_hint(name, known) or f"`flowlore {maker} -o BUNDLE` makes one",
    )


def list_bundles() -> list[dict[str, Any]]:
    """Every bundle that a name finds, with what it says of itself; one that is damaged says why."""
    rows = []
    for path in _bundles():
        row: dict[str, Any] = {"name": path.name, "path": str(path), "packaged": path.parent == PACKAGED}
        try:
            manifest = read_manifest(path)
        except FlowloreError as error:
            rows.append(row | {"problem": error.problem})
            continue
        fields = ("model", "version", "labels", "needs", "data", "metrics", "config_hash")
        row |= {key: manifest[key] for key in fields}
        rows.append(row | {"bytes": sum(file.stat().st_size for file in path.iterdir() if file.is_file())})
    return rows


def _bundles() -> list[Path]:
    """By name; your own hides one of the package of the same name."""
    found: dict[str, Path] = {}
    for folder in reversed(bundle_folders()):
        if folder.is_dir():
            found |= {path.name: path for path in folder.iterdir() if (path / MANIFEST).is_file()}
    return [found[name] for name in sorted(found) if not name.startswith(".")]
