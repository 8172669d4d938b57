"""Columns of text (or numbers) from logs → columns of the flow table. What cannot be read becomes null."""

from collections.abc import Sequence
from functools import cache
from typing import Literal
from zoneinfo import ZoneInfo

import polars as pl
import pyarrow as pa

from ...errors import SettingError
from ...flows.addresses import parse_addresses, parse_macs

TimeUnit = Literal["s", "ms", "us", "ns"]

NS_IN: dict[str, int] = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
LARGEST_NS = 2**63 - 1

ISO_FORMATS = (
    "%Y-%m-%dT%H:%M:%S%.f%z",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
)

PROTOCOLS: dict[str, int] = {
    "hopopt": 0, "icmp": 1, "igmp": 2, "ggp": 3, "ipip": 4, "ipnip": 4, "ipv4": 4, "st2": 5, "tcp": 6, "cbt": 7,
    "egp": 8, "igp": 9, "bbn-rcc": 10, "nvp": 11, "pup": 12, "argus": 13, "emcon": 14, "xnet": 15, "chaos": 16,
    "udp": 17, "mux": 18, "dcn": 19, "hmp": 20, "prm": 21, "xns-idp": 22, "trunk-1": 23, "trunk-2": 24,
    "leaf-1": 25, "leaf-2": 26, "rdp": 27, "irtp": 28, "iso-tp4": 29, "netblt": 30, "mfe-nsp": 31, "merit-inp": 32,
    "dccp": 33, "3pc": 34, "idpr": 35, "xtp": 36, "ddp": 37, "idpr-cmtp": 38, "tp++": 39, "il": 40, "ipv6": 41,
    "sdrp": 42, "ipv6-route": 43, "ipv6-frag": 44, "idrp": 45, "rsvp": 46, "gre": 47, "dsr": 48, "bna": 49,
    "esp": 50, "ah": 51, "i-nlsp": 52, "swipe": 53, "narp": 54, "mobile": 55, "tlsp": 56, "skip": 57,
    "ipv6-icmp": 58, "icmp6": 58, "icmpv6": 58, "ipv6-no": 59, "ipv6-nonxt": 59, "ipv6-opts": 60, "cftp": 62,
    "kryptolan": 65, "rvd": 66, "ippc": 67, "sat-mon": 69, "visa": 70, "ipcv": 71, "cpnx": 72, "cphb": 73,
    "wsn": 74, "pvp": 75, "br-sat-mon": 76, "sun-nd": 77, "wb-mon": 78, "wb-expak": 79, "iso-ip": 80, "vmtp": 81,
    "secure-vmtp": 82, "vines": 83, "ttp": 84, "nsfnet-igp": 85, "dgp": 86, "tcf": 87, "eigrp": 88, "ospf": 89,
    "ospfigp": 89, "sprite-rpc": 90, "larp": 91, "mtp": 92, "ax.25": 93, "os": 94, "micp": 95, "scc-sp": 96,
    "etherip": 97, "encap": 98, "gmtp": 100, "ifmp": 101, "pnni": 102, "pim": 103, "aris": 104, "scps": 105,
    "qnx": 106, "a/n": 107, "ipcomp": 108, "snp": 109, "compaq-peer": 110, "ipx-n-ip": 111, "vrrp": 112, "pgm": 113,
    "l2tp": 115, "ddx": 116, "iatp": 117, "stp": 118, "srp": 119, "uti": 120, "smp": 121, "sm": 122, "ptp": 123,
    "isis": 124, "fire": 125, "crtp": 126, "crudp": 127, "sccopmce": 128, "iplt": 129, "sps": 130, "pipe": 131,
    "sctp": 132, "fc": 133, "udplite": 136, "mpls-in-ip": 137, "manet": 138, "shim6": 139, "wesp": 140, "rohc": 141,
    "ethernet": 143,
}  # fmt: skip

FLAG_LETTERS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32, "E": 64, "C": 128}

_BOUNDS: dict[pa.DataType, tuple[int, int]] = {
    pa.uint8(): (0, 2**8 - 1),
    pa.uint16(): (0, 2**16 - 1),
    pa.uint32(): (0, 2**32 - 1),
    pa.int64(): (-(2**63), 2**63 - 1),
    pa.uint64(): (0, 2**64 - 1),
}


def as_integers(values: pl.Series, type_: pa.DataType, scale: float = 1) -> pl.Series:
    """Whole numbers (decimal, or hexadecimal as `0x1f`) within the bounds of `type_`, after multiplying by `scale`.

    Fractions are rounded.
    """
    low, high = _BOUNDS[type_]
    wide: type[pl.UInt64] | type[pl.Int64] = pl.UInt64 if high > 2**63 else pl.Int64
    if values.dtype == pl.String:
        values = values.str.strip_chars()
        read = values.cast(wide, strict=False)
        if read.null_count() > values.null_count() or scale != 1:
            decimals = values.cast(pl.Decimal(38, 9), strict=False).cast(pl.Float64) * scale
            read = _or_else(read, _rounded(decimals, wide)) if scale == 1 else _rounded(decimals, wide)
        if read.null_count() > values.null_count():
            digits = values.str.extract("^0[xX]([0-9a-fA-F]{1,8})$")
            read = _or_else(read, digits.str.to_integer(base=16, strict=False).cast(wide) * int(scale))
    elif values.dtype.is_float() or scale != 1:
        read = _rounded(values.cast(pl.Float64) * scale, wide)
    else:
        read = values.cast(wide, strict=False)
    return _only(read, (read >= low) & (read <= high))


def as_floats(values: pl.Series, scale: float = 1) -> pl.Series:
    """Real numbers after multiplying by `scale`; infinite values and NaN become null."""
    read = values.cast(pl.Float64, strict=False) * scale
    return _only(read, read.is_finite())


def as_durations(values: pl.Series, unit: str) -> pl.Series:
    """Numbers of `unit` → ns as Int64, exactly: decimals are read as decimals."""
    factor = NS_IN[unit]
    if values.dtype.is_integer():
        wide = values.cast(pl.Int64, strict=False)
        return _only(wide, wide.abs() <= LARGEST_NS // factor) * factor
    if values.dtype.is_float():
        values = _only(values, values.is_finite()).cast(
            pl.String
        )  # the shortest text that reads back as the same number
    decimals = values.str.strip_chars().cast(pl.Decimal(38, 9), strict=False)
    small = decimals.cast(pl.Float64).abs() < LARGEST_NS / factor
    return (_only(decimals, small) * factor).cast(pl.Int64, strict=False)


def as_instants(
    values: pl.Series, unit: str | None = None, formats: Sequence[str] = (), timezone: str = "UTC"
) -> pl.Series:
    """Times → ns since 1970 as Int64: numbers of `unit`, or text in the first of `formats` that fits.

    Text without an offset is local time of `timezone`. Instants outside 1678 to 2261 become null.
    """
    if values.dtype.is_temporal():
        return _instants_of(values.cast(pl.Datetime("us", getattr(values.dtype, "time_zone", None))), values, timezone)
    if unit is not None:
        return as_durations(values, unit)
    text = values.cast(pl.String).str.strip_chars()
    found = pl.Series(values.name, [None], dtype=pl.Int64).new_from_index(0, len(values))
    for form in formats or ISO_FORMATS:
        if found.null_count() == text.null_count():
            break
        spelled = text.str.replace("Z$", "+0000") if form.endswith("%z") else text
        coarse = spelled.str.to_datetime(form, time_unit="us", strict=False)
        fine = spelled.str.to_datetime(form, time_unit="ns", strict=False)
        found = _or_else(found, _instants_of(coarse, fine, timezone))
    return found


def as_protocols(values: pl.Series) -> pl.Series:
    """Numbers or names (`tcp`, `ipv6-icmp`) → IANA numbers as UInt8."""
    numbers = as_integers(values, pa.uint8())
    if values.dtype != pl.String or numbers.null_count() == values.null_count():
        return numbers.cast(pl.UInt8)
    names = values.str.strip_chars().str.to_lowercase()
    known = names.replace_strict(PROTOCOLS, default=None, return_dtype=pl.Int64)
    return _or_else(numbers.cast(pl.Int64), known).cast(pl.UInt8)


def as_ports(values: pl.Series) -> pl.Series:
    """Decimal or hexadecimal (`0x0303`) numbers → UInt16."""
    return as_integers(values, pa.uint16()).cast(pl.UInt16)


def as_flags(values: pl.Series) -> pl.Series:
    """TCP flags as a number, as hexadecimal (`0x1b`) or as letters (`.AP.SF`) → bit set as UInt8."""
    numbers = as_integers(values, pa.uint16())  # NetFlow has more than the eight flags of TCP
    numbers = (numbers.cast(pl.Int64) & 0xFF).alias(values.name)
    if values.dtype == pl.String and numbers.null_count() > values.null_count():
        letters = values.str.strip_chars().str.to_uppercase()
        bits = pl.Series(values.name, [0], dtype=pl.Int64).new_from_index(0, len(values))
        for letter, bit in FLAG_LETTERS.items():
            bits = bits + letters.str.contains(letter, literal=True).cast(pl.Int64) * bit
        spelled = _only(bits, letters.str.contains("^[.FSRPAUEC]+$"))
        numbers = _or_else(numbers, spelled)
    return numbers.cast(pl.UInt8)


def as_addresses(values: pl.Series) -> pa.Array:
    """Text → 16 bytes (IPv4 mapped into IPv6)."""
    return parse_addresses(_arrow_text(values))[0]


def as_macs(values: pl.Series) -> pa.Array:
    """Text → 6 bytes."""
    return parse_macs(_arrow_text(values))[0]


def as_text(values: pl.Series) -> pl.Series:
    """Text without blanks around it; an empty text becomes null."""
    text = values.cast(pl.String).str.strip_chars()
    return _only(text, text != "")


def text_or_null(values: pl.Series, null_values: Sequence[str]) -> pl.Series:
    """The series with every one of `null_values` made null. Numbers pass through."""
    if values.dtype != pl.String or not null_values:
        return values
    return _only(values, ~values.is_in(list(null_values)))


def _arrow_text(values: pl.Series) -> pa.Array:
    return values.cast(pl.String).str.strip_chars().to_arrow(compat_level=pl.CompatLevel.oldest())


def _instants_of(coarse: pl.Series, fine: pl.Series, timezone: str) -> pl.Series:
    """ns since 1970 of `fine`, null where `coarse` (in us) is outside what ns can hold."""
    year = coarse.dt.year()
    fine = _only(fine, (year > 1677) & (year < 2262)).cast(pl.Datetime("ns", getattr(fine.dtype, "time_zone", None)))
    if getattr(fine.dtype, "time_zone", None) is None and timezone != "UTC":
        _check_timezone(timezone)
        fine = fine.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
    return fine.cast(pl.Int64)


@cache
def _check_timezone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise SettingError(f"tables: no time zone is called `{name}`", hint="write it as `Europe/Prague`") from None


def _rounded(values: pl.Series, wide: type[pl.UInt64] | type[pl.Int64]) -> pl.Series:
    return _only(values, values.is_finite()).round(0).cast(wide, strict=False)


def _only(values: pl.Series, keep: pl.Series) -> pl.Series:
    """`values` with null where `keep` is not true."""
    if keep.all(ignore_nulls=False):
        return values
    return pl.select(pl.when(keep).then(values)).to_series().alias(values.name)


def _or_else(values: pl.Series, others: pl.Series) -> pl.Series:
    """`values`, and where these are null `others`."""
    return pl.select(pl.coalesce(pl.lit(values), pl.lit(others))).to_series().alias(values.name)
