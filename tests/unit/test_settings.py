"""Settings are strict: a wrong name, type, choice or bound is an error that names the setting and the way out."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from flowlore.config import PipelineConfig
from flowlore.errors import SettingError
from flowlore.settings import (
    Settings,
    all_settings,
    as_toml,
    read_settings,
    setting,
    settings_from,
    settings_given,
    settings_hash,
    settings_values,
)


@dataclass(frozen=True, kw_only=True)
class Meter(Settings):
    """When a flow ends."""

    idle_timeout_s: float = setting(60.0, "silence that ends a flow, in s", minimum=0.001, maximum=86_400)
    max_packets: int = setting(32, "packets kept", minimum=0, maximum=1024)
    names: bool = setting(True, "read names")


@dataclass(frozen=True, kw_only=True)
class Reading(Settings):
    tunnels: Literal["inner", "outer"] = setting("inner", "which addresses count")
    ports: tuple[int, ...] = setting((2055,), "UDP ports of exporters")
    map_file: Path | None = setting(None, "column map")
    note: str = setting("", "free text")
    weight: float = setting(1.0, "how much it counts", minimum=0)
    scale: dict[str, float] = field(default_factory=dict, metadata={"meaning": "factors"})


@dataclass(frozen=True, kw_only=True)
class Pipeline(Settings):
    meter: Meter = field(default_factory=Meter)
    reading: Reading = field(default_factory=Reading)


def test_defaults_then_file_then_overrides(tmp_path: Path) -> None:
    file = tmp_path / "flowlore.toml"
    file.write_text("[meter]\nidle_timeout_s = 30\nmax_packets = 8\n")
    settings = read_settings(Pipeline, file, ["meter.max_packets=4"])
    assert (settings.meter.idle_timeout_s, settings.meter.max_packets, settings.meter.names) == (30.0, 4, True)


def test_an_unknown_name_tells_the_nearest() -> None:
    with pytest.raises(SettingError) as caught:
        settings_from(Pipeline, {"meter": {"idle_timout_s": 3}})
    assert caught.value.problem == "config: unknown setting `meter.idle_timout_s`"
    assert caught.value.hint == "did you mean `meter.idle_timeout_s`?"


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("idle_timeout_s=3", "did you mean `meter.idle_timeout_s`?"),  # the right leaf without its group
        ("metre.max_packets=3", "did you mean `meter.max_packets`?"),
        ("meter.idle=3", "did you mean `meter.idle_timeout_s`?"),
        ("reading.map=3", "did you mean `reading.map_file`?"),
        ("zzz=3", "run `flowlore config` to see every setting"),
        ("meter=3", "for example `--set meter.idle_timeout_s=…`"),
        ("meter.names", "for example `--set meter.idle_timeout_s=30`"),
    ],
)
def test_wrong_overrides_are_helped(override: str, hint: str) -> None:
    with pytest.raises(SettingError) as caught:
        read_settings(Pipeline, None, [override])
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("meter.idle_timeout_s=0", "config: `meter.idle_timeout_s` is 0.0, but must be from 0.001 to 86,400"),
        (
            "meter.idle_timeout_s=nan",
            "config: `meter.idle_timeout_s` is nan, but must be a number from 0.001 to 86,400",
        ),
        ("reading.weight=inf", "config: `reading.weight` is inf, but must be a finite number at least 0"),
        ("meter.idle_timeout_s=fast", 'is "fast" (text), but must be a number from 0.001 to 86,400'),
        ("meter.max_packets=1.5", "is 1.5, but must be a whole number from 0 to 1,024"),
        ("meter.max_packets=true", "is true, but must be a whole number"),
        ("meter.names=1", "is 1, but must be true or false"),
        ("reading.tunnels=iner", "is `iner`, but must be `inner` or `outer` (did you mean `inner`?)"),
        ("reading.ports=['a']", "but must be a list, each member a whole number"),
    ],
)
def test_wrong_values_name_the_setting_and_what_would_be_right(override: str, words: str) -> None:
    with pytest.raises(SettingError) as caught:
        read_settings(Pipeline, None, [override])
    assert words in caught.value.problem


def test_wrong_values_in_python_are_errors_too() -> None:
    with pytest.raises(SettingError, match=r"settings: `max_packets` is 5000, but must be from 0 to 1,024"):
        Meter(max_packets=5000)
    with pytest.raises(SettingError, match="must be a number"):
        Meter(idle_timeout_s="30")  # type: ignore[arg-type]


def test_text_may_stand_without_quotes() -> None:
    settings = read_settings(
        Pipeline, None, ["reading.tunnels=outer", "reading.note=2055", 'reading.map_file="a b.toml"']
    )
    assert (settings.reading.tunnels, settings.reading.note, settings.reading.map_file) == (
        "outer",
        "2055",
        Path("a b.toml"),
    )


def test_a_group_given_a_value_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "flowlore.toml"
    file.write_text("meter = 3\n")
    with pytest.raises(SettingError, match="`meter` is a group of settings"):
        read_settings(Pipeline, file)
    with pytest.raises(SettingError, match="`meter` is a group of settings"):
        read_settings(Pipeline, file, ["meter.names=false"])


def test_a_file_that_is_absent_or_not_toml(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"absent\.toml` cannot be read: No such file"):
        read_settings(Pipeline, tmp_path / "absent.toml")
    (tmp_path / "bad.toml").write_text("[meter\n")
    with pytest.raises(SettingError, match=r"bad\.toml` is not TOML: .*line 1"):
        read_settings(Pipeline, tmp_path / "bad.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingError, match="is not TOML"):
        read_settings(Pipeline, tmp_path / "binary.toml")


def test_toml_comes_back_equal(tmp_path: Path) -> None:
    before = Pipeline(
        meter=Meter(idle_timeout_s=1.5, names=False),
        reading=Reading(ports=(1, 2), map_file=Path('a"b'), note="tab\t, €, \x7f", scale={"a b": 2.0}),
    )
    file = tmp_path / "flowlore.toml"
    for with_meanings in (True, False):
        file.write_text(as_toml(before, with_meanings=with_meanings))
        assert read_settings(Pipeline, file) == before


def test_toml_says_what_settings_mean() -> None:
    text = as_toml(Pipeline())
    assert "# When a flow ends.\n[meter]\nidle_timeout_s = 60.0  # silence that ends a flow, in s" in text
    assert "# map_file is not set  # column map" in text


def test_the_hash_follows_values_only() -> None:
    assert settings_hash(Pipeline()) == settings_hash(settings_from(Pipeline, {"meter": {"idle_timeout_s": 60}}))
    assert settings_hash(Pipeline()) != settings_hash(settings_from(Pipeline, {"meter": {"idle_timeout_s": 61}}))
    assert len(settings_hash(Pipeline())) == 12


def test_the_hash_is_the_same_on_every_machine() -> None:
    assert settings_hash(Meter()) == "f4ac9aa9e806"


def test_values_are_plain() -> None:
    assert settings_values(Pipeline())["reading"] == {
        "tunnels": "inner",
        "ports": [2055],
        "map_file": None,
        "note": "",
        "weight": 1.0,
        "scale": {},
    }


def test_every_setting_is_described() -> None:
    described = {item.path: item for item in all_settings(Pipeline)}
    assert list(described)[:2] == ["meter.idle_timeout_s", "meter.max_packets"]
    timeout = described["meter.idle_timeout_s"]
    assert (timeout.type, timeout.default, timeout.minimum, timeout.maximum) == ("a number", 60.0, 0.001, 86_400)
    assert described["reading.tunnels"].choices == ("inner", "outer")
    assert described["reading.map_file"].type == "a path or unset"
    assert described["reading.scale"].default == {}


@pytest.mark.parametrize("given", [{"meter.idle_timeout_s": 7}, {"meter": {"idle_timeout_s": 7}}])
def test_settings_may_be_given_as_values_by_name(given: dict[str, object]) -> None:
    assert settings_given(PipelineConfig, given) == read_settings(PipelineConfig, overrides=["meter.idle_timeout_s=7"])
    assert settings_given(PipelineConfig, None) == PipelineConfig()


def test_what_is_no_settings_is_told() -> None:
    with pytest.raises(SettingError, match="neither settings nor values"):
        settings_given(PipelineConfig, 1)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="idle_timeout_s"):
        settings_given(PipelineConfig, {"meter.idle_timout_s": 7})
