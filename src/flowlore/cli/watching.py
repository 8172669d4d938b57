"""`flowlore detect` over traffic that goes on: alarms as they begin and end."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..errors import SettingError

if TYPE_CHECKING:
    from ..config import PipelineConfig
    from ..features.rates.builder import RateBuilder
    from ..tasks.ddos.alerts import AlarmBook, Event
    from .metering import Request

STEP = "10s"
FEWEST_FLOWS, MANY_LATE = 200, 0.1  # from which on late flows are warned of, and what share of all is too much
LATENESS_S = 60.0  # exporters tell of a flow that goes on once a minute


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What says which rates are too high: a taught detector, or a record of quiet traffic."""

    bundle: str | None
    quiet: Sequence[str]
    by: str
    step: str | None
    where: str | None
    false_alarms: float | None


def watch_floods(request: Request, settings: PipelineConfig, wanted: Wanted, *, json: bool) -> None:
    """Print an event when an alarm begins and when it ends, until the traffic does."""
    from ..features.rates.builder import RateBuilder
    from ..features.rates.entities import check_kind
    from ..features.rates.settings import step_words
    from .metering import check, scanning
    from .seriesinputs import cut_at_steps

    check_kind(wanted.by)
    check(request)
    book = _book(settings, wanted)
    step = step_words(book.watch.step_ns)
    settings = cut_at_steps(settings, step)
    lateness_s = _lateness_s(request, settings, book.watch.step_s)
    builder = RateBuilder(wanted.by, step, replace(settings.rates, lateness_s=lateness_s))
    was_warned = False
    with scanning(request, settings) as scan:
        for batch in scan:
            for closed in builder.add(batch):
                _tell(book.add(closed), json)
            if not was_warned and (was_warned := _are_many_late(builder)):
                _warn_of_late(builder, lateness_s)
    for closed in builder.finish():
        _tell(book.add(closed), json)
    _tell(book.finish(), json)
    report = {
        "flows": builder.flows,
        "steps": book.steps,
        "hosts": book.watch.hosts,
        "alarms": book.alarms,
        "threshold": book.threshold(book.watch.hosts),
        "notes": {**builder.notes, **book.watch.notes, **scan.account.notes},
        "skipped": dict(scan.account.skipped),
    }
    _print_end(report, json)


def _book(settings: PipelineConfig, wanted: Wanted) -> AlarmBook:
    from ..features.rates.settings import step_ns, step_words
    from ..tasks.ddos.alerts import AlarmBook

    if wanted.bundle is not None:
        from ..tasks.bundle import load_bundle
        from ..tasks.bundle_shelf import find_bundle
        from ..tasks.ddos.bundles import FloodDetector
        from ..tasks.ddos.watch import FloodWatch
        from .floods import refuse_other_detection
        from .learning import require_extra

        if wanted.quiet or wanted.by != "host":
            raise SettingError(
                "detect: a taught detector knows hosts and what is too much; `--quiet` and `--by` are of thresholds",
                hint="leave `--bundle` out, or the others",
            )
        require_extra()
        detector = FloodDetector.from_bundle(load_bundle(find_bundle(wanted.bundle)))
        refuse_other_detection(detector.settings, settings.detection, wanted.bundle)
        if wanted.step is not None and step_ns(wanted.step) != detector.step_ns:
            raise SettingError(
                f"detect: `{wanted.bundle}` was taught steps of {step_words(detector.step_ns)}",
                hint=f"`--step {step_words(detector.step_ns)}`, or leave it out",
            )
        allowed = detector.settings.false_alarms_a_day if wanted.false_alarms is None else wanted.false_alarms
        watch = FloodWatch(detector, gap_after_s=settings.rates.gap_after_s)
        return AlarmBook(watch, lambda hosts: detector.tail.threshold(allowed, hosts))
    if not wanted.quiet:
        raise SettingError(
            "detect: nothing says what is usual in traffic that goes on",
            hint="`--quiet` with a record without attacks, or `--bundle` with one that `flowlore fit --task ddos` made",
        )
    from ..tasks.ddos.watch import ThresholdWatch
    from .seriesinputs import read_rates

    chosen = settings.detection
    if wanted.false_alarms is not None:
        chosen = replace(chosen, false_alarms_a_day=wanted.false_alarms)
    quiet = read_rates(
        wanted.quiet, settings, by=wanted.by, step=wanted.step, default_step=STEP, where=wanted.where, cut=True
    )
    if quiet.by != wanted.by:
        raise SettingError(f"detect: the quiet record is by {quiet.by}, not by {wanted.by}", hint=f"`--by {quiet.by}`")
    threshold_watch, threshold = ThresholdWatch.after(quiet, chosen, gap_after_s=settings.rates.gap_after_s)
    return AlarmBook(threshold_watch, lambda hosts: threshold)


def _lateness_s(request: Request, settings: PipelineConfig, step_s: float) -> float:
    """How long flows may come after a step: those of packets are cut at windows, those of exporters are not."""
    if settings.rates.lateness_s is not None:
        return settings.rates.lateness_s
    return max(step_s if request.interface is not None else LATENESS_S, settings.meter.window_s)


def _are_many_late(builder: RateBuilder) -> bool:
    return builder.flows >= FEWEST_FLOWS and builder.notes.get("flows-late", 0) > MANY_LATE * builder.flows


def _warn_of_late(builder: RateBuilder, lateness_s: float) -> None:
    print(
        f"detect: {builder.notes['flows-late']:,} of {builder.flows:,} flows came more than {lateness_s:g} s after "
        "their step and say nothing of it, so that floods may be missed; shorter timeouts on the exporters, or "
        f"`--set rates.lateness_s={10 * lateness_s:g}`",
        file=sys.stderr,
        flush=True,
    )


def _tell(events: Any, json: bool) -> None:
    for event in events:
        print(_json_line(event) if json else _line(event), flush=True)


def _json_line(event: Event) -> str:
    from json import dumps

    return dumps(event.as_json())


def _line(event: Event) -> str:
    from ..flows.summary import instant_text
    from .text import printable

    alarm = event.alarm
    rate = f"{alarm.packets_per_s:,.0f} packets/s, {alarm.bits_per_s / 1e6:,.1f} Mbit/s, {alarm.peers:,} peers"
    if event.what == "ends":
        lasted = f"{(alarm.end_ns - alarm.begin_ns) / 1e9:,.0f} s"
        told = f"{alarm.kind} is over after {lasted}: at most {rate}"
        return f"{instant_text(alarm.end_ns)[:19]}Z  {printable(alarm.host)}  {told}"
    like = "" if alarm.probability is None else f", probability {alarm.probability:.2f}, most like {alarm.learnt_kind}"
    return f"{instant_text(alarm.begin_ns)[:19]}Z  {printable(alarm.host)}  {alarm.kind} begins: {rate}{like}"


def _print_end(report: dict[str, Any], json: bool) -> None:
    if json:
        from json import dumps

        print(dumps({"event": "stopped", **report}), flush=True)
        return
    print(
        f"{report['flows']:,} flows, {report['steps']:,} steps, {report['hosts']:,} hosts judged, "
        f"{report['alarms']:,} alarms; threshold {report['threshold']:.1f}",
        file=sys.stderr,
    )
    for title in ("skipped", "notes"):
        for name, count in sorted(report[title].items()):
            print(f"  {title.removesuffix('s')}: {count:,} {name}", file=sys.stderr)
