"""`flowlore rates`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options

if TYPE_CHECKING:
    from ..config import PipelineConfig

By = Annotated[
    str,
    typer.Option(
        "--by", metavar="KIND", help="Entities: host, prefix, interface, exporter, as, link (two hosts) or application."
    ),
]
Step = Annotated[str | None, typer.Option("--step", metavar="STEP", help="10s, 1m, 5m, 1h, or what divides a day.")]
Time = Annotated[str | None, typer.Option("--time", metavar="COLUMN", help="Of a plain table: where the time is.")]
Entity = Annotated[
    list[str] | None,
    typer.Option(
        "--entity",
        metavar="COLUMN",
        help="Of a table with a row for each entity: what names it. May be repeated.",
    ),
]
Value = Annotated[str | None, typer.Option("--value", metavar="COLUMN", help="With --entity: where the number is.")]
Counters = Annotated[
    bool, typer.Option("--counters", help="Of a plain table: numbers only grow, as those of SNMP; take their growth.")
]
AbsentIsZero = Annotated[
    bool, typer.Option("--absent-is-zero", help="Of a plain table: what is not there was nothing, and no gap.")
]
LATENESS_LIVE_S = 300.0
RATES_COLUMNS = {"entity", "step", "in_packets", "out_packets"}


def rates(
    inputs: options.Inputs = None,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="OUT", help="A .parquet, .csv or .jsonl file, - for JSON lines.")
    ] = "",
    by: By = "host",
    step: Step = None,
    interface: options.Interface = None,
    listen: options.Listen = None,
    duration: options.Duration = None,
    time: Time = None,
    entity: Entity = None,
    value: Value = None,
    counters: Counters = False,
    absent_is_zero: AbsentIsZero = False,
    where: options.Where = None,
    asn: options.Asn = None,
    overwrite: options.Overwrite = False,
    config: options.ConfigFile = None,
    set: options.Set = None,
    json: options.Json = False,
) -> None:
    """Turn traffic into time series of every host, prefix, interface, exporter, AS, link or application.

    A table of numbers over time (a traffic matrix, link loads) is brought into the same form, its gaps told from zeros.

    \b
    flowlore rates capture.pcap -o rates.parquet --by host --step 1m
    flowlore rates exports/ -o rates.parquet --by as --step 5m
    flowlore rates --listen :2055 -o - --by interface --step 10s
    flowlore rates loads.csv -o loads.parquet --counters
    """
    import contextlib
    import sys

    from ..errors import OutputError
    from ..features.rates.entities import check_kind
    from ..sources.plainseries import is_plain_series
    from .metering import Request
    from .text import print_json

    if not output:
        raise OutputError("output: where the rates should go was not said", hint="`-o rates.parquet`, or `-o -`")
    check_kind(by)
    settings = options.resolved(config, set)
    request = Request(
        verb="rates", may_be_live=True, inputs=inputs or [], interface=interface, listen=listen, duration_s=duration,
        where=where, asn=asn, output=output, overwrite=overwrite,
    )  # fmt: skip
    if inputs and len(inputs) == 1 and (time or entity or counters or absent_is_zero or is_plain_series(inputs[0])):
        report = _plain(
            inputs[0], output, step, overwrite,
            time=time, entity=entity, value=value, counters=counters, absent_is_zero=absent_is_zero,
        )  # fmt: skip
    else:
        report = _of_flows(request, settings, by, step or "1m")
    if json:
        print_json(report)
        return
    with contextlib.redirect_stdout(sys.stderr) if output == "-" else contextlib.nullcontext():
        _print_report(report)


def _of_flows(request: Any, settings: PipelineConfig, by: str, step: str) -> dict[str, Any]:
    from dataclasses import replace
    from time import perf_counter

    from ..features.rates.builder import RateBuilder
    from ..features.rates.columns import rates_schema
    from ..features.rates.rates import rates_metadata
    from ..flows.tablefile import TableFile
    from ..settings import as_toml, settings_hash
    from .metering import check, scanning

    began = perf_counter()
    check(request)
    rates = settings.rates
    if request.is_live and rates.lateness_s is None:
        rates = replace(rates, lateness_s=LATENESS_LIVE_S)
    builder = RateBuilder(by, step, rates)
    with TableFile(request.output, rates_schema(), overwrite=request.overwrite) as file:
        with scanning(request, settings) as scan:
            for batch in scan:
                for closed in builder.add(batch):
                    file.write(closed)
        for closed in builder.finish():
            file.write(closed)
        config_hash = settings_hash(settings)
        file.commit(
            {
                "rates": rates_metadata(by, builder.step_ns, builder.gaps(), builder.notes),
                "config": as_toml(settings, with_meanings=False),
                "config_hash": config_hash,
            }
        )
    return {
        "by": by,
        "step_ns": builder.step_ns,
        "flows": builder.flows,
        "rows": file.rows,
        "steps": builder.steps,
        "gaps": _spans(builder.gaps()),
        "notes": builder.notes,
        "skipped": dict(scan.account.skipped),
        "seconds": round(perf_counter() - began, 6),
        "output": request.output,
        "config_hash": config_hash,
    }


def _plain(path: str, output: str, step: str | None, overwrite: bool, **named: Any) -> dict[str, Any]:
    from ..errors import InputError, OutputError
    from ..features.rates.plain import plain_batch, plain_series
    from ..features.rates.rates import Rates, is_rates_table
    from ..features.rates.settings import step_ns, step_words
    from ..flows.tablefile import TableFile
    from ..sources.plainseries import read_plain_table

    table = read_plain_table(path)
    if is_rates_table(table):
        made = Rates.from_table(table)
        raise InputError(
            f"rates: `{path}` holds rates by {made.by} already, in steps of {step_words(made.step_ns)}",
            hint="`detect` and `forecast` take it as it is; other steps and entities are made of the traffic",
        )
    if set(table.column_names) >= RATES_COLUMNS and not any(named.values()):
        raise InputError(
            f"rates: `{path}` looks like rates written as text, which keeps neither their step nor their kind",
            hint="`-o rates.parquet` keeps both; `--entity entity --time step --value in_bytes` takes one column",
        )
    if Path(output).exists() and Path(output).samefile(path):
        raise OutputError(f"output: `{output}` is what is read", hint="choose another name for `-o`")
    named["entity"] = tuple(named["entity"] or ())
    series = plain_series(table, **named)
    if step is not None:
        series = series.coarser(step_ns(step))
    batch = plain_batch(series)
    with TableFile(output, batch.schema, overwrite=overwrite) as file:
        file.write(batch)
        file.commit()
    return {
        "entities": len(series),
        "step_ns": series.step_ns,
        "rows": batch.num_rows,
        "steps": series.steps,
        "notes": dict(series.notes),
        "flags": {name: list(flags) for name, flags in series.flags.items()},
        "output": output,
    }


def _spans(gaps: list[tuple[int, int]]) -> list[dict[str, str]]:
    from ..flows.summary import instant_text

    return [{"from": instant_text(begin), "to": instant_text(end)} for begin, end in gaps]


def _print_report(report: dict[str, Any]) -> None:
    from ..features.rates.settings import step_words
    from .text import printable

    for title, counts in (("skipped", report.get("skipped", {})), ("note", report["notes"])):
        for name, count in counts.items():
            print(f"  {title}: {count:,} {printable(name)}")
    for name, flags in list(report.get("flags", {}).items())[:10]:
        print(f"  {printable(name)}: {', '.join(flags)}")
    if len(report.get("flags", {})) > 10:
        print(f"  … and {len(report['flags']) - 10:,} more; `--json` names them")
    for gap in report.get("gaps", [])[:10]:
        print(f"  gap: no flow from {gap['from'][:19]} to {gap['to'][:19]} UTC")
    what = f"{report['flows']:,} flows" if "flows" in report else f"{report['entities']:,} series"
    by = f" by {report['by']}" if "by" in report else ""
    print(
        f"{what} → {report['rows']:,} rows{by}, {report['steps']:,} steps of {step_words(report['step_ns'])} "
        f"→ {printable(report['output'])}"
    )
