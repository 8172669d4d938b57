"""Real attack packets over real traffic of others: episodes with a stated ramp, duration and rate.

Captures of attacks are short and have no background. The flows of one, in slices of a second, are repeated in their own
order for as long as an episode lasts; in each second so many of them come as the profile says. Addresses of attackers
stay, the victim's becomes that of the host under attack. What the victim would have answered, and what its users would
have lost, is not made up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ...errors import TaskError
from ...features.rates.settings import NS_PER_S
from ...flows.addresses import address_bytes
from ...flows.schema import flow_batch
from .attacks import Attack

SHORTEST_S, LONGEST_S = 30.0, 1800.0
RAMPS_S = (0.0, 10.0, 30.0, 60.0, 120.0)
STRATA = {
    "half to 1": (0.5, 1.0),
    "1 to 3": (1.0, 3.0),
    "3 to 10": (3.0, 10.0),
    "10 to 20": (10.0, 20.0),
}  # of the rate, in the victim's own 99th percentile
LEAST_PACKETS_PER_S = 1.0  # of a percentile: less is no traffic to be flooded
MOST_PACKETS = 2_000_000  # of an episode
LARGEST_SLICE = 10  # packets: larger flows of sensors that do not slice are cut, or a loop would be bursts and silence
REST_S = 600.0  # of a victim after an episode
NUMBERED = ("src_port", "dst_port", "protocol", "tcp_flags_fwd", "packets_fwd", "bytes_fwd")
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class AttackSource:
    """The flows of a capture that went to its victim, in slices of at most a second, in order of time."""

    name: str
    kind: str
    src_ip: pa.Array
    columns: dict[str, npt.NDArray[Any]]
    duration_ns: Integers
    seconds: float  # that the capture lasts

    @property
    def packets(self) -> int:
        return int(self.columns["packets_fwd"].sum())


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One episode to be laid: `times_usual` is the plateau in units of the victim's `usual` packets a second."""

    victim: str
    begin_ns: int
    duration_s: float
    ramp_s: float
    times_usual: float
    usual_per_s: float
    source: AttackSource


def attack_source(flows: Any, name: str, kind: str) -> AttackSource:
    """From flows that were metered with `meter.window_s = 1`. The victim is the address that most packets went to."""
    table = flows.to_arrow() if hasattr(flows, "to_arrow") else flows
    table = table.sort_by("start")
    packets = np.asarray(pc.fill_null(table["packets_fwd"], 0).to_numpy(), np.int64)
    table, packets = table.filter(pa.array(packets > 0)), packets[packets > 0]
    if not table.num_rows:
        raise TaskError(f"detect: the attack `{name}` has no packets", hint="give a capture that holds some")
    victims = table["dst_ip"].combine_chunks().dictionary_encode()
    codes = np.asarray(victims.indices)
    towards = codes == np.bincount(codes, weights=packets).argmax()
    table = table.filter(pa.array(towards))
    columns = {column: np.asarray(pc.fill_null(table[column], 0).to_numpy(), np.int64) for column in NUMBERED}
    columns["part"] = np.asarray(pc.fill_null(table["part"], 0).to_numpy(), np.int64)
    start = np.asarray(table["start"].cast(pa.int64()).to_numpy(), np.int64)
    lasts = np.asarray(pc.fill_null(table["duration_ns"], 0).to_numpy(), np.int64)
    rows = _cut(columns)
    return AttackSource(
        name=name,
        kind=kind,
        src_ip=table["src_ip"].combine_chunks().take(pa.array(rows)),
        columns=columns,
        duration_ns=np.minimum(lasts, NS_PER_S)[rows],
        seconds=max(float((start + lasts).max() - start.min()) / NS_PER_S, 1e-3),
    )


def drawn_episodes(
    victims: Sequence[tuple[str, float]],
    sources: Sequence[AttackSource],
    span_ns: tuple[int, int],
    count: int,
    rng: np.random.Generator,
    *,
    strata: Sequence[tuple[float, float]] = tuple(STRATA.values()),
) -> list[Wanted]:
    """So many episodes at random times, never two of one victim at a time; as many of each stratum and source.

    `victims` are hosts with the 99th percentile of the packets a second that they receive. Fewer come where there is no
    room for more.
    """
    busy: dict[str, list[tuple[float, float]]] = {name: [] for name, _ in victims}
    found: list[Wanted] = []
    begin_s, end_s = span_ns[0] / NS_PER_S, span_ns[1] / NS_PER_S
    for place in range(count):
        low, high = strata[place % len(strata)]
        source = sources[(place // len(strata)) % len(sources)]
        times = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        duration = float(np.exp(rng.uniform(np.log(SHORTEST_S), np.log(LONGEST_S))))
        ramp = min(float(rng.choice(RAMPS_S)), duration / 2)
        for _ in range(50):
            name, usual = victims[int(rng.integers(len(victims)))]
            usual = max(usual, LEAST_PACKETS_PER_S)
            lasts = min(duration, MOST_PACKETS / (times * usual))
            begin = float(rng.uniform(begin_s, max(end_s - lasts, begin_s)))
            free = all(begin > last + REST_S or begin + lasts + REST_S < first for first, last in busy[name])
            if free and begin + lasts <= end_s:
                busy[name].append((begin, begin + lasts))
                found.append(
                    Wanted(
                        victim=name,
                        begin_ns=int(begin * NS_PER_S),
                        duration_s=lasts,
                        ramp_s=ramp,
                        times_usual=times,
                        usual_per_s=usual,
                        source=source,
                    )
                )
                break
    return sorted(found, key=lambda one: one.begin_ns)


def laid(episode: Wanted) -> tuple[pa.RecordBatch, Attack]:
    """The flows of an episode, and what is known of it. Its onset is when its first packet comes."""
    seconds = np.arange(int(np.ceil(episode.duration_s)))
    share = np.minimum((seconds + 1) / episode.ramp_s, 1.0) if episode.ramp_s else np.ones(len(seconds))
    wanted = np.cumsum(episode.times_usual * episode.usual_per_s * share)
    source, total = episode.source, int(np.ceil(wanted[-1]))
    each = source.columns["packets_fwd"]
    loops = -(-total // int(each.sum()))
    until = np.cumsum(np.tile(each, loops))
    rows = np.arange(int(np.searchsorted(until, total)) + 1) % len(each)
    before = until[: len(rows)] - each[rows]  # packets of the episode that came earlier
    second = np.minimum(np.searchsorted(wanted, before, side="right"), len(seconds) - 1)
    earlier = np.where(second > 0, wanted[second - 1], 0.0)
    within = np.clip((before - earlier) / np.maximum(wanted[second] - earlier, 1e-9), 0.0, 1.0)
    start = episode.begin_ns + ((second + within) * NS_PER_S).astype(np.int64)
    columns: dict[str, Any] = {
        "start": start.view("M8[ns]"),
        "duration_ns": source.duration_ns[rows],
        "src_ip": source.src_ip.take(pa.array(rows)),
        **_victim_columns(episode.victim, len(rows)),
        "part": source.columns["part"][rows].astype(np.uint32),
        "src_port": source.columns["src_port"][rows].astype(np.uint16),
        "dst_port": source.columns["dst_port"][rows].astype(np.uint16),
        "protocol": source.columns["protocol"][rows].astype(np.uint8),
        "tcp_flags_fwd": source.columns["tcp_flags_fwd"][rows].astype(np.uint8),
        "tcp_flags_rev": np.zeros(len(rows), np.uint8),
        "packets_fwd": each[rows].astype(np.uint64),
        "packets_rev": np.zeros(len(rows), np.uint64),
        "bytes_fwd": source.columns["bytes_fwd"][rows].astype(np.uint64),
        "bytes_rev": np.zeros(len(rows), np.uint64),
    }
    attack = Attack(
        victim=episode.victim,
        begin_ns=int(start.min()),
        end_ns=episode.begin_ns + int(episode.duration_s * NS_PER_S),
        kind=source.kind,
        source=source.name,
        times_usual=episode.times_usual,
        ramp_s=episode.ramp_s,
    )
    return flow_batch(columns, len(rows)), attack


def _cut(columns: dict[str, npt.NDArray[Any]]) -> Integers:
    """Cuts flows in place into pieces of at most `LARGEST_SLICE` packets, one of each flow after another as long as
    there are any; gives the flow that each piece is of."""
    pieces = -(-columns["packets_fwd"] // LARGEST_SLICE)
    rows = np.repeat(np.arange(len(pieces)), pieces)
    place = np.arange(len(rows)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    order = np.lexsort((rows, place)) if len(rows) > len(pieces) else np.arange(len(rows))
    rows, place = rows[order], place[order]
    for name in columns:
        whole = columns[name][rows]
        if name in ("packets_fwd", "bytes_fwd"):
            whole = whole // pieces[rows] + (place < whole % pieces[rows])
        columns[name] = whole
    return rows


def stratum_of(times_usual: float) -> str:
    """
    >>> stratum_of(2.0), stratum_of(0.7)
    ('1 to 3', 'half to 1')
    """
    return next((name for name, (low, high) in STRATA.items() if low <= times_usual <= high), "unknown")


def _victim_columns(victim: str, rows: int) -> dict[str, Any]:
    """An address, or the name that stands for one."""
    packed = packed_address(victim)
    if packed is None:
        return {"dst_name": pa.array([victim] * rows, pa.string())}
    return {"dst_ip": pa.array([packed] * rows, pa.binary(16))}


def packed_address(name: str) -> bytes | None:
    """An address as the flow table holds it; None of what is no address."""
    try:
        return bytes(address_bytes(name))
    except ValueError:
        return None
