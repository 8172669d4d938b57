"""Scenes: rates of hosts under known attacks, made from backgrounds and attack captures that stand on one side."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...errors import TaskError
from ...features.rates.rates import Rates, rates
from ...flows.schema import flow_batch
from ...tasks.ddos.attacks import Attack
from ...tasks.ddos.entropy import with_entropy
from ...tasks.ddos.overlay import AttackSource, drawn_episodes, laid
from ...tasks.ddos.settings import DetectionSettings
from ...tasks.ddos.signs import SIGNS, Signs, signs_of
from ..materials.floods import ASKING, TEACHING, Background, FloodMaterial

STEP = "10s"
TCP = 6
MOST_VICTIMS = 24  # of a background
QUIET_S = 7_200.0  # of a background before the first attack
STEPS_WITH_TRAFFIC = 0.01  # of a day, that a victim must have
SETTINGS = DetectionSettings()


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """Hosts of a background with the attacks on them."""

    signs: Signs
    attacks: tuple[Attack, ...]
    quiet_steps: int


def sides_of(
    sources: Sequence[AttackSource], *, unseen: str | None, seed: int
) -> tuple[list[AttackSource], list[AttackSource]]:
    """Captures that teach, and those that ask. Either a kind is kept from teaching, or of each kind of which there are
    two captures one teaches and the other asks, turn about by seed."""
    if unseen is not None:
        return [one for one in sources if one.kind != unseen], [one for one in sources if one.kind == unseen]
    teaching: list[AttackSource] = []
    asking: list[AttackSource] = []
    for kind in sorted({one.kind for one in sources}):
        own = [one for one in sources if one.kind == kind]
        for place, one in enumerate(own):
            (asking if len(own) > 1 and (place + seed) % 2 else teaching).append(one)
    if not asking:
        raise TaskError("studies: no kind of attack has two captures", hint="give more, or ask for unseen kinds only")
    return teaching, asking


def scenes_of(
    material: FloodMaterial,
    side: str,
    sources: Sequence[AttackSource],
    count: int,
    rng: np.random.Generator,
    *,
    sampled: int = 1,
) -> list[Scene]:
    """A scene for each background of a side, with so many attacks in all."""
    own = [one for one in material.backgrounds if one.side == side]
    return [scene_of(one, sources, -(-count // len(own)), rng, sampled=sampled) for one in own]


def scene_of(
    background: Background, sources: Sequence[AttackSource], count: int, rng: np.random.Generator, *, sampled: int = 1
) -> Scene:
    """One background; no attack begins in its first two hours."""
    quiet = rates(background.flows, "host", STEP)
    names = victims_of(quiet, background)
    start_ns, held = quiet.matrices(("in_packets",), names)
    packets, step_s = np.nan_to_num(held["in_packets"]), quiet.step_ns / 1e9
    usual = [float(np.percentile(row[row > 0], 99)) / step_s for row in packets]
    first_ns = start_ns + int(QUIET_S * 1e9)
    end_ns = start_ns + packets.shape[1] * quiet.step_ns
    wanted = (
        drawn_episodes(list(zip(names, usual, strict=True)), sources, (first_ns, end_ns), count, rng) if count else []
    )
    made = [laid(one) for one in wanted]
    told = background.flows
    lacks = {name for name in told.column_names if told[name].null_count == len(told)} - {"src_ip", "dst_ip"}
    flows = [*told.to_batches(), *(as_told(batch, lacks) for batch, _ in made)]
    if sampled > 1:
        flows = [_sampled(batch, sampled, rng) for batch in flows]
    found = rates(flows, "host", STEP) if made or sampled > 1 else quiet
    signs = with_entropy(signs_of(found, SETTINGS, names=_met(found, names)), flows)
    return Scene(
        signs=without_answers(signs),
        attacks=tuple(attack for _, attack in made),
        quiet_steps=int(QUIET_S / step_s),
    )


def as_told(batch: pa.RecordBatch, lacks: Collection[str]) -> pa.RecordBatch:
    """Flows of an attack with no more than the background tells of its own, by which else any attack would be known:
    flags, say. Where it tells payload only, so does the attack: its bytes less the least headers."""
    columns: dict[str, Any] = {name: batch.column(name) for name in batch.schema.names if name not in lacks}
    if "bytes_fwd" in lacks and "payload_bytes_fwd" not in lacks:
        is_tcp = _numbers(batch, "protocol") == TCP
        headers = np.where(is_tcp, 40, 28) * _numbers(batch, "packets_fwd")
        payload = np.maximum(_numbers(batch, "bytes_fwd") - headers, 0)
        columns |= {
            "payload_bytes_fwd": payload.astype(np.uint64),
            "payload_bytes_rev": np.zeros(len(batch), np.uint64),
        }
    return flow_batch(columns, len(batch))


def without_answers(signs: Signs) -> Signs:
    """Without what hosts send. An overlay makes up no answers, so that silence would tell every attack."""
    values = signs.values.copy()
    sent = [place for place, name in enumerate(SIGNS) if name.startswith("out_")]
    values[:, sent] = np.where(np.isnan(values[:, sent]), np.nan, 0.0)
    return replace(signs, values=values)


def victims_of(found: Rates, background: Background) -> tuple[str, ...]:
    """Hosts with traffic in enough steps; half of all names may be attacked in teaching, the other half in asking."""
    import polars as pl

    counted = (
        found.to_polars()
        .filter(pl.col("in_packets") > 0)
        .group_by("entity")
        .agg(pl.len().alias("steps"), pl.col("in_packets").sum().alias("packets"))
        .sort("packets", "entity", descending=[True, False])
    )
    side, least = background.side, STEPS_WITH_TRAFFIC * 8_640
    names = [
        name
        for name, steps in zip(counted["entity"], counted["steps"], strict=True)
        if steps >= least and side_of(name) == side and (not background.watched or name in background.watched)
    ]
    if not names:
        raise TaskError(f"studies: no host of the {side} side has traffic enough", hint="give a longer background")
    return tuple(names[:MOST_VICTIMS])


def side_of(name: str) -> str:
    return TEACHING if zlib.crc32(name.encode()) % 2 else ASKING


def _met(found: Rates, names: Sequence[str]) -> tuple[str, ...]:
    known = set(found.table["entity"].unique().to_pylist())
    return tuple(name for name in names if name in known)


def _sampled(batch: pa.RecordBatch, one_in: int, rng: np.random.Generator) -> pa.RecordBatch:
    """As an exporter tells that sees one packet in so many, and a collector scales up again. Flags of a flow stay."""
    kept = np.zeros(batch.num_rows, np.bool_)
    columns: dict[str, Any] = {name: batch.column(name) for name in batch.schema.names}
    for side in ("fwd", "rev"):
        packets = _numbers(batch, f"packets_{side}")
        seen = rng.binomial(packets, 1 / one_in)
        kept |= seen > 0
        share = seen / np.maximum(packets, 1) * one_in
        for name in (
            f"packets_{side}",
            f"bytes_{side}",
            f"payload_bytes_{side}",
            f"syn_packets_{side}",
            f"rst_packets_{side}",
        ):
            if name in columns and batch.column(name).null_count < batch.num_rows:
                scaled = np.rint(_numbers(batch, name) * share).astype(np.int64)
                columns[name] = pa.array(scaled).cast(batch.schema.field(name).type)
    return pa.RecordBatch.from_pydict(columns).filter(pa.array(kept))


def _numbers(batch: pa.RecordBatch, name: str) -> npt.NDArray[np.int64]:
    import pyarrow.compute as pc

    return np.asarray(pc.fill_null(batch.column(name).cast(pa.int64()), 0).to_numpy(zero_copy_only=False), np.int64)
