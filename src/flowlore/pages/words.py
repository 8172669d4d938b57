"""Quantities as people read them: 1.4 GB, 3 min 20 s, 12,345."""

from datetime import UTC, datetime

NS_PER_S = 1_000_000_000


def count_words(count: int) -> str:
    """
    >>> count_words(1234567)
    '1,234,567'
    """
    return f"{count:,}"


def short_count_words(count: float) -> str:
    """For axes, where room is scarce.

    >>> [short_count_words(count) for count in (0, 950, 1_500, 2_000_000)]
    ['0', '950', '1.5 k', '2 M']
    """
    return _scaled(count, ("", "k", "M", "G", "T", "P"), 1000)


def bytes_words(size_bytes: float) -> str:
    """
    >>> [bytes_words(size) for size in (0, 950, 1_500, 2_000_000_000)]
    ['0 B', '950 B', '1.5 kB', '2 GB']
    """
    return _scaled(size_bytes, ("B", "kB", "MB", "GB", "TB", "PB", "EB"), 1000)


def duration_words(duration_ns: float) -> str:
    """
    >>> [duration_words(ns) for ns in (0, 1_500, 20_000_000, 3_250_000_000, 200 * 10**9, 90_061 * 10**9)]
    ['0 s', '1.5 µs', '20 ms', '3.25 s', '3 min 20 s', '1 d 1 h']
    """
    seconds = duration_ns / NS_PER_S
    if seconds == 0:
        return "0 s"
    if seconds < 1:
        for unit, size in (("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9)):
            if seconds >= size:
                return f"{seconds / size:.3g} {unit}"
    if seconds < 60:
        return f"{seconds:.3g} s"
    parts = []
    left = round(seconds)
    for unit, size_s in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        if left >= size_s:
            parts.append(f"{left // size_s} {unit}")
            left %= size_s
        elif parts:
            break
    return " ".join(parts[:2])


def time_words(time_ns: int) -> str:
    """A moment in UTC to the millisecond.

    >>> time_words(1_600_000_000_123_456_789)
    '2020-09-13 12:26:40.123 UTC'
    """
    try:
        moment = datetime.fromtimestamp(time_ns // NS_PER_S, UTC)
    except (OverflowError, ValueError, OSError):
        return f"{time_ns} ns since 1970"
    return f"{moment:%Y-%m-%d %H:%M:%S}.{time_ns % NS_PER_S // 1_000_000:03d} UTC"


def _scaled(value: float, units: tuple[str, ...], step: int) -> str:
    place = 0
    while abs(value) >= step * 0.9995 and place < len(units) - 1:
        value /= step
        place += 1
    return f"{value:.3g} {units[place]}".rstrip()
