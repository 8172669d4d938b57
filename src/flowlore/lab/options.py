"""What the options of roles may be. A role names those that it reads; a wrong one is found before anything starts."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from ..errors import SettingError
from ..registry import nearest_name_hint
from .scenario import HOST_SIGN, Option

_MOST = 1_000_000
_LONGEST_S = 7 * 86_400.0


@dataclass(frozen=True, kw_only=True)
class Range:
    """A number: whole or any, between two."""

    low: float
    high: float
    whole: bool = True

    def refuses(self, value: Option) -> str | None:
        """What is wanted instead, where this is not it."""
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and self.low <= float(value) <= self.high and not (self.whole and float(value) % 1):
            return None
        return f"a {'whole ' if self.whole else ''}number from {self.low:g} to {self.high:,.15g}"


_COUNT = Range(low=1, high=_MOST)
_PORT = Range(low=1, high=65_535)
_SHARE = Range(low=0, high=1, whole=False)
_SECONDS = Range(low=0, high=_LONGEST_S, whole=False)
TARGET = "target"
RANGES = {
    "ipv6_share": _SHARE,
    "jitter": _SHARE,
    "others": Range(low=0, high=1000),
    "pause_factor": Range(low=0, high=1000, whole=False),
    "pause_s": _SECONDS,
    "period_s": Range(low=0.01, high=_LONGEST_S, whole=False),
    "piece_bytes": Range(low=1, high=100_000_000),
    "port": _PORT,
    "port_asked": _PORT,
    "ramp_s": _SECONDS,
    "segment_s": Range(low=0.01, high=600, whole=False),
    "source_port": _PORT,
}  # of all others: how many of something in one act


def check_options(options: Mapping[str, Option], roles: Iterable[Any], where: str) -> None:
    """Every option is read by one of the roles, and can be what it is. A role that names none may read any."""
    roles = list(roles)
    read = [getattr(role, "options", None) for role in roles]
    known = None if None in read else sorted({name for names in read for name in names or ()})
    for name, value in options.items():
        if known is not None and name not in known:
            who = " and ".join(f"`{role.name}`" for role in roles) or "a host without services"
            raise SettingError(
                f"lab: {where}: {who} {'has' if len(roles) < 2 else 'have'} no option `{name}`",
                hint=nearest_name_hint(name, known) or f"known here: {', '.join(known) or 'none'}",
            )
        if name == TARGET:
            wanted = None if isinstance(value, str) and value.strip() else f'for example "{HOST_SIGN}NAME"'
        elif name in RANGES or known is not None:
            wanted = RANGES.get(name, _COUNT).refuses(value)
        else:
            wanted = None
        if wanted is not None:
            raise SettingError(f"lab: {where}: option `{name}` is {value!r}", hint=f"write {wanted}")


def check_target(value: Option, addresses: Collection[str], where: str) -> None:
    """Addresses that are written out are those of hosts of the run."""
    if str(value).startswith(HOST_SIGN):
        return
    for word in str(value).split():
        try:
            is_ours = str(ip_address(word)) in addresses
        except ValueError:
            raise SettingError(
                f"lab: {where}: option `{TARGET}`: `{word}` is no address", hint=f"`{HOST_SIGN}NAME` means a host"
            ) from None
        if not is_ours:
            raise SettingError(
                f"lab: {where}: option `{TARGET}`: {word} is nobody's in this scenario",
                hint=f"only hosts of the run are contacted; `{HOST_SIGN}NAME` means one",
            )
