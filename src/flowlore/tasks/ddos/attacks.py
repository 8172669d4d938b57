"""Attacks that somebody knows of: who was flooded, from when to when, with what; and the steps that they cover."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ...features.rates.settings import NS_PER_S
from ..told_rows import told_rows
from .signs import Signs

FIELDS = ("victim", "from", "to", "kind")
EARLIEST_NS = 315_532_800 * NS_PER_S  # 1980: what is earlier was given in seconds
LEAST_OVERLAP = 0.2  # of a step that an attack covers: less is neither attack nor quiet
QUIET, UNTOLD = 0, -1
Codes = npt.NDArray[np.int16]


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One victim. `times_usual` is the height of its plateau in units of the victim's own 99th percentile."""

    victim: str
    begin_ns: int
    end_ns: int
    kind: str
    source: str = ""  # the capture that it is made of
    times_usual: float = float("nan")
    ramp_s: float = 0.0


def read_attacks(path: str | Path) -> list[Attack]:
    """From `.csv` with victim, from, to, kind, or JSON lines of the same or of `episodes.jsonl` of a laboratory run.

    Times are ISO 8601, in UTC where they do not say, or nanoseconds since 1970. Episodes with several victims
    are an attack on each.
    """
    rows = told_rows(path, "detect", "attacks", FIELDS)
    found = [one for line, row in rows for one in _attacks_of(row, f"{path}:{line}")]
    if not found:
        raise InputError(f"detect: `{path}` names no attack", hint=f"a line for each, with {', '.join(FIELDS)}")
    return sorted(found, key=lambda one: (one.begin_ns, one.victim))


def codes_of(signs: Signs, attacks: Sequence[Attack], kinds: Sequence[str]) -> Codes:
    """[hosts, steps]: 0 is quiet, 1 … the place of the kind, -1 what must teach and examine nothing.

    An attack of a kind that is not among `kinds` is -1, and so are steps that it touches only.
    """
    codes = np.zeros((len(signs), signs.steps), np.int16)
    places = {name: place for place, name in enumerate(signs.names)}
    for attack in attacks:
        place = places.get(attack.victim)
        if place is None:
            continue
        first, last, overlap = steps_of(signs, attack)
        known = kinds.index(attack.kind) + 1 if attack.kind in kinds else UNTOLD
        for step in range(first, last):
            covered = overlap[step - first] >= LEAST_OVERLAP
            if covered or codes[place, step] == QUIET:
                codes[place, step] = known if covered else UNTOLD
    return codes


def steps_of(signs: Signs, attack: Attack) -> tuple[int, int, npt.NDArray[np.float64]]:
    """The first step that an attack touches, the one after its last, and how much it covers of each."""
    first = max((attack.begin_ns - signs.start_ns) // signs.step_ns, 0)
    last = min(-(-(attack.end_ns - signs.start_ns) // signs.step_ns), signs.steps)
    begins = signs.start_ns + signs.step_ns * np.arange(first, max(last, first), dtype=np.int64)
    covered = np.minimum(begins + signs.step_ns, attack.end_ns) - np.maximum(begins, attack.begin_ns)
    return int(first), int(max(last, first)), covered / signs.step_ns


def _attacks_of(row: Mapping[str, Any], place: str) -> Iterator[Attack]:
    victims = row.get("victims") or row.get("victim")
    hosts = [_host(one, place) for one in (victims if isinstance(victims, list | Mapping) else [victims])]
    kind = row.get("kind") or row.get("application")
    begin = _instant(row.get("from", row.get("from_ns")), place)
    end = _instant(row.get("to", row.get("to_ns")), place)
    if not kind:
        raise InputError(f"detect: the attack at {place} has no kind", hint=f"each needs {', '.join(FIELDS)}")
    if end <= begin:
        raise InputError(f"detect: the attack at {place} ends before it begins", hint="`to` is later than `from`")
    for host in hosts:
        yield Attack(
            victim=host,
            begin_ns=begin,
            end_ns=end,
            kind=str(kind),
            source=str(row.get("source") or ""),
            times_usual=_times_usual(row.get("times_usual"), place),
        )


def _times_usual(value: Any, place: str) -> float:
    try:
        return float(value or "nan")
    except (TypeError, ValueError) as error:
        raise InputError(
            f"detect: `times_usual` of the attack at {place} is no number: `{value}`", hint="a number, or leave it out"
        ) from error


def _host(victim: Any, place: str) -> str:
    """As rates write it; a name that is no address stays what it is."""
    if not victim or not isinstance(victim, str):
        raise InputError(f"detect: the attack at {place} has no victim", hint=f"each needs {', '.join(FIELDS)}")
    try:
        address = ipaddress.ip_address(str(victim))
    except ValueError:
        return str(victim)
    return str(getattr(address, "ipv4_mapped", None) or address)


def _instant(value: Any, place: str) -> int:
    """Nanoseconds since 1970."""
    hint = "ISO 8601 (2026-05-01T12:00:00Z), or nanoseconds since 1970"
    text = "" if isinstance(value, bool) else str(value)
    try:
        found = int(text) if text.isdecimal() else _nanoseconds(datetime.fromisoformat(text))
    except ValueError as error:
        raise InputError(f"detect: `{value}` at {place} is no time", hint=hint) from error
    if not EARLIEST_NS <= found <= np.iinfo(np.int64).max:
        raise InputError(f"detect: `{value}` at {place} is no time between 1980 and 2262", hint=hint)
    return found


def _nanoseconds(time: datetime) -> int:
    since = (time if time.tzinfo else time.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(microseconds=1) * 1_000
