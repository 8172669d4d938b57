"""The result files of a study: one for each run, named by its configuration's hash, and all of them in one file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from .material import Facts, write_json

FORMAT = 1
STUDY, RESULTS, RUNS = "study.json", "results.json", "runs"
FAILED = ".failed.json"


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of one run, with what it was."""

    hash: str
    question: str
    data: str
    arm: str
    seed: int
    shots: int | None
    values: dict[str, Any]
    result: dict[str, Any]
    cost: dict[str, Any]

    def number(self, path: str) -> float:
        """A number by its dotted name, NaN where it is not there: `result.number("natural.macro_f1")`."""
        value: Any = self.result
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return float(value) if isinstance(value, int | float) else float("nan")


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything that a report is made from."""

    study: dict[str, Any]  # command, machine, scale, versions, sets left out, estimate
    facts: dict[str, Facts]
    results: tuple[Result, ...]
    failed: tuple[dict[str, Any], ...]

    def of(self, question: str, **wanted: Any) -> list[Result]:
        """Results of a question, of which every named field has this value (or is among these)."""
        return [
            one
            for one in self.results
            if one.question == question
            and all(
                getattr(one, name) in value if isinstance(value, list | tuple) else getattr(one, name) == value
                for name, value in wanted.items()
            )
        ]


class Shelf:
    """The folder of a study. Files appear whole; a run that has its file is not run again, one that failed is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._gathered: dict[str, dict[str, Any]] | None = None

    def has(self, hash_: str) -> bool:
        return self._path(hash_).is_file() or hash_ in self._in_one_file()

    def save(self, hash_: str, record: dict[str, Any]) -> None:
        self._path(hash_).parent.mkdir(parents=True, exist_ok=True)
        write_json(self._path(hash_), record)
        self._failure(hash_).unlink(missing_ok=True)

    def save_failure(self, hash_: str, record: dict[str, Any]) -> None:
        self._failure(hash_).parent.mkdir(parents=True, exist_ok=True)
        write_json(self._failure(hash_), record)

    def write_study(self, study: dict[str, Any], facts: Iterable[Facts]) -> None:
        """Facts of data sets that an earlier call used stay, so that a study can grow set by set."""
        self.folder.mkdir(parents=True, exist_ok=True)
        held = _read(self.folder / STUDY) or {"data": []}
        new = {one.name: asdict(one) for one in facts}
        values = {"format": FORMAT, **study, "data": list(({one["name"]: one for one in held["data"]} | new).values())}
        write_json(self.folder / STUDY, values)

    def gather(self, wanted: Sequence[str] | None = None) -> None:
        """All results into one file, in order of their hashes, for keeping beside the report."""
        records = self._records()
        chosen = sorted(records) if wanted is None else sorted(set(records) & set(wanted))
        lines = ",\n".join(json.dumps(records[one], ensure_ascii=False) for one in chosen)
        part = self.folder / f".{RESULTS}.part"
        part.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
        part.replace(self.folder / RESULTS)
        self._gathered = None

    def evidence(self, wanted: Sequence[str] | None = None) -> Evidence:
        """What is there now, of the wanted runs or of all."""
        study = _read(self.folder / STUDY)
        if study is None:
            raise InputError(
                f"studies: `{self.folder}` holds no study (no `{STUDY}`)", hint="name the OUT of `flowlore study`"
            )
        facts = [Facts.from_json(one) for one in study.pop("data")]
        records = {hash_: one for hash_, one in self._records().items() if _is_of(one, study, facts)}
        chosen = sorted(records) if wanted is None else [one for one in sorted(wanted) if one in records]
        failures = [_read(path) for path in sorted((self.folder / RUNS).glob(f"[!.]*{FAILED}"))]
        return Evidence(
            study=study,
            facts={one.name: one for one in facts},
            results=tuple(_result(records[one]) for one in chosen),
            failed=tuple(one for one in failures if one is not None and (wanted is None or one["hash"] in wanted)),
        )

    def costs(self, wanted: Callable[[str], bool] = lambda hash_: True) -> dict[str, float]:
        """CPU seconds that each finished run took."""
        return {name: float(one["cost"]["cpu_s"]) for name, one in self._records().items() if wanted(name)}

    def _records(self) -> dict[str, dict[str, Any]]:
        found = dict(self._in_one_file())
        for path in (self.folder / RUNS).glob("*.json"):
            record = None if path.name.startswith(".") or path.name.endswith(FAILED) else _read(path)
            if record is not None:
                found[record["hash"]] = record
        return found

    def _in_one_file(self) -> dict[str, dict[str, Any]]:
        if self._gathered is None:
            held = _read(self.folder / RESULTS) or []
            self._gathered = {one["hash"]: one for one in held}
        return self._gathered

    def _path(self, hash_: str) -> Path:
        return self.folder / RUNS / f"{hash_}.json"

    def _failure(self, hash_: str) -> Path:
        return self.folder / RUNS / f"{hash_}{FAILED}"


def _is_of(record: dict[str, Any], study: dict[str, Any], facts: Sequence[Facts]) -> bool:
    """Whether a result is of the data and the scale that the study has now, not of an earlier call's."""
    configuration = record["configuration"]
    checksums = {one.name: one.checksum for one in facts}
    is_of_scale = all(study["scale"].get(name) == value for name, value in configuration["scale"].items())
    return is_of_scale and checksums.get(configuration["data"]) == configuration["checksum"]


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(
            f"studies: `{path}` is damaged: {error}", hint="delete it: its runs are then made again"
        ) from error


def _result(record: dict[str, Any]) -> Result:
    configuration = record["configuration"]
    return Result(
        hash=record["hash"],
        **{name: configuration[name] for name in ("question", "data", "arm", "seed", "shots", "values")},
        result=record["result"],
        cost=record["cost"],
    )
