"""A bundle: all that was learnt, as a folder of plain files. Data, never code: nothing in it is executed.

bundle.json          format, version, settings and their hash, labels, data card, metrics, size and SHA-256 of the rest
weights.safetensors  every array of the encoder, the head, and the labelled flows it learnt from
vocabulary.parquet   the labels by number, and what else was counted in training
card.md              the same for people
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import BundleError, FlowloreError
from ..flows.place import output_errors, refuse_existing
from .bundle_card import card

FORMAT = 1
MANIFEST, WEIGHTS, VOCABULARY, CARD = "bundle.json", "weights.safetensors", "vocabulary.parquet", "card.md"
FILES = (WEIGHTS, VOCABULARY, CARD)
MOST_MANIFEST_BYTES = 16 << 20
CONFIG_HASH_LETTERS = 12
Arrays = dict[str, npt.NDArray[Any]]
_REMAKE = "make it again as it was made (`flowlore pretrain`, `fit` or `imitate`), or take a fresh copy"


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """What is in a bundle, as plain values. `tasks/predictor.py` brings it to life.

    `config` holds the resolved settings by stage (`model`, `features`, `head` …), `states` the JSON of each part,
    `arrays` the arrays of each part by name.
    """

    model: str
    config: Mapping[str, Any]
    needs: tuple[str, ...]
    states: Mapping[str, Any]
    arrays: Mapping[str, Arrays]
    labels: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    version: str = ""  # of the package that made it; filled in on saving

    @property
    def config_hash(self) -> str:
        text = json.dumps(plain(self.config), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:CONFIG_HASH_LETTERS]

    @property
    def has_head(self) -> bool:
        """Whether it can name classes, not only embed."""
        return "head" in self.states


def require_place(path: str | Path, *, overwrite: bool = False) -> None:
    """Before hours of learning, not after them: whatever would keep a bundle from being saved there is an error."""
    target = Path(path)
    _refuse_taken(target, overwrite)
    probe = _temporary(target)
    with output_errors(str(path)):
        probe.mkdir()
        probe.rmdir()


def save_bundle(bundle: Bundle, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a folder under a temporary name and rename it when it is whole."""
    target = Path(path)
    _refuse_taken(target, overwrite)
    making = _temporary(target)
    try:
        with output_errors(str(path)):
            making.mkdir()
            _write_files(bundle, making, target.name)
            _rename(making, target)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return target


def _refuse_taken(target: Path, overwrite: bool) -> None:
    import fsspec

    if not overwrite:
        refuse_existing(fsspec.filesystem("file"), str(target), str(target))
    elif target.exists() and not (target / MANIFEST).is_file():
        raise BundleError(
            f"bundle: `{target}` is there and is not a bundle, so it is not replaced", hint="choose another name"
        )


def _temporary(target: Path) -> Path:
    return target.parent / f".{target.name}.{uuid.uuid4().hex[:8]}.part"


def load_bundle(path: str | Path) -> Bundle:
    """Read and check a folder: every file is there, whole, of a format that this version knows."""
    folder = Path(path)
    manifest = read_manifest(folder)
    for name in FILES:
        _check_file(folder, name, manifest["files"])
    arrays = _read_arrays(folder, manifest)
    bundle = Bundle(
        model=manifest["model"],
        config=manifest["config"],
        needs=tuple(manifest["needs"]),
        states=manifest["states"],
        arrays=arrays,
        labels=tuple(manifest["labels"]),
        data=manifest["data"],
        metrics=manifest["metrics"],
        name=folder.resolve().name,
        version=manifest["version"],
    )
    if bundle.config_hash != manifest["config_hash"]:
        raise BundleError(
            f"bundle: the settings in `{folder / MANIFEST}` do not have the hash that stands there "
            f"({bundle.config_hash} is not {manifest['config_hash']})",
            hint=_REMAKE,
        )
    return bundle


def read_manifest(folder: Path) -> dict[str, Any]:
    """`bundle.json`, with every field there and of its kind."""
    file = folder / MANIFEST
    if not folder.is_dir():
        reason = "is a file; a bundle is a folder" if folder.exists() else "does not exist"
        raise BundleError(f"bundle: `{folder}` {reason}", hint="`flowlore bundles` lists the bundles that are here")
    if not file.is_file():
        raise BundleError(
            f"bundle: `{folder}` is not a bundle: it has no `{MANIFEST}`", hint="`flowlore bundles` lists what is one"
        )
    try:
        if file.stat().st_size > MOST_MANIFEST_BYTES:
            raise ValueError(f"it is larger than {MOST_MANIFEST_BYTES >> 20} MiB")
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"bundle: `{file}` is damaged: {error}", hint=_REMAKE) from error
    format_ = manifest.get("format") if isinstance(manifest, dict) else None
    if not isinstance(format_, int) or isinstance(format_, bool) or format_ < 1:
        raise BundleError(f"bundle: `{file}` is not Flowlore's: it names no format", hint=_REMAKE)
    if format_ > FORMAT:
        raise BundleError(
            f"bundle: `{folder}` has format {format_}, and this version knows formats up to {FORMAT} "
            f"(it was made with flowlore {manifest.get('version', '?')})",
            hint="`pip install --upgrade flowlore`",
        )
    for name, kind in _FIELDS.items():
        if not isinstance(manifest.get(name), kind):
            raise BundleError(f"bundle: `{name}` in `{file}` is missing or of the wrong kind", hint=_REMAKE)
    for name in ("needs", "labels"):
        if not all(isinstance(one, str) for one in manifest[name]):
            raise BundleError(f"bundle: `{name}` in `{file}` must hold text only", hint=_REMAKE)
    found: dict[str, Any] = manifest
    return found


def plain(value: Any) -> Any:
    """Only what JSON holds: NumPy numbers as numbers, tuples as lists, NaN and infinities as null."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


_FIELDS: dict[str, type] = {
    "version": str,
    "model": str,
    "config": dict,
    "config_hash": str,
    "needs": list,
    "states": dict,
    "labels": list,
    "data": dict,
    "metrics": dict,
    "files": dict,
}


def _write_files(bundle: Bundle, folder: Path, name: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from safetensors.numpy import save

    from .. import __version__

    weights = {
        f"{part}.{key}": np.ascontiguousarray(one) for part, held in bundle.arrays.items() for key, one in held.items()
    }
    (folder / WEIGHTS).write_bytes(save(weights))  # `save_file` would keep it from everybody but its maker
    places = list(range(len(bundle.labels)))
    vocabulary = pa.table(
        {
            "kind": pa.array(["label"] * len(places), pa.string()),
            "place": pa.array(places, pa.int32()),
            "token": pa.array(list(bundle.labels), pa.string()),
        }
    )
    pq.write_table(vocabulary, folder / VOCABULARY)
    manifest = {
        "format": FORMAT,
        "version": __version__,
        "model": bundle.model,
        "config": plain(bundle.config),
        "config_hash": bundle.config_hash,
        "needs": list(bundle.needs),
        "states": plain(bundle.states),
        "labels": list(bundle.labels),
        "data": plain(bundle.data),
        "metrics": plain(bundle.metrics),
    }
    (folder / CARD).write_text(card(manifest, name), encoding="utf-8")
    manifest["files"] = {file: _fingerprint(folder / file) for file in FILES}
    text = json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _rename(making: Path, target: Path) -> None:
    if not target.exists():
        making.rename(target)
        return
    old = target.parent / f".{target.name}.{uuid.uuid4().hex[:8]}.old"
    target.rename(old)
    try:
        making.rename(target)
    except OSError:
        with suppress(OSError):
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _check_file(folder: Path, name: str, known: Mapping[str, Any]) -> None:
    file = folder / name
    if not file.is_file():
        raise BundleError(f"bundle: `{folder}` lacks `{name}`", hint=_REMAKE)
    wanted = known.get(name)
    if not isinstance(wanted, dict) or wanted != _fingerprint(file):
        raise BundleError(
            f"bundle: `{file}` is damaged or was changed: its size or SHA-256 is not what `{MANIFEST}` says",
            hint=_REMAKE,
        )


def _fingerprint(file: Path) -> dict[str, Any]:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"bytes": file.stat().st_size, "sha256": digest}


def _read_arrays(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Arrays]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    file = folder / WEIGHTS
    try:
        weights = load_file(file)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise BundleError(f"bundle: `{file}` is damaged: {error}", hint=_REMAKE) from error
    arrays: dict[str, Arrays] = {part: {} for part in manifest["states"]}
    for name, array in weights.items():
        part, dot, key = name.partition(".")
        if not dot or part not in arrays:
            raise BundleError(f"bundle: `{file}` holds `{name}`, which `{MANIFEST}` does not know", hint=_REMAKE)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise BundleError(f"bundle: `{name}` in `{file}` holds NaN or infinities", hint=_REMAKE)
        arrays[part][key] = array
    return arrays


def damaged(folder: str, part: str, error: Exception) -> FlowloreError:
    """What a part says that cannot be made from its state."""
    return BundleError(f"bundle: the {part} of `{folder}` cannot be made from what is saved: {error}", hint=_REMAKE)
