"""Registries list without importing, refuse doubles, and help with wrong names."""

import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from flowlore import registry
from flowlore.errors import FlowloreError, UnknownName
from flowlore.registry import Registry, nearest_name_hint

BUILT_INS = {"pcap": "collections:OrderedDict", "netflow": "absent_module:Absent"}


def test_listing_imports_nothing() -> None:
    colours = Registry("colour", {"red": "wave:Wave_read", "blue": "absent_module:Blue"}, with_plugins=False)
    sys.modules.pop("wave", None)
    assert colours.names() == ["blue", "red"]
    assert "wave" not in sys.modules


def test_loading_imports_the_target() -> None:
    from collections import OrderedDict

    assert Registry("source", BUILT_INS, with_plugins=False).load("pcap") is OrderedDict


def test_an_unknown_name_lists_the_known_and_the_nearest() -> None:
    with pytest.raises(UnknownName) as caught:
        Registry("source", BUILT_INS, with_plugins=False).load("pcapng")
    assert caught.value.problem == "registry: no source is called `pcapng` (known: netflow, pcap)"
    assert caught.value.hint == "did you mean `pcap`?"


def test_nothing_near_gives_no_hint() -> None:
    assert nearest_name_hint("zzz", ["netflow", "pcap"]) is None
    assert nearest_name_hint("nope", ["ndpi"]) is None


def test_plugins_stand_beside_built_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch, EntryPoint(name="whitespace", value="collections:Counter", group="flowlore.sources"))
    sources = Registry("source", BUILT_INS)
    assert sources.names() == ["netflow", "pcap", "whitespace"]
    assert sources.entries()["pcap"].version == "built-in"
    assert sources.load("whitespace").__name__ == "Counter"


def test_a_plugin_may_not_take_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch, EntryPoint(name="pcap", value="collections:Counter", group="flowlore.sources"))
    with pytest.raises(FlowloreError, match=r"source `pcap` of package `.*` is already registered by `flowlore`"):
        Registry("source", BUILT_INS).names()


def test_a_plugin_that_cannot_be_imported_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "broken_plugin.py").write_text("import a_package_that_is_absent\n")
    monkeypatch.syspath_prepend(tmp_path)
    _install(monkeypatch, EntryPoint(name="broken", value="broken_plugin:Broken", group="flowlore.sources"))
    with pytest.raises(FlowloreError, match=r"source `broken` .* cannot be loaded: .*a_package_that_is_absent"):
        Registry("source", BUILT_INS).load("broken")


def _install(monkeypatch: pytest.MonkeyPatch, *points: EntryPoint) -> None:
    monkeypatch.setattr(registry, "entry_points", lambda group: EntryPoints(points).select(group=group))
