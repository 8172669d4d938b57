"""What rates ask of flows: how many, of how many packets and bytes, with how many peers, of each host and step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ...errors import InputError, TaskError
from ...features.rates.entities import OTHERS
from ...features.rates.rates import Rates, is_rates_table
from ...features.rates.settings import NS_PER_S, step_ns, step_words
from ...flows.addresses import parse_addresses

Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]

MAPPED = bytes(10) + b"\xff\xff"  # before an IPv4 address in 16 bytes
SIDES = ("in", "out")
BEGUN, ACTIVE, PACKETS, BYTES, PEERS = FOLLOWED = ("flows", "active_flows", "packets", "bytes", "peers")
COUNTING = (BEGUN, ACTIVE)
MADE_METADATA = b"flowlore.made_rates"
NOT_A_HOST = ("/", " > ", "#")
REMEDY = "`flowlore rates TRAFFIC --by host -o rates.parquet`, or `flowlore generate DYNAMICS --after TRAFFIC`"


@dataclass(frozen=True, kw_only=True, eq=False)
class Asked:
    """A cell is a host in a step; cells are in order of time. `amounts` are whole numbers [cells, 2 (in, out)].

    What the rates do not know is not among the amounts, or NaN where they know it of one direction only.
    """

    hosts: tuple[str, ...]
    step_ns: int
    host: Integers  # [cells]
    begin_ns: Integers
    amounts: Mapping[str, Numbers]
    exact: Mapping[str, Numbers]  # before they were rounded
    others: int = 0  # rows of hosts that were put together, which nothing can follow

    def __len__(self) -> int:
        return len(self.host)

    @property
    def knows_who_began(self) -> bool:
        return BEGUN in self.amounts

    @property
    def family(self) -> Integers:
        """Of each cell: 4 and 6 for addresses, 0 for a name. Hosts talk to others of their family."""
        parsed, bad = parse_addresses(pa.array(self.hosts, pa.string()))
        is_ipv4 = [not none and one[:12] == MAPPED for one, none in zip(parsed.to_pylist(), bad, strict=True)]
        return np.asarray(np.where(bad, 0, np.where(is_ipv4, 4, 6))[self.host])

    def amount(self, feature: str) -> Numbers:
        """With 0 for what is not known."""
        known = self.amounts.get(feature)
        return np.zeros((len(self), 2)) if known is None else np.nan_to_num(known)


def asked_by(rates: Rates | pa.Table, path: int | None = None) -> Asked:
    """From rates of hosts, or a table of made-up ones, of which `path` chooses one where there are several."""
    table, step = _table_and_step(rates)
    table = _one_path(table, path)
    entity = table["entity"].cast(pa.string())
    is_others = pc.fill_null(pc.equal(entity, OTHERS), True)
    others = int(pc.sum(is_others).as_py() or 0)
    table = table.filter(pc.invert(is_others))
    exact = {name: found for name in FOLLOWED if (found := _both_sides(table, name)) is not None}
    if not any(name in exact for name in COUNTING):
        raise InputError(
            "follow: these rates do not say how many flows there are: they have neither `in_flows` nor "
            "`in_active_flows`, and none of `out_`",
            hint=REMEDY,
        )
    amounts = {name: np.rint(values) for name, values in exact.items()}
    asks = sum((np.nan_to_num(amounts[name]).sum() for name in (*COUNTING, PACKETS) if name in amounts), 0.0)
    if not asks:
        raise InputError("follow: these rates have no flow in any step, so nothing follows them", hint=REMEDY)
    begins = _instants(table["step"])
    encoded = table["entity"].cast(pa.string()).combine_chunks().dictionary_encode()
    hosts = tuple(encoded.dictionary.to_pylist())
    for name in hosts:
        if any(mark in name for mark in NOT_A_HOST):
            raise InputError(f"follow: `{name}` is no host, and flows are between hosts", hint=REMEDY)
    host = np.asarray(encoded.indices.to_numpy(), np.int64)
    order = np.lexsort((host, begins))
    host, begins = host[order], begins[order]
    _check_cells(hosts, host, begins, step)
    return Asked(
        hosts=hosts,
        step_ns=step,
        host=host,
        begin_ns=begins,
        amounts={name: values[order] for name, values in amounts.items()},
        exact={name: values[order] for name, values in exact.items()},
        others=others,
    )


def made_metadata(by: str, step: int) -> str:
    """What a file of made-up rates says about itself."""
    return json.dumps({"by": by, "step_ns": step})


def _table_and_step(rates: Rates | pa.Table) -> tuple[pa.Table, int]:
    table = rates.table if isinstance(rates, Rates) else rates
    absent = [name for name in ("step", "entity") if name not in table.column_names]
    if absent:
        raise InputError(
            f"follow: this table has no column `{absent[0]}`, so it is no rates of hosts: {_some(table.column_names)}",
            hint=REMEDY,
        )
    if not isinstance(rates, Rates) and is_rates_table(table):
        rates = Rates.from_table(table)
    if isinstance(rates, Rates):
        by, step = rates.by, rates.step_ns
    else:
        held = (table.schema.metadata or {}).get(MADE_METADATA)
        about = json.loads(held) if held else {}
        by, step = str(about.get("by", "host")), int(about.get("step_ns", 0)) or _usual_step(table)
    if by != "host":
        raise InputError(f"follow: these are rates by {by}, and flows are between hosts", hint=REMEDY)
    if not table.num_rows:
        raise InputError("follow: these rates have no row, so nothing follows them", hint=REMEDY)
    return table, step


def _one_path(table: pa.Table, path: int | None) -> pa.Table:
    if "path" not in table.column_names:
        if path is not None:
            raise TaskError(f"follow: path {path} was asked for, and these rates have no paths", hint="leave it out")
        return table
    known = sorted(pc.unique(table["path"]).drop_null().to_pylist())
    if path is None and len(known) > 1:
        raise TaskError(
            f"follow: these rates have {len(known)} paths, {known[0]} to {known[-1]}, and flows follow one",
            hint=f"`--path {known[0]}`",
        )
    chosen = known[0] if path is None else path
    if chosen not in known:
        raise TaskError(
            f"follow: these rates have no path {chosen} (known: {known[0]} to {known[-1]})", hint=f"`--path {known[0]}`"
        )
    return table.filter(pc.equal(table["path"], chosen))


def _both_sides(table: pa.Table, feature: str) -> Numbers | None:
    """[rows, 2 (in, out)], NaN for a direction that has no column; None where neither has one."""
    names = [f"{side}_{feature}" for side in SIDES]
    if not any(name in table.column_names for name in names):
        return None
    out = np.full((table.num_rows, 2), np.nan)
    for place, name in enumerate(names):
        if name not in table.column_names:
            continue
        column = table[name]
        if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            raise InputError(f"follow: `{name}` has {column.type} where numbers are needed", hint=REMEDY)
        numbers = np.asarray(column.to_numpy(), np.float64)
        out[:, place] = np.nan_to_num(numbers)
        is_wrong = (numbers < 0) | np.isinf(numbers)
        if is_wrong.any():
            at = table["entity"][int(np.argmax(is_wrong))]
            raise InputError(f"follow: `{name}` of `{at}` is negative or without end", hint="mend the file of rates")
    return out


def _usual_step(table: pa.Table) -> int:
    """Where the file does not say: the shortest time between two steps."""
    apart = np.diff(np.unique(_instants(table["step"])))
    if not len(apart):
        raise InputError(
            "follow: these rates have one step and do not say how long it is", hint="rates as Parquet, which say it"
        )
    return int(apart.min())


def _instants(column: pa.ChunkedArray) -> Integers:
    try:
        instants = column.cast(pa.timestamp("ns", tz="UTC"))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"follow: `step` has {column.type} where times are needed", hint=REMEDY) from error
    if instants.null_count:
        raise InputError(f"follow: `step` is empty in {instants.null_count:,} rows of rates", hint=REMEDY)
    return np.asarray(instants.cast(pa.int64()).to_numpy(), np.int64)


def _check_cells(hosts: tuple[str, ...], host: Integers, begins: Integers, step: int) -> None:
    if step < NS_PER_S or step_ns(step_words(step)) != step or (begins % step).any():
        raise InputError(
            "follow: these rates have no even steps of whole seconds that divide a day", hint="as `flowlore rates` has"
        )
    twice = np.flatnonzero((np.diff(begins) == 0) & (np.diff(host) == 0))
    if len(twice):
        when = np.datetime64(int(begins[twice[0]]), "ns").astype("M8[s]")
        raise InputError(
            f"follow: these rates have two rows of `{hosts[host[twice[0]]]}` at {when} UTC",
            hint="a row for each host and step",
        )


def _some(names: list[Any]) -> str:
    return ", ".join(f"`{name}`" for name in names[:6]) + (" …" if len(names) > 6 else "")
