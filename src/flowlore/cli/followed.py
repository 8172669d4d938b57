"""`flowlore generate GENERATOR --follow RATES`: flows at the hosts and times that rates ask for."""

from __future__ import annotations

from typing import Any

from ..errors import InputError, SettingError


def generate_following(
    bundle: str, output: str, rates: str, *, label: str | None, path: int | None, place: str, draw: int | None,
    seed: int, overwrite: bool,
) -> dict[str, Any]:  # fmt: skip
    """Write a flow table or a capture, and say how near its rates come to those that were asked for."""
    import numpy as np

    from ..flows.write import open_writer
    from ..tasks.following.follow import follow
    from ..tasks.generation import MAKER, load_imitator
    from ..tasks.thin_places import checked_place
    from .generate import write_capture
    from .generating import CAPTURES, check_output
    from .roles import asks_rates

    asked_at = checked_place(place)
    check_output(output, overwrite=overwrite)
    if asks_rates(bundle, maker=MAKER):
        raise SettingError(
            f"generate: `{bundle}` knows rates and makes no flows up, so it cannot follow any",
            hint="give what `flowlore imitate` made",
        )
    asked = _rates_table(rates)
    imitator = load_imitator(bundle)
    is_capture = output.endswith(CAPTURES)
    made = follow(
        imitator, asked, np.random.default_rng(seed),
        label=label, path=path, where=asked_at, draw=draw, capture=is_capture,
    )  # fmt: skip
    if made.capture is not None:
        write_capture(made.capture, output, overwrite)
    else:
        with open_writer(output, overwrite=overwrite, metadata={"bundle": bundle, "follows": rates}) as writer:
            for batch in made.table.to_batches():
                writer.write(batch)
    return {"class": label, "output": output, "follows": rates} | dict(made.report)


def print_following(report: dict[str, Any]) -> None:
    from .text import print_table, printable

    rows = f" in {report['rows']:,} rows" if report["rows"] > report["flows"] else ""
    print(
        f"{report['flows']:,} flows{rows} of {report['hosts']:,} hosts and {report['steps']:,} steps of "
        f"{report['step']} → {printable(report['output'])}"
    )
    notes = {
        "rows_of_others": "rows of `(others)`, whom nothing can follow",
        "in_a_hurry": "flows made faster, so that they end in their step",
        "longer": f"flows go on after their drawn packets, with {report['packets_beyond']:,} more",
    }
    for name, words in notes.items():
        if report[name]:
            print(f"  note: {report[name]:,} {words}")
    table = [
        [name, f"{one['asked']:,.0f}", f"{one['made']:,.0f}", "-" if one["wape"] is None else f"{one['wape']:.3f}"]
        for name, one in report["closeness"].items()
    ]
    print_table(["rates of hosts and steps", "asked", "made", "WAPE"], table, numbers=(1, 2, 3))


def _rates_table(path: str) -> Any:
    from ..features.rates.rates import Rates, is_rates_table
    from ..sources.plainseries import is_plain_series, read_plain_table

    table = read_plain_table(path)
    if is_rates_table(table):
        return Rates.from_table(table)
    if not is_plain_series(path):
        raise InputError(
            f"follow: `{path}` is no file of rates",
            hint="`flowlore rates TRAFFIC --by host -o rates.parquet` makes one",
        )
    return table
