"""How flows become rates: how long is waited for late ones, how much is remembered, and how exactly is counted."""

import re
from dataclasses import dataclass

from ...errors import SettingError
from ...settings import Settings, setting

NS_PER_S = 1_000_000_000
UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
COMMON_STEPS = ("10s", "1m", "5m", "1h")


@dataclass(frozen=True, kw_only=True)
class RateSettings(Settings):
    """Time series of entities, made of flows."""

    lateness_s: float | None = setting(
        None,
        "seconds after which a step is closed, by the time of the newest flow; none keeps every step open to the end, "
        "as far as `most_cells` allows",
        minimum=0,
    )
    furthest_ahead_s: float = setting(
        3600.0,
        "with `lateness_s`: flows further than this ahead of all others are left out, until a hundred in a row are",
        minimum=1,
    )
    gap_after_s: float = setting(
        300.0, "seconds without a flow of any entity that are a gap in the record; less is a quiet moment", minimum=0
    )
    longest_flow_s: float = setting(
        86_400.0, "seconds over which a flow is spread at most; of a longer one they are the last", minimum=1
    )
    most_cells: int = setting(
        2_000_000,
        "steps of entities held in memory (about 0.5 kB each); beyond it the oldest steps are closed, and of a single "
        "step the rarest entities are put together",
        minimum=1 << 16,
    )
    most_pairs: int = setting(
        8_000_000, "peers and ports of open steps held one by one (about 40 B each)", minimum=1 << 16
    )
    exact_distinct: int = setting(
        256, "peers or ports of an entity and step that are counted exactly; more are estimated (2.3 %)", minimum=1
    )
    remembered_pairs: int = setting(
        8_000_000, "peers of entities remembered from closed steps, by which new ones are told", minimum=1 << 10
    )
    ipv4_prefix_bits: int = setting(24, "length of an IPv4 prefix, where entities are prefixes", minimum=0, maximum=32)
    ipv6_prefix_bits: int = setting(48, "length of an IPv6 prefix, where entities are prefixes", minimum=0, maximum=128)


def step_ns(words: str) -> int:
    """Nanoseconds of a step in words. It divides a day or is days, so that steps begin at midnight UTC.

    >>> step_ns("5m")
    300000000000
    """
    found = re.fullmatch(r"(\d{1,6})([smhd])", words.strip())
    seconds = int(found[1]) * UNITS_S[found[2]] if found else 0
    if not seconds or (86_400 % seconds and seconds % 86_400):
        raise SettingError(
            f"rates: `{words}` is not a step that divides a day",
            hint=f"for example {', '.join(f'`{step}`' for step in COMMON_STEPS)} or `1d`",
        )
    return seconds * NS_PER_S


def step_words(step: int) -> str:
    """A step of nanoseconds in the largest unit that divides it.

    >>> step_words(300_000_000_000)
    '5m'
    """
    seconds = step // NS_PER_S
    unit = max((unit for unit, size in UNITS_S.items() if seconds % size == 0), key=lambda unit: UNITS_S[unit])
    return f"{seconds // UNITS_S[unit]}{unit}"
