"""Names → factories. A built-in and a plug-in are the same kind of string, and nothing is imported until asked for."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from .errors import FlowloreError, UnknownName

BUILT_IN = "built-in"  # stands for the version of what comes with us


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """Where a name comes from: a `module:attribute` string and the package that brought it."""

    name: str
    target: str
    package: str
    version: str


class Registry:
    """Names of one kind, from our own table and from the entry-point group `flowlore.<plural>`.

    >>> Registry("colour", {"red": "builtins:str"}).load("red")
    <class 'str'>
    """

    def __init__(
        self, kind: str, built_ins: Mapping[str, str], *, with_plugins: bool = True, plural: str | None = None
    ) -> None:
        self.kind = kind
        self.plural = plural or f"{kind}s"
        self._built_ins = dict(built_ins)
        self._with_plugins = with_plugins
        self._entries: dict[str, Entry] | None = None

    def entries(self) -> dict[str, Entry]:
        """All names in alphabetical order. A plug-in that takes a name already taken is an error."""
        if self._entries is None:
            found = {
                name: Entry(name=name, target=target, package="flowlore", version=BUILT_IN)
                for name, target in self._built_ins.items()
            }
            for entry in self._plugin_entries():
                if entry.name in found:
                    raise FlowloreError(
                        f"registry: {self.kind} `{entry.name}` of package `{entry.package}` is already "
                        f"registered by `{found[entry.name].package}`",
                        hint=f"uninstall one of the two, or ask `{entry.package}` to choose another name",
                    )
                found[entry.name] = entry
            self._entries = dict(sorted(found.items()))
        return self._entries

    def names(self) -> list[str]:
        return list(self.entries())

    def load(self, name: str) -> Any:
        """The thing called `name`, imported now."""
        entries = self.entries()
        if name not in entries:
            raise UnknownName(
                f"registry: no {self.kind} is called `{name}` (known: {', '.join(entries)})",
                hint=nearest_name_hint(name, entries),
            )
        entry = entries[name]
        module, _, attribute = entry.target.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            if entry.version == BUILT_IN:
                raise
            raise FlowloreError(
                f"registry: {self.kind} `{name}` of package `{entry.package}` {entry.version} cannot be loaded: "
                f"{error}",
                hint=f"`pip install --upgrade {entry.package}`, or uninstall it",
            ) from error

    def _plugin_entries(self) -> Iterator[Entry]:
        if not self._with_plugins:
            return
        for point in entry_points(group=f"flowlore.{self.plural}"):
            package = point.dist
            yield Entry(
                name=point.name,
                target=point.value,
                package=package.name if package else "?",
                version=package.version if package else "?",
            )


def nearest_name_hint(name: str, known: Mapping[str, object] | list[str]) -> str | None:
    """`did you mean …?` for the nearest known name, or None where nothing is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`?" if near else None
