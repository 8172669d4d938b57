"""A meter's state on disk: what is needed to go on as if nothing had happened. Arrays only, never executed."""

import json
import struct
import zipfile
import zlib
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ....errors import InputError, SettingError
from ....flows.place import output_errors
from ..headers.fragments import FRAGMENT
from ..layout import Records
from ..settings import MeterSettings
from .layout import (
    ASSEMBLY_BYTES,
    ASSEMBLY_NOTES,
    ASSEMBLY_USED,
    FREE_COUNT,
    NAMES_BLOCK,
    NAMES_USED,
    SERIES_BLOCK,
    SERIES_USED,
    SLOTS_USED,
    Tables,
)
from .meter import Meter

FORMAT_VERSION = 2
_OF_DAMAGE = (  # what an archive of arrays may raise where its bytes are not as they were written
    *(ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, RuntimeError, TypeError, ValueError),
    *(struct.error, zipfile.BadZipFile, zlib.error),
)


@dataclass(frozen=True, slots=True)
class SavedState:
    meter: Meter
    fragments: Records


def save_state(path: Path, meter: Meter, fragments: Records) -> None:
    """Write everything that `meter` still holds, under a temporary name first. No flow of it waits to be drained."""
    about = {
        "format_version": FORMAT_VERSION,
        "settings": asdict(meter.settings),
        "shards": meter.shards,
        "clock_ns": meter.clock_ns,
        "captures": meter.captures,
        "source": meter.source,
    }
    arrays: dict[str, Any] = {
        "about": np.frombuffer(json.dumps(about).encode(), np.uint8),
        "fragments": fragments.view(np.uint8),
    }
    for shard, tables in enumerate(meter.tables):
        for name, array in _used_parts(tables, meter.settings.payload_bytes).items():
            arrays[f"{shard}.{name}"] = array.view(np.uint8)
    for name, array in meter.lookups._asdict().items():
        arrays[f"lookups.{name}"] = array.view(np.uint8)
    temporary = path.with_name(f".{path.name}.part")
    try:
        with output_errors(str(path)):
            with temporary.open("wb") as file:
                np.savez(file, **arrays)
            temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def load_state(path: Path, settings: MeterSettings, *, beside: bool = False) -> SavedState:
    """A meter that goes on where the saved one stopped. Its settings must be the same."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            about = json.loads(arrays["about"].tobytes())
            if about["format_version"] != FORMAT_VERSION:
                raise InputError(
                    f"meter: the state in `{path}` has format {about['format_version']}, not {FORMAT_VERSION}",
                    hint="another release wrote it: go on with that one, or begin anew with another state file",
                )
            _check_settings(path, about["settings"], asdict(settings))
            meter = Meter(settings, source=about["source"], shards=about["shards"], beside=beside)
            meter.clock_ns = about["clock_ns"]
            meter.captures = about["captures"]
            for shard, tables in enumerate(meter.tables):
                meter.tables[shard] = _restored(tables, arrays, shard)
            for name, array in meter.lookups._asdict().items():
                array.view(np.uint8)[:] = arrays[f"lookups.{name}"]
            fragments = arrays["fragments"].copy().view(FRAGMENT)
    except OSError as error:
        raise InputError(
            f"meter: the state `{path}` cannot be read: {(error.strerror or str(error)).lower()}",
            hint="name a file that `--state` wrote, or a new one",
        ) from None
    except _OF_DAMAGE:
        raise InputError(
            f"meter: `{path}` is not a saved meter state, or a damaged one",
            hint="name a file that `--state` wrote, or a new one",
        ) from None
    return SavedState(meter, fragments)


def _used_parts(tables: Tables, payload_bytes: int) -> dict[str, Any]:
    """Each table as far as it was ever used."""
    numbers = tables.numbers
    slots, series, names = int(numbers[SLOTS_USED]), int(numbers[SERIES_USED]), int(numbers[NAMES_USED])
    assemblies = int(numbers[ASSEMBLY_USED])
    return {
        "slot_of_key": tables.slot_of_key,
        "flows": tables.flows[:slots],
        "sides": tables.sides[: 2 * slots],
        "open_slots": tables.open_slots[: slots // 64 + 1],
        "free_slots": tables.free_slots[: int(numbers[FREE_COUNT])],
        "series": tables.series[: series * SERIES_BLOCK],
        "series_next": tables.series_next[:series],
        "names": tables.names[: names * NAMES_BLOCK],
        "names_next": tables.names_next[:names],
        "assembly": tables.assembly[: assemblies * ASSEMBLY_BYTES],
        "assembly_notes": tables.assembly_notes[: assemblies * ASSEMBLY_NOTES],
        "assembly_next": tables.assembly_next[:assemblies],
        "payload": tables.payload[: 2 * slots * payload_bytes],
        "numbers": numbers,
    }


def _restored(tables: Tables, arrays: Any, shard: int) -> Tables:
    saved = {name: arrays[f"{shard}.{name}"] for name in tables._fields if f"{shard}.{name}" in arrays}
    index = saved.pop("slot_of_key").view(np.uint64)
    for name, array in saved.items():
        target = getattr(tables, name)
        values = array.view(target.dtype)
        target[: len(values)] = values
    return tables._replace(slot_of_key=index)


def _check_settings(path: Path, saved: dict[str, Any], asked: dict[str, Any]) -> None:
    for name, value in saved.items():
        if asked.get(name) != value:
            raise SettingError(
                f"meter: the state in `{path}` was made with `meter.{name}` = {value}, not {asked.get(name)}",
                hint=f"`--set meter.{name}={value}`, or begin anew with another state file",
            )
