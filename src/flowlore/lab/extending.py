"""A scenario that is another one with changes: `extends` names it, tables are laid over its own."""

from collections.abc import Mapping
from typing import Any

from ..errors import SettingError
from ..registry import nearest_name_hint

CHANGES = "changes"
FACTOR = "every_factor"
MOST_FACTOR = 1_000_000


def laid_over(base: Mapping[str, Any], values: Mapping[str, Any], place: str) -> dict[str, Any]:
    """`values` on top of `base`: tables key by key, whatever else whole.

    `[[activities]]` are added to those of the base. `[changes.ACTIVITY]` sets what it names in every line of the base's
    timetable with that activity, `activity` itself among them; `every_factor` multiplies `every_s`.
    """
    changes = values.get(CHANGES, {})
    own = {key: one for key, one in values.items() if key not in (CHANGES, "activities")}
    merged = _merged(base, own)
    lines = [dict(line) for line in base.get("activities", [])]
    known = sorted({str(line.get("activity")) for line in lines})
    if not isinstance(changes, Mapping):
        raise SettingError(f"lab: {place}: `{CHANGES}` must be a table", hint=f"write `[{CHANGES}.ACTIVITY]`")
    for activity, change in changes.items():
        factor = change.get(FACTOR, 1) if isinstance(change, Mapping) else 1
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 < factor <= MOST_FACTOR:
            raise SettingError(
                f"lab: {place}: [{CHANGES}.{activity}]: `{FACTOR}` is {factor!r}",
                hint=f"write a number above 0, {MOST_FACTOR:,} at most",
            )
        if activity not in known or not isinstance(change, Mapping):
            raise SettingError(
                f"lab: {place}: [{CHANGES}.{activity}]: nobody does that in `{values.get('extends')}`",
                hint=nearest_name_hint(activity, known) or f"known: {', '.join(known)}",
            )
    merged["activities"] = [_changed(line, changes.get(line.get("activity"), {})) for line in lines]
    merged["activities"] += values.get("activities", [])
    return merged


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, one in over.items():
        before = result.get(key)
        result[key] = _merged(before, one) if isinstance(before, Mapping) and isinstance(one, Mapping) else one
    return result


def _changed(line: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    rest = {key: one for key, one in change.items() if key != FACTOR}
    changed = _merged(line, rest)
    if FACTOR in change:
        changed["every_s"] = changed.get("every_s", 10.0) * change[FACTOR]
    return changed
