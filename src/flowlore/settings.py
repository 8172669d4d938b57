"""How any stage's settings are declared, checked, read strictly from TOML and command line, printed and hashed.

A stage's settings are a frozen dataclass beside its code, every field made by `setting`. A pipeline's settings are
a dataclass whose fields are such classes. Python is the main form; TOML is a strict view of it.
"""

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from difflib import get_close_matches
from math import inf
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from .errors import SettingError

S = TypeVar("S", bound="Settings")

HASH_LETTERS = 12


def setting(default: Any, meaning: str, *, minimum: float | None = None, maximum: float | None = None) -> Any:
    """A field of a `Settings` class: its default, what it means (with unit), and its bounds (inclusive)."""
    return field(default=default, metadata={"meaning": meaning, "minimum": minimum, "maximum": maximum})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of every stage's settings: frozen, keyword-only, checked when made.

    Rules between two fields belong in the `__post_init__` of the class that owns both, after `super().__post_init__()`.
    """

    def __post_init__(self) -> None:
        types = get_type_hints(type(self))
        for item in fields(self):
            value = _normalised(getattr(self, item.name), types[item.name])
            problem = _problem(value, types[item.name], item)
            if problem:
                raise SettingError(f"settings: `{item.name}` {problem}", hint=_meaning_hint(item))
            object.__setattr__(self, item.name, value)


@dataclass(frozen=True, kw_only=True, slots=True)
class SettingDescription:
    """One setting as the documentation and the command line show it."""

    path: str
    type: str
    default: Any
    meaning: str
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]


def read_settings(cls: type[S], file: str | Path | None = None, overrides: Sequence[str] = ()) -> S:
    """Settings from their defaults, then a TOML file, then `name=value` overrides; the later wins."""
    values: dict[str, Any] = {}
    if file is not None:
        values = _read_toml(Path(file))
    for override in overrides:
        _override(cls, values, override)
    return settings_from(cls, values)


def settings_from(cls: type[S], values: Mapping[str, Any]) -> S:
    """Settings from nested mappings as TOML gives them. An unknown name is an error that tells the nearest one."""
    return cast(S, _build(cls, values, (), cls))


def settings_given(cls: type[S], given: "S | Mapping[str, Any] | None") -> S:
    """What a caller gave: nothing, settings, or values by name, nested or dotted: `{"meter.idle_timeout_s": 30}`."""
    if given is None:
        return cls()
    if isinstance(given, Settings):
        return given
    if not isinstance(given, Mapping):
        raise SettingError(
            f"settings: `{given!r}` is neither settings nor values by name",
            hint='for example `settings={"meter.idle_timeout_s": 30}`',
        )
    values: dict[str, Any] = {}
    for name, value in given.items():
        *groups, leaf = str(name).split(".")
        place = values
        for group in groups:
            place = place.setdefault(group, {})
        if isinstance(value, Mapping):
            place.setdefault(leaf, {}).update(value)
        else:
            place[leaf] = value
    return settings_from(cls, values)


def settings_values(settings: Settings) -> dict[str, Any]:
    """The resolved values as nested dictionaries of plain JSON types."""
    return {item.name: _plain(getattr(settings, item.name)) for item in fields(settings)}


def settings_hash(settings: Settings) -> str:
    """A short stable hash of the resolved values: equal settings have equal hashes on every machine and version."""
    text = json.dumps(settings_values(settings), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LETTERS]


def as_toml(settings: Settings, *, with_meanings: bool = True) -> str:
    """The resolved settings as TOML that `read_settings` reads back to equal settings."""
    return "\n".join(_toml_lines(settings, (), with_meanings)).strip() + "\n"


def all_settings(cls: type[Settings]) -> list[SettingDescription]:
    """Every setting of a tree by its full name, in the order of the classes."""
    return [_description(path, type_, item) for path, type_, item in _leaves(cls, ())]


def _leaves(cls: type[Settings], prefix: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, Field[Any]]]:
    types = get_type_hints(cls)
    for item in fields(cls):
        type_ = types[item.name]
        if _is_group(type_):
            yield from _leaves(type_, (*prefix, item.name))
        else:
            yield (*prefix, item.name), type_, item


def _description(path: tuple[str, ...], type_: Any, item: Field[Any]) -> SettingDescription:
    return SettingDescription(
        path=".".join(path),
        type=_type_words(type_),
        default=_default(item),
        meaning=item.metadata.get("meaning", ""),
        minimum=item.metadata.get("minimum"),
        maximum=item.metadata.get("maximum"),
        choices=_choices(type_),
    )


def _build(cls: type[Settings], values: Mapping[str, Any], prefix: tuple[str, ...], root: type[Settings]) -> Settings:
    types = get_type_hints(cls)
    known = {item.name: item for item in fields(cls)}
    arguments: dict[str, Any] = {}
    for name, value in values.items():
        path = ".".join((*prefix, name))
        if name not in known:
            raise _unknown(path, root)
        type_ = types[name]
        if _is_group(type_):
            if not isinstance(value, Mapping):
                raise SettingError(
                    f"config: `{path}` is a group of settings, not a value",
                    hint=f"write `{path}.{fields(type_)[0].name} = …`; `flowlore config` prints every setting",
                )
            arguments[name] = _build(type_, value, (*prefix, name), root)
            continue
        value = _normalised(value, type_)
        problem = _problem(value, type_, known[name])
        if problem:
            raise SettingError(f"config: `{path}` {problem}", hint=_meaning_hint(known[name]))
        arguments[name] = value
    return cls(**arguments)


def _unknown(path: str, root: type[Settings]) -> SettingError:
    known = [item.path for item in all_settings(root)]
    leaf = path.rpartition(".")[2]
    same_leaf = [name for name in known if name.rpartition(".")[2] == leaf]
    groups = sorted({name.rpartition(".")[0] for name in known} - {""})
    begun = [name for name in known if name.startswith(path)]
    in_group = begun[:1] if "." in path else []
    begun += [name for name in known if name.rpartition(".")[2].startswith(leaf)]
    near = in_group or same_leaf[:1] or begun[:1] or get_close_matches(path, known, n=1, cutoff=0.6)
    if "." not in path:
        near = near or get_close_matches(path, groups, n=1, cutoff=0.5)
    hint = f"did you mean `{near[0]}`?" if near else "run `flowlore config` to see every setting"
    return SettingError(f"config: unknown setting `{path}`", hint=hint)


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingError(
            f"config: `{file}` cannot be read: {error.strerror or error}",
            hint="`flowlore config > flowlore.toml` writes a file with every setting",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(
            f"config: `{file}` is not TOML: {error}",
            hint="`flowlore config` prints a file that is",
        ) from error


def _override(cls: type[Settings], values: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    path = path.strip()
    if not equals or not path:
        raise SettingError(
            f"config: `{override}` is not of the form NAME=VALUE",
            hint="for example `--set meter.idle_timeout_s=30`",
        )
    leaves = {".".join(names): type_ for names, type_, _ in _leaves(cls, ())}
    if path not in leaves:
        if any(name.startswith(f"{path}.") for name in leaves):
            first = next(name for name in leaves if name.startswith(f"{path}."))
            raise SettingError(
                f"config: `{path}` is a group of settings, not a value", hint=f"for example `--set {first}=…`"
            )
        raise _unknown(path, cls)
    *groups, leaf = path.split(".")
    place = values
    for group in groups:
        place = place.setdefault(group, {})
        if not isinstance(place, dict):
            raise SettingError(f"config: `{group}` is a group of settings, but the file gives it a value")
    place[leaf] = _override_value(text.strip(), leaves[path])


def _override_value(text: str, type_: Any) -> Any:
    """TOML's way of writing a value; text may stand without its quotes."""
    wants_text = str in _alternatives(type_) or bool(_choices(type_))
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return text if wants_text and not isinstance(value, str) else value


def _problem(value: Any, type_: Any, item: Field[Any]) -> str | None:
    """What is wrong with a value, in words that follow the setting's name; None where it is right."""
    choices = _choices(type_)
    low, high = item.metadata.get("minimum"), item.metadata.get("maximum")
    if value is None and NoneType in _alternatives(type_):
        return None
    if not any(_fits(value, alternative) for alternative in _alternatives(type_)):
        if choices and isinstance(value, str):
            near = get_close_matches(value, choices, n=1, cutoff=0.5)
            words = " or ".join(f"`{choice}`" for choice in choices)
            return f"is `{value}`, but must be {words}" + (f" (did you mean `{near[0]}`?)" if near else "")
        return f"is {_shown(value)}, but must be {_type_words(type_)}{_bounds(low, high)}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        inside = (low is None or value >= low) and (high is None or value <= high)
        if not inside or value != value:
            wanted = " a number" if value != value else ""
            return f"is {_shown(value)}, but must be{wanted}{_bounds(low, high)}"
        if value in (inf, -inf):
            return f"is {_shown(value)}, but must be a finite number{_bounds(low, high)}"
    return None


def _fits(value: Any, type_: Any) -> bool:
    origin = get_origin(type_)
    if origin is Literal:
        return isinstance(value, str) and value in get_args(type_)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(member, get_args(type_)[0]) for member in value)
    if origin in (dict, Mapping) or _is_mapping(type_):
        return isinstance(value, Mapping) and all(_fits(member, get_args(type_)[1]) for member in value.values())
    if type_ is bool or isinstance(value, bool):
        return type_ is bool and isinstance(value, bool)
    if type_ is float:
        return isinstance(value, int | float)
    return isinstance(value, type_)


def _normalised(value: Any, type_: Any) -> Any:
    """One form for equal values: whole numbers become floats where a float is wanted, lists tuples, text paths."""
    alternatives = _alternatives(type_)
    if float in alternatives and int not in alternatives and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, list) and any(get_origin(alternative) is tuple for alternative in alternatives):
        return tuple(value)
    if Path in alternatives and isinstance(value, str):
        return Path(value)
    return value


def _alternatives(type_: Any) -> tuple[Any, ...]:
    return get_args(type_) if get_origin(type_) in (Union, UnionType) else (type_,)


def _choices(type_: Any) -> tuple[str, ...]:
    return next((get_args(one) for one in _alternatives(type_) if get_origin(one) is Literal), ())


def _is_group(type_: Any) -> bool:
    return isinstance(type_, type) and issubclass(type_, Settings)


def _is_mapping(type_: Any) -> bool:
    origin = get_origin(type_)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _default(item: Field[Any]) -> Any:
    return item.default_factory() if item.default_factory is not MISSING else item.default


def _type_words(type_: Any) -> str:
    names = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "text",
        Path: "a path",
        NoneType: "unset",
    }
    words = []
    for one in _alternatives(type_):
        if get_origin(one) is Literal:
            words.append(" or ".join(f"`{choice}`" for choice in get_args(one)))
        elif get_origin(one) is tuple:
            words.append(f"a list, each member {_type_words(get_args(one)[0])}")
        elif _is_mapping(one):
            words.append(f"a table, each value {_type_words(get_args(one)[1])}")
        else:
            words.append(names.get(one, str(one)))
    return " or ".join(words)


def _bounds(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f" from {_number(low)} to {_number(high)}"
    if low is not None:
        return f" at least {_number(low)}"
    return f" at most {_number(high)}" if high is not None else ""


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,g}"


def _shown(value: Any) -> str:
    return (
        f'"{value}" (text)' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else f"{value}"
    )


def _meaning_hint(item: Field[Any]) -> str | None:
    meaning = item.metadata.get("meaning")
    return f"`{item.name}` is: {meaning}" if meaning else None


def _plain(value: Any) -> Any:
    if isinstance(value, Settings):
        return settings_values(value)
    if isinstance(value, tuple | list):
        return [_plain(member) for member in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(member) for key, member in value.items()}
    return str(value) if isinstance(value, Path) else value


def _toml_lines(settings: Settings, prefix: tuple[str, ...], with_meanings: bool) -> Iterator[str]:
    groups = []
    for item in fields(settings):
        value = getattr(settings, item.name)
        if isinstance(value, Settings):
            groups.append((item.name, value))
            continue
        comment = item.metadata.get("meaning") if with_meanings else None
        line = f"# {item.name} is not set" if value is None else f"{item.name} = {_toml_value(value)}"
        yield f"{line}  # {comment}" if comment else line
    for name, group in groups:
        yield ""
        first_line = (type(group).__doc__ or "").partition("\n")[0]
        if with_meanings and first_line:
            yield f"# {first_line}"
        yield f"[{'.'.join((*prefix, name))}]"
        yield from _toml_lines(group, (*prefix, name), with_meanings)


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | Path):
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_toml_value(member) for member in value) + "]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(str(key))} = {_toml_value(one)}" for key, one in value.items()) + " }"
    return repr(value)
