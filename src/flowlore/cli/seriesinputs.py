"""What verbs of series read: rates that were written, plain tables of numbers, or any traffic, as one `Series`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import InputError, SettingError

if TYPE_CHECKING:
    from ..config import PipelineConfig
    from ..features.rates.rates import Rates
    from ..features.rates.series import Series

MOST_ENTITIES = 200
LONGEST_WINDOW_S = 86_400.0
FEATURES = tuple(
    f"{side}_{name}"
    for name in ("bytes", "packets", "active_flows", "peers", "ports", "syn_packets")
    for side in ("in", "out")
)


def read_series(
    inputs: Sequence[str],
    settings: PipelineConfig,
    *,
    by: str = "host",
    step: str | None = None,
    features: Sequence[str] = ("in_bytes",),
    entities: int = MOST_ENTITIES,
    where: str | None = None,
    **plain: Any,
) -> dict[str, Series]:
    """A series for each feature, of the same entities: the largest by the first one. A plain table has one, `value`."""
    from ..features.rates.entities import check_kind
    from ..features.rates.plain import plain_series
    from ..features.rates.rates import Rates, is_rates_table
    from ..features.rates.series import flagged
    from ..features.rates.settings import step_ns
    from ..sources.plainseries import is_plain_series, read_plain_table

    check_kind(by)
    named = {name: value for name, value in plain.items() if value}
    if len(inputs) == 1 and (named or is_plain_series(inputs[0])):
        table = read_plain_table(inputs[0])
        if not is_rates_table(table):
            found = plain_series(table, **named)
            found = found if step is None else found.coarser(step_ns(step))
            return {found.feature: flagged(found)}
        rates = _of_step(Rates.from_table(table), inputs[0], step)
    else:
        rates = _rates(inputs, settings, by, step or "1m", where)
    largest = rates.series(features[0], entities=entities)
    if not len(largest):
        raise InputError("rates: there is no traffic of any entity", hint="`flowlore inspect` shows what is in it")
    return {name: (largest if name == features[0] else rates.series(name).of(largest.names)) for name in features}


def read_rates(
    inputs: Sequence[str],
    settings: PipelineConfig,
    *,
    by: str,
    step: str | None,
    default_step: str,
    where: str | None = None,
    cut: bool = False,
) -> Rates:
    """Rates that were written, or made of any traffic; with `cut` flows of packets are cut at the steps."""
    from ..features.rates.rates import Rates, is_rates_table
    from ..sources.plainseries import is_plain_series, read_plain_table

    if len(inputs) == 1 and is_plain_series(inputs[0]):
        table = read_plain_table(inputs[0])
        if not is_rates_table(table):
            raise InputError(
                f"rates: `{inputs[0]}` is a plain table of numbers, and rates of hosts are needed",
                hint="`flowlore rates TRAFFIC -o rates.parquet` makes them",
            )
        return _of_step(Rates.from_table(table), inputs[0], step)
    step = step or default_step
    return _rates(inputs, cut_at_steps(settings, step) if cut else settings, by, step, where)


def cut_at_steps(settings: PipelineConfig, step: str) -> PipelineConfig:
    """The meter cuts flows at each step, so that none is spread evenly over several; a window that was set stays."""
    from dataclasses import replace

    from ..features.rates.settings import NS_PER_S, step_ns

    if settings.meter.window_s:
        return settings
    window_s = min(step_ns(step) / NS_PER_S, LONGEST_WINDOW_S)
    return replace(settings, meter=replace(settings.meter, window_s=window_s))


def steps_of(words: str, step_ns: int) -> int:
    """A length of time in words as steps: `1d`, `90m`, or a plain number of steps.

    >>> steps_of("1h", 300_000_000_000), steps_of("12", 1)
    (12, 12)
    """
    import re

    from ..features.rates.series import duration_words
    from ..features.rates.settings import NS_PER_S, UNITS_S

    found = re.fullmatch(r"(\d{1,9})([smhd]?)", words.strip())
    if not found or not int(found[1]):
        raise SettingError(f"forecast: `{words}` is no length of time", hint="for example `1h`, `1d`, or 12 for steps")
    if not found[2]:
        return int(found[1])
    span = int(found[1]) * UNITS_S[found[2]] * NS_PER_S
    if span % step_ns:
        raise SettingError(
            f"forecast: `{words}` is no whole number of steps of {duration_words(step_ns)}",
            hint="a multiple of the step",
        )
    return span // step_ns


def _of_step(rates: Rates, path: str, step: str | None) -> Rates:
    from ..features.rates.settings import step_ns, step_words

    if step is not None and step_ns(step) != rates.step_ns:
        raise SettingError(
            f"rates: `{path}` has steps of {step_words(rates.step_ns)}, and {step} are wanted",
            hint=f"make it again from the traffic with `flowlore rates … --step {step}`",
        )
    return rates


def _rates(inputs: Sequence[str], settings: PipelineConfig, by: str, step: str, where: str | None) -> Rates:
    from ..features.rates.rates import rates
    from .metering import Request, check, scanning

    request = Request(inputs=list(inputs), where=where)
    check(request)
    with scanning(request, settings) as scan:
        return rates(scan, by, step, settings=settings.rates)
