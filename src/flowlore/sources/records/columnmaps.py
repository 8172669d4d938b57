"""Column maps: which column of somebody's table is which column of the flow table. Read strictly from TOML."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from ...errors import InputError, SettingError
from ...flows.schema import column_names
from ...registry import nearest_name_hint
from .columns import NS_IN

Take = Literal["value", "sign", "absolute", "differences"]

SENSOR_COLUMNS = {"zeek": ("history", "tunnel_parents", "ip_proto")}  # read besides those of the rules
TAKES = ("value", "sign", "absolute", "differences")


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnRule:
    """How one column of the flow table is made."""

    column: tuple[str, ...]  # spellings of the source's column; the first that the table has is taken
    minus: tuple[str, ...] = ()  # another column, subtracted
    plus: tuple[str, ...] = ()  # another column, added
    largest: tuple[str, ...] = ()  # another column; the larger of the two is taken
    unit: str | None = None  # s, ms, us, ns: of times and durations
    formats: tuple[str, ...] = ()  # of times as text, as in strptime with `%.f`; ISO 8601 where none is given
    scale: float = 1.0  # numbers are multiplied by it
    take: Take = "value"  # of lists: the signs, the absolute values, the differences of neighbours
    values: Mapping[str, str] = field(default_factory=dict)  # text that is replaced by other text
    null_values: tuple[str, ...] = ()  # text that means nothing, besides the map's own
    null_as: str | None = None  # text that a null stands for
    detail: tuple[str, ...] = ()  # of text: another column, added after a slash where it is there
    prefix: str = ""  # put before text
    lower: bool = False
    not_ip: tuple[str, ...] = ()  # of `protocol`: names of what is no IP flow; such rows are left out and counted
    optional: bool = False

    @property
    def spellings(self) -> tuple[tuple[str, ...], ...]:
        """Every source column that the rule reads, each by its spellings."""
        return tuple(names for names in (self.column, self.minus, self.plus, self.largest) if names)

    @property
    def all_spellings(self) -> tuple[str, ...]:
        """Every name that the rule knows, of columns that must be there and of those that may be."""
        return (*self.column, *self.minus, *self.plus, *self.largest, *self.detail)


@dataclass(frozen=True, kw_only=True, slots=True)
class RowHalves:
    """Tables that write a flow as two rows: only first halves become flows, for they hold the totals of both."""

    column: str
    first: str
    second: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RowsOfIp:
    """Tables that hold more than IP: only rows with one of these values are flows."""

    column: str
    values: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnMap:
    """One kind of table, and how its columns become the flow table's."""

    name: str
    title: str
    columns: Mapping[str, ColumnRule]
    constants: Mapping[str, Any] = field(default_factory=dict)
    recognised_by: tuple[str, ...] = ()  # columns that must be there besides the required ones
    known: tuple[str, ...] = ()  # columns that are left out knowingly
    positions: tuple[str, ...] = ()  # names of the columns of a file without a header
    null_values: tuple[str, ...] = ("",)
    timezone: str = "UTC"
    icmp_type_code: tuple[str, ...] = ()  # a column with 256 * type + code, which stands for the ports of ICMP
    halves: RowHalves | None = None
    ip_rows: RowsOfIp | None = None
    sensor: str | None = None  # `zeek`: what is peculiar to that sensor's columns is seen to afterwards
    automatic: bool = True  # False: used only where it is asked for by name

    def required(self) -> list[tuple[str, ...]]:
        """Spellings of each source column that must be there."""
        needed = [names for rule in self.columns.values() if not rule.optional for names in rule.spellings]
        return [*needed, *((name,) for name in (*self.recognised_by, *self._row_columns()))]

    def missing(self, header: Sequence[str]) -> list[str]:
        """Required columns that a table with this header does not have."""
        have = {plain(name) for name in header}
        lacking = [names[0] for names in self.required() if not have & {plain(name) for name in names}]
        return list(dict.fromkeys(lacking))

    def unused(self, header: Sequence[str]) -> list[str]:
        """Columns of the header that the map neither uses nor knows."""
        used = {plain(name) for rule in self.columns.values() for name in rule.all_spellings}
        used |= {plain(name) for name in (*self.recognised_by, *self.icmp_type_code, *self._row_columns())}
        used |= {plain(name) for name in SENSOR_COLUMNS.get(self.sensor or "", ())}
        return [name for name in header if plain(name) not in used and not self._knows(name)]

    def _row_columns(self) -> list[str]:
        return [rule.column for rule in (self.halves, self.ip_rows) if rule is not None]

    def _knows(self, name: str) -> bool:
        """Whether the name is one of `known`, where `*` stands for anything."""
        return any(fnmatchcase(plain(name), "*".join(map(plain, known.split("*")))) for known in self.known)


def plain(name: str) -> str:
    """A column's name as it is compared: lower case, every run of other signs an underscore.

    >>> plain(" Source IP"), plain("Flow Bytes/s"), plain("%dir")
    ('source_ip', 'flow_bytes_s', 'dir')
    """
    return re.sub(r"[^0-9a-z]+", "_", name.lower()).strip("_")


@cache
def shipped_maps() -> dict[str, ColumnMap]:
    """The maps of the package, by name."""
    folder = files(__package__) / "maps"
    found = {}
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.name.endswith(".toml"):
            found[item.name.removesuffix(".toml")] = parse_map(item.read_text(), item.name)
    return found


def load_map(name: str) -> ColumnMap:
    """A map of the package by name, or one of the user's own by its path, `something.toml`."""
    if not name.endswith(".toml"):
        maps = shipped_maps()
        if name not in maps:
            raise SettingError(
                f"tables: no column map is called `{name}` (known: {', '.join(maps)})",
                hint=nearest_name_hint(name, maps) or "give the path of your own, `something.toml`",
            )
        return maps[name]
    try:
        text = Path(name).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(
            f"tables: the column map `{name}` cannot be read: "
            f"{(getattr(error, 'strerror', None) or str(error)).lower()}",
            hint="`tables.map` is the path of a TOML file",
        ) from None
    return parse_map(text, name)


def parse_map(text: str, where: str) -> ColumnMap:
    """A map from TOML. A key that does not exist, or a column that the flow table has not, is an error."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem = str(error)[:1].lower() + str(error)[1:]
        raise SettingError(
            f"tables: `{where}` is not TOML: {problem}",
            hint='a column map has lines such as `src_ip = "your column"` under `[columns]`',
        ) from None
    _check_keys(table, ColumnMap, where)
    columns = table.pop("columns", None)
    if not isinstance(columns, dict) or not columns:
        raise SettingError(
            f"tables: `{where}` has no table `[columns]`", hint='write `src_ip = "your column"` under it'
        )
    for name in [*columns, *table.get("constants", {})]:
        if name not in column_names():
            raise SettingError(
                f"tables: `{where}` maps to `{name}`, which is not a column of the flow table",
                hint=nearest_name_hint(name, list(column_names())) or "`flowlore columns` lists them",
            )
    halves = table.pop("halves", None)
    if halves is not None:
        _check_keys(halves, RowHalves, f"{where}, [halves]")
        table["halves"] = RowHalves(**halves)
    ip_rows = table.pop("ip_rows", None)
    if ip_rows is not None:
        _check_keys(ip_rows, RowsOfIp, f"{where}, [ip_rows]")
        table["ip_rows"] = RowsOfIp(column=ip_rows["column"], values=_texts(ip_rows["values"], where))
    for key in ("recognised_by", "known", "positions", "null_values", "icmp_type_code"):
        if key in table:
            table[key] = _texts(table[key], f"{where}, `{key}`")
    positions = table.get("positions", ())
    if len(set(positions)) < len(positions):
        raise SettingError(f"tables: {where}, `positions` has a name twice", hint="each column needs a name of its own")
    stem = Path(where).name.removesuffix(".toml")
    table.setdefault("name", stem)
    table.setdefault("title", table["name"])
    rules = {name: _rule(value, f"{where}, `{name}`") for name, value in columns.items()}
    return ColumnMap(columns=rules, **table)


def recognise_header(header: Sequence[str]) -> ColumnMap | None:
    """The shipped map whose required columns are all in the header; where several fit, the one that asks for most."""
    fitting = [item for item in shipped_maps().values() if item.automatic and not item.missing(header)]
    return max(fitting, key=lambda item: len(item.required()), default=None)


def check_columns(column_map: ColumnMap, header: Sequence[str], where: str) -> None:
    """`InputError` where the table lacks a column that the map requires."""
    missing = column_map.missing(header)
    if missing:
        named = ", ".join(f"`{name}`" for name in missing)
        near = nearest_name_hint(missing[0], list(header))
        raise InputError(
            f"tables: `{where}` has no column {named}, which the map `{column_map.name}` needs",
            hint=near or f"its columns are {', '.join(header[:20])}{' …' if len(header) > 20 else ''}",
        )


def _rule(value: Any, where: str) -> ColumnRule:
    if isinstance(value, str | list):
        return ColumnRule(column=_texts(value, where))
    if not isinstance(value, dict):
        raise SettingError(f"tables: {where} must be a column's name, a list of spellings, or a table with `column`")
    _check_keys(value, ColumnRule, where)
    value = dict(value)
    if "column" not in value:
        raise SettingError(f"tables: {where} does not say which `column` it is made from")
    for key in ("column", "minus", "plus", "largest", "detail", "formats", "null_values", "not_ip"):
        if key in value:
            value[key] = _texts(value[key], f"{where}, `{key}`")
    if value.get("unit") not in (None, *NS_IN):
        raise SettingError(f"tables: {where} has the unit `{value['unit']}`", hint=f"units are {', '.join(NS_IN)}")
    if value.get("take", "value") not in TAKES:
        raise SettingError(f"tables: {where} takes `{value['take']}`", hint=f"it can be {', '.join(TAKES)}")
    return ColumnRule(**value)


def _texts(value: Any, where: str) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(item, str) for item in texts):
        raise SettingError(f"tables: {where} must be text, or a list of texts")
    return tuple(texts)


def _check_keys(table: Mapping[str, Any], kind: type[Any], where: str) -> None:
    known = [item.name for item in fields(kind)]
    for key in table:
        if key not in known:
            raise SettingError(
                f"tables: {where} has an unknown key `{key}`",
                hint=nearest_name_hint(key, known) or f"known are {', '.join(known)}",
            )
