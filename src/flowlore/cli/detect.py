"""`flowlore detect`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import learning, options, rates

if TYPE_CHECKING:
    from .metering import Request


def detect(
    inputs: options.Inputs = None,
    by: rates.By = "host",
    step: rates.Step = None,
    bundle: Annotated[
        str | None,
        typer.Option("--bundle", metavar="BUNDLE", help="Ask this taught detector (`flowlore fit --task ddos`)."),
    ] = None,
    learn: Annotated[
        float | None,
        typer.Option(
            "--learn",
            metavar="SHARE",
            min=0,
            max=0.95,
            help="First part of the time, without attacks; 0, with a bundle: there is none. 0.5 unless set.",
        ),
    ] = None,
    quiet: Annotated[
        list[str] | None,
        typer.Option(
            "--quiet",
            metavar="IN",
            help="Traffic without attacks, or its rates, which says what is usual; files are then read as a stream. "
            "May be repeated.",
        ),
    ] = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="Print alarms as they begin and end, in bounded memory, as live ones are.")
    ] = False,
    interface: options.Interface = None,
    listen: options.Listen = None,
    duration: options.Duration = None,
    false_alarms: Annotated[
        float | None,
        typer.Option(
            "--false-alarms", metavar="N", min=0.001, max=1e6, help="A day, over all hosts together; 1 unless set."
        ),
    ] = None,
    where: options.Where = None,
    config: options.ConfigFile = None,
    set: options.Set = None,
    json: options.Json = False,
) -> None:
    """Find hosts that are flooded, by rates far above what they were.

    \b
    flowlore detect exports/ --step 10s
    flowlore detect rates.parquet --false-alarms 0.2
    flowlore detect exports/ --bundle floods --learn 0
    flowlore detect --listen :2055 --bundle floods
    flowlore detect -i eth0 --quiet yesterday/ --json
    """
    from dataclasses import replace

    from ..errors import SettingError
    from ..tasks.ddos.alarms import detect as find
    from . import floods
    from .metering import Request, check
    from .seriesinputs import read_rates
    from .text import print_json

    settings = options.resolved(config, set)
    request = Request(
        verb="detect", may_be_live=True, inputs=list(inputs or []), interface=interface, listen=listen,
        duration_s=duration, where=where,
    )  # fmt: skip
    if stream or request.is_live or quiet:
        from .watching import Wanted, watch_floods

        if learn is not None:
            raise SettingError(
                "detect: `--learn` is a share of a whole record, and a stream has no end", hint="`--quiet`"
            )
        if bundle is None and not request.is_live:
            bundle, request = _first_bundle(request)
        wanted = Wanted(bundle=bundle, quiet=quiet or (), by=by, step=step, where=where, false_alarms=false_alarms)
        watch_floods(request, settings, wanted, json=json)
        return
    check(request)
    learn, inputs = 0.5 if learn is None else learn, request.inputs
    chosen = settings.detection
    if false_alarms is not None:
        chosen = replace(chosen, false_alarms_a_day=false_alarms)
    bundle, inputs = floods.split_bundle(inputs, bundle)
    if bundle is not None:
        if by != "host":
            raise SettingError("detect: a taught detector knows hosts, and nothing else", hint="leave `--by` out")
        learning.require_extra()
        found, detector = floods.asked(
            bundle, inputs, settings, step=step, where=where, learn=learn, false_alarms=false_alarms
        )
        chosen = detector.settings if false_alarms is None else chosen
    elif not learn:
        raise SettingError(
            "detect: without a bundle and without a quiet time nothing says what is usual",
            hint="`--learn 0.5`, or `--bundle` with one that `flowlore fit --task ddos` made",
        )
    else:
        read = read_rates(inputs, settings, by=by, step=step, default_step="10s", where=where, cut=True)
        found = find(read, chosen, learn=learn)
    if json:
        print_json(
            {
                "alarms": [alarm.as_json() for alarm in found.alarms],
                "threshold": found.threshold,
                "hosts": found.hosts,
                "examined_days": found.examined_days,
                "false_alarms_a_day": chosen.false_alarms_a_day,
                "notes": dict(found.notes),
            }
        )
        return
    _print(found, chosen.false_alarms_a_day)


def _first_bundle(request: Request) -> tuple[str | None, Request]:
    from dataclasses import replace

    from .floods import split_bundle

    bundle, inputs = split_bundle(request.inputs, None)
    return bundle, replace(request, inputs=inputs)


def _print(found: Any, allowed: float) -> None:
    from ..flows.summary import instant_text
    from .text import print_table

    print(
        f"{found.hosts:,} hosts, examined from {instant_text(found.examined_from_ns)[:19]} UTC "
        f"({found.examined_days:.3g} days); threshold {found.threshold:.1f} for {allowed:g} false alarms a day"
    )
    for name, count in found.notes.items():
        print(f"  note: {count:,} {name}")
    if not found.alarms:
        print("no alarm")
        return
    rows = [
        [
            alarm.host,
            instant_text(alarm.begin_ns)[:19],
            f"{(alarm.end_ns - alarm.begin_ns) / 1e9:,.0f} s",
            alarm.kind,
            f"{alarm.packets_per_s:,.0f}",
            f"{alarm.bits_per_s / 1e6:,.1f}",
            f"{alarm.peers:,}",
            f"{alarm.score:.1f}",
            *([] if alarm.probability is None else [f"{alarm.probability:.2f}", alarm.learnt_kind or ""]),
        ]
        for alarm in found.alarms
    ]
    headings = ["host", "since (UTC)", "lasted", "kind", "packets/s", "Mbit/s", "peers", "score"]
    headings += [] if found.alarms[0].probability is None else ["probability", "most like"]
    print_table(headings, rows, numbers=(2, 4, 5, 6, 7, 8))
