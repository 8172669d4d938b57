"""`flowlore forecast`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from . import learning, options, rates

SHOWN = 30


def forecast(
    inputs: learning.Flowed,
    horizon: Annotated[
        str, typer.Option("--horizon", metavar="TIME", help="How far: 1h, 1d …, or a number of steps.")
    ] = "1h",
    by: rates.By = "host",
    step: rates.Step = None,
    feature: Annotated[
        str, typer.Option("--feature", metavar="COLUMN", help="Which column of the rates: in_bytes, out_peers …")
    ] = "in_bytes",
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="Only the N largest series.")] = 10,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="NAME",
            help="linear, flowgen, lightgbm, mixture (of these two), gru, auto-ets, auto-arima, ewma, persistence or "
            "seasonal-naive; with --backtest several.",
        ),
    ] = None,
    bundle: Annotated[
        str | None, typer.Option("--bundle", metavar="BUNDLE", help="Use this trained flowgen, and train nothing.")
    ] = None,
    backtest: Annotated[
        str | None,
        typer.Option("--backtest", metavar="TIME", help="Forecast the last part, step by step, and score it."),
    ] = None,
    capacity: Annotated[
        list[str] | None,
        typer.Option(
            "--capacity", metavar="[NAME=]NUMBER", help="In the unit of the series; how likely it is exceeded is told."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="OUT", help="A .parquet, .csv or .jsonl file.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="OUT.html", help="Write a page with pictures to this file.")
    ] = None,
    time: rates.Time = None,
    entity: rates.Entity = None,
    value: rates.Value = None,
    counters: rates.Counters = False,
    absent_is_zero: rates.AbsentIsZero = False,
    every_step: Annotated[
        bool,
        typer.Option("--every-step", help="Tell every step up to the horizon; else some, close at first, then apart."),
    ] = False,
    seed: learning.Seed = 0,
    where: options.Where = None,
    overwrite: options.Overwrite = False,
    config: options.ConfigFile = None,
    set: options.Set = None,
    json: options.Json = False,
) -> None:
    """Forecast traffic with bands: of any entity in any traffic, or of a table of numbers over time.

    \b
    flowlore forecast capture.pcap --by host --step 1m --horizon 1h --html forecast.html
    flowlore forecast loads.csv --horizon 1d --capacity 10e9
    flowlore forecast rates.parquet --backtest 3d --method persistence --method lightgbm
    """
    learning.require_extra()
    import numpy as np

    from ..tasks.forecast.outlook import outlook
    from .seriesinputs import read_series, steps_of
    from .text import print_json

    if backtest is not None:
        barred = {"-o": output, "--html": html, "--capacity": capacity, "--every-step": every_step}
        _refuse("does not go with `--backtest`", barred)
    else:
        several = method is not None and len(method) > 1
        _refuse("more than once is for `--backtest`", {"--method": several})
        _refuse("does not go with `--bundle`, which is one, unless with `--backtest`", {"--method": bundle and method})
    capacities = _capacities(capacity or [])
    series = _largest(
        read_series(
            inputs, options.resolved(config, set), by=by, step=step, features=(feature,), entities=top, where=where,
            time=time, entity=tuple(entity or ()), value=value, counters=counters, absent_is_zero=absent_is_zero,
        ),
        None if backtest else top,
    )  # fmt: skip
    steps = steps_of(horizon, series.step_ns)
    rng = np.random.default_rng(seed)
    if backtest is not None:
        _backtest(series, steps, steps_of(backtest, series.step_ns), method, bundle, rng, as_json=json)
        return
    forecaster = _forecaster(bundle, feature) if bundle else _known(method or ["linear"])[0]
    found = outlook(series, steps, method=forecaster, rng=rng, capacities=capacities, every_step=every_step)
    table = found.table()
    if output is not None:
        _write(table, output, overwrite)
    if html is not None:
        _page(found, html, overwrite, inputs[0])
    if json:
        said = {"method": found.method, "horizons": list(found.horizons), "notes": dict(series.notes)}
        print_json(said | {"rows": table.to_pylist()})
        return
    _print_notes(series.notes)
    _print(table.to_pylist())
    if len(found.horizons) < steps:
        told = ", ".join(map(str, found.horizons))
        print(f"told are steps {told} ahead; `--every-step` tells all {steps:,}")
    for path in (output, html):
        if path is not None:
            print(f"→ {path}")


def _refuse(why: str, options: Mapping[str, object]) -> None:
    """Options by name that would do nothing, and what was given for each."""
    from ..errors import SettingError

    for name, value in options.items():
        if value:
            raise SettingError(f"forecast: `{name}` {why}", hint=f"leave `{name}` out")


def _largest(found: dict[str, Any], top: int | None) -> Any:
    import numpy as np

    (series,) = found.values()
    if top is None or len(series) <= top:
        return series
    order = np.argsort(-np.nansum(series.values, axis=1), kind="stable")[:top]
    return series.of([series.names[place] for place in order.tolist()])


def _known(methods: list[str]) -> list[str]:
    from ..tasks.forecast import FORECASTERS

    for name in methods:
        FORECASTERS.load(name)  # an unknown one is an error that tells the nearest
    return methods


def _forecaster(bundle: str, feature: str) -> Any:
    from ..tasks.forecast.bundles import check_features, load_flowgen
    from ..tasks.forecast.flowgen import FlowgenForecaster

    encoder = load_flowgen(bundle)
    check_features(encoder, (feature,))
    return FlowgenForecaster(encoder)


def _backtest(
    series: Any, steps: int, examined: int, methods: list[str] | None, bundle: str | None, rng: Any, *, as_json: bool
) -> None:
    from ..tasks.forecast.backtest import backtest
    from ..tasks.forecast.outlook import horizons_until
    from .text import print_json, print_table

    chosen: list[Any] = list(_known(methods or ["persistence", "seasonal-naive", "ewma", "linear"]))
    if bundle:
        chosen.append(_forecaster(bundle, series.feature))
    horizons = horizons_until(steps)
    found = backtest(series, series.steps - examined, horizons, methods=chosen, rng=rng)
    if as_json:
        said = {"horizons": list(horizons), "examined_steps": examined, "notes": dict(series.notes)}
        print_json(said | {"methods": found})
        return
    _print_notes(series.notes)
    rows = [
        [name, *(f"{one[key]:.4f}" for key in ("wape", "mase", "wql")), f"{100 * one['coverage_80']:.1f} %",
         f"{one['fit_s']:.1f} s"]
        for name, one in sorted(found.items(), key=lambda item: item[1]["wape"])
    ]  # fmt: skip
    print(f"{len(series):,} series, the last {examined:,} steps, horizons {', '.join(map(str, horizons))}")
    print_table(["method", "WAPE", "MASE", "WQL", "80 % band holds", "to learn"], rows, numbers=(1, 2, 3, 4, 5))


def _capacities(words: list[str]) -> dict[str, float]:
    from ..errors import SettingError

    found: dict[str, float] = {}
    for word in words:
        name, _, number = word.rpartition("=")
        try:
            found[name] = float(number)
        except ValueError:
            raise SettingError(
                f"forecast: `{number}` is no number in `--capacity {word}`", hint="NUMBER for all, or NAME=NUMBER"
            ) from None
    return found


def _write(table: Any, path: Path, overwrite: bool) -> None:
    from ..flows.tablefile import TableFile

    with TableFile(path, table.schema, overwrite=overwrite) as file:
        for batch in table.to_batches():
            file.write(batch)
        file.commit()


def _page(found: Any, path: Path, overwrite: bool, name: str) -> None:
    from ..flows.place import whole_file
    from ..pages.forecast_page import forecast_page

    series = found.series
    text = forecast_page(
        f"Forecast of {Path(name).name}", series.names, series.values,
        series.start_ns + series.steps * series.step_ns, series.step_ns, found.horizons, found.quantiles,
        method=found.method, over_capacity=found.over_capacity(), flags=found.flags,
    )  # fmt: skip
    with whole_file(path, overwrite=overwrite) as page:
        page.write(text.encode())


def _print_notes(notes: Mapping[str, int]) -> None:
    """What was odd about the times and numbers of the table as a whole."""
    for name, count in notes.items():
        print(f"  note: {count:,} {name}")


def _print(rows: list[dict[str, Any]]) -> None:
    from .text import print_table

    has_capacity = any(row["over_capacity"] is not None for row in rows)
    shown = []
    for row in rows[:SHOWN]:
        cells = [row["entity"], f"{row['step']:%Y-%m-%d %H:%M:%S}"]
        cells += [f"{row[key]:,.4g}" for key in ("low", "median", "high")]
        if has_capacity:
            cells.append("-" if row["over_capacity"] is None else f"{100 * row['over_capacity']:.1f} %")
        shown.append([*cells, row["flags"] or ""])
    headings = ["entity", "step (UTC)", "10 %", "median", "90 %", *(["over capacity"] if has_capacity else []), ""]
    print_table(headings, shown, numbers=(2, 3, 4, 5) if has_capacity else (2, 3, 4))
    if len(rows) > SHOWN:
        print(f"… and {len(rows) - SHOWN:,} more rows; `-o FILE` keeps all")
