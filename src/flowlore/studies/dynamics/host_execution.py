"""One run over rates of hosts: half of the hosts teach, all are asked at later time, some learn elsewhere only.

Bins, by which likelihoods of all arms are told, are fitted on the networks elsewhere: what nobody here decided, and
the same for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...features.rates.series import Series
from ...tasks.forecast import FORECASTERS
from ...tasks.forecast.forecaster import Values, truth_at
from ...tasks.forecast.scores import scores_at
from ..bench import Bench, Made
from ..material import facts_of
from ..materials.hostrates import load_hosts
from ..materials.stretches import FEATURES, HostRates
from ..study import Run
from .recurrent_bits import RecurrentLikelihood, Tokens

if TYPE_CHECKING:
    from ...models.flowgen.encoder import FlowgenEncoder
    from ...models.flowgen.representation import Bins

HORIZONS = (1, 3, 6, 12)
CONTEXT, FINENESS = 128, 64
PIECE = 2_880  # steps of a series elsewhere that are learnt from as one
FEWEST_KNOWN = CONTEXT  # steps of a piece
MOST_ORIGINS = 384  # from which forecasts are asked, evenly over the steps that ask
Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool:
    """Pieces of series in units of their hosts' means: [pieces, FEATURES, steps]."""

    values: Values
    starts_ns: Whole
    steps_ns: Whole

    def part(self, share: float, rng: np.random.Generator) -> Pool:
        """So many of the pieces, at random."""
        rows = np.sort(rng.permutation(len(self.values))[: max(round(share * len(self.values)), 1)])
        return Pool(values=self.values[rows], starts_ns=self.starts_ns[rows], steps_ns=self.steps_ns[rows])


@dataclass(frozen=True, kw_only=True, eq=False)
class Examination:
    """A network in units of its hosts' own means while it teaches, and which hosts taught."""

    network: HostRates
    scales: Values
    scaled: Values
    taught: Whole  # hosts that are asked at later time
    new: Whole  # hosts that nobody was shown
    pool: Pool | None
    bins: Bins
    tokens: Tokens

    def shown(self) -> Pool:
        """What teaches here."""
        return Pool(
            values=self.scaled[self.taught, :, : self.network.until],
            starts_ns=self.network.starts_ns[self.taught],
            steps_ns=self.network.steps_ns[self.taught],
        )


def executed_on_hosts(run: Run, bench: Bench) -> dict[str, Any]:
    words = {"data": run.data, "hosts": True, "seed": run.seed, "pieces": run.values["pieces"]}
    held: Examination = bench.at_hand(words, lambda: _examination(run, bench))
    method, rng = run.values["method"], bench.rng(run)
    if method == "often":
        return _told(held, bits=_often(held, run))
    if method == "follows":
        return _told(held, bits=_follows(held, run))
    if method == "gru":
        return _told(held, bits=_recurrent(held, run, rng).bits(held.tokens))
    if method == "flowgen":
        return _decoded(held, _decoder(held, run, bench, rng))
    return _told(held, forecasts=[_simple(held, method, rows, rng) for rows in (held.taught, held.new)])


def split_hosts(network: HostRates, rng: np.random.Generator) -> tuple[Whole, Whole]:
    """Half of the hosts by name, so that one which stands in two stretches is on one side; then the others."""
    names = np.array([host.partition("/")[2] or host for host in network.hosts])
    known = rng.permutation(np.unique(names))
    is_taught = np.isin(names, known[: -(-len(known) // 2)])
    return np.flatnonzero(is_taught), np.flatnonzero(~is_taught)


def pool_of(others: Sequence[HostRates], pieces: int, rng: np.random.Generator) -> Pool | None:
    """So many pieces of each network at most; shorter ones stand at the end, with nothing known before them."""
    from ...models.flowgen.representation import scales_of

    values, starts, steps = [], [], []
    for other in others:
        scaled = other.values / scales_of(other.values)[:, :, None]
        found = []
        for end in range(scaled.shape[2], 0, -PIECE):
            begin = max(end - PIECE, 0)
            known = np.isfinite(scaled[:, :, begin:end]).any(axis=1).sum(axis=1) >= FEWEST_KNOWN
            found += [(row, begin, end) for row in np.flatnonzero(known).tolist()]
        for place in np.sort(rng.permutation(len(found))[:pieces]).tolist():
            row, begin, end = found[place]
            lead = PIECE - (end - begin)
            values.append(np.pad(scaled[row, :, begin:end], ((0, 0), (lead, 0)), constant_values=np.nan))
            starts.append(other.starts_ns[row] + (begin - lead) * other.steps_ns[row])
            steps.append(other.steps_ns[row])
    if not values:
        return None
    return Pool(values=np.stack(values), starts_ns=np.array(starts, np.int64), steps_ns=np.array(steps, np.int64))


def _examination(run: Run, bench: Bench) -> Examination:
    from ...models.flowgen.representation import Bins, scales_of

    network, others = load_hosts(bench.folder(run.data))
    scales = scales_of(network.values[:, :, : network.until])
    scaled = network.values / scales[:, :, None]
    if facts_of(bench.folder(run.data)).features["transfer_only"]:
        taught, new = np.arange(len(network)), np.zeros(0, np.int64)
    else:
        taught, new = split_hosts(network, bench.rng_for("hosts", run.data, seed=run.seed))
    pool = pool_of(others, run.values["pieces"], bench.rng_for("elsewhere", run.data, seed=run.seed))
    bins = Bins.fit(scaled[taught, :, : network.until] if pool is None else pool.values, FINENESS)
    return Examination(
        network=network,
        scales=scales,
        scaled=scaled,
        taught=taught,
        new=new,
        pool=pool,
        bins=bins,
        tokens=bins.tokens(scaled).astype(np.int64),
    )


def _often(held: Examination, run: Run) -> Values:
    """Bits of each step's bins, by how often each was where it was counted."""
    bits = np.empty(held.tokens.shape)
    for feature, tokens in enumerate(_counted(held, run).transpose(1, 0, 2)):
        counts = np.bincount(tokens[tokens < held.bins.count], minlength=held.bins.count) + 1.0
        told = np.append(-np.log2(counts / counts.sum()), np.nan)
        bits[:, feature] = told[held.tokens[:, feature]]
    return bits


def _follows(held: Examination, run: Run) -> Values:
    """The same, by which bin followed which."""
    from ...models.flowgen.representation import counted_logs

    logs = counted_logs(_counted(held, run), held.bins.count)
    bits = np.full(held.tokens.shape, np.nan)
    for feature in range(len(FEATURES)):
        told = np.concatenate([-logs[feature] / np.log(2), np.full((held.bins.count + 1, 1), np.nan)], axis=1)
        bits[:, feature, 1:] = told[held.tokens[:, feature, :-1], held.tokens[:, feature, 1:]]
    return bits


def _counted(held: Examination, run: Run) -> Tokens:
    """Bins of what teaches, here or elsewhere."""
    source = held.shown() if run.values.get("here") or held.pool is None else held.pool
    return held.bins.tokens(source.values).astype(np.int64)


def _recurrent(held: Examination, run: Run, rng: np.random.Generator) -> RecurrentLikelihood:
    made = RecurrentLikelihood(len(FEATURES), held.bins.count, rng)
    for source in _lessons(held, run):
        tokens = held.bins.tokens(source.values).astype(np.int64)
        made.fit(tokens, rng, steps=run.values["recurrent_steps"], known_from=known_from(source.values))
    return made


def _lessons(held: Examination, run: Run) -> list[Pool]:
    """What is learnt from, one after the other."""
    elsewhere = [held.pool] if run.values.get("elsewhere") and held.pool is not None else []
    return [*elsewhere, held.shown()] if run.values.get("here") else elsewhere


def _decoder(held: Examination, run: Run, bench: Bench, rng: np.random.Generator) -> FlowgenEncoder:
    from ...models.flowgen.encoder import TRAINING, FlowgenEncoder
    from ...models.flowgen.settings import FlowgenSettings

    plan = run.values
    settings = FlowgenSettings(
        size=plan["size"], context=CONTEXT, farthest=max(HORIZONS), bins=FINENESS, likelihood=plan["likelihood"]
    )
    training = replace(TRAINING, epochs=plan["epochs"], least_steps=1)

    def taught(encoder: FlowgenEncoder, source: Pool, draws: np.random.Generator, *, go_on: bool) -> FlowgenEncoder:
        encoder.learn(
            source.values,
            source.starts_ns,
            source.steps_ns,
            FEATURES,
            draws,
            scales=np.ones(source.values.shape[:2]),
            bins=held.bins,
            windows=plan["windows"],
            known_from=known_from(source.values),
            go_on=go_on,
            training=training,
        )
        return encoder

    if not plan.get("elsewhere"):
        return taught(FlowgenEncoder(settings), held.shown(), rng, go_on=False)
    assert held.pool is not None  # no run without others
    pool = held.pool.part(plan.get("share", 1.0), bench.rng_for("share", run.data, seed=run.seed))
    learnt = {name: value for name, value in plan.items() if name != "here"}
    words = {"data": run.data, "hosts": True, "seed": run.seed, **learnt}
    draws = bench.rng_for("elsewhere", run.data, seed=run.seed)
    made: Made = bench.kept(words, lambda: taught(FlowgenEncoder(settings), pool, draws, go_on=False).state())
    encoder = FlowgenEncoder.from_state(*made)
    return taught(encoder, held.shown(), rng, go_on=True) if plan.get("here") else encoder


def _decoded(held: Examination, encoder: FlowgenEncoder) -> dict[str, Any]:
    network = held.network
    inputs = encoder.inputs(held.scaled, network.starts_ns, network.steps_ns, np.ones(held.scales.shape))
    origins = _origins(network)
    said = encoder.quantiles(inputs, origins - 1)[:, :, :, [encoder.horizons.index(one) for one in HORIZONS]]
    forecasts = [said[rows] * held.scales[rows, :, None, None, None] for rows in (held.taught, held.new)]
    return _told(held, bits=encoder.bits(inputs, network.until), forecasts=forecasts) | {
        "parameters": encoder.parameters()
    }


def _simple(held: Examination, method: str, rows: Whole, rng: np.random.Generator) -> Values:
    """Forecasts of a method that knows one series only: [rows, FEATURES, origins, HORIZONS, quantiles]."""
    out = []
    for feature in range(len(FEATURES)):
        forecaster = FORECASTERS.load(method)()
        series = _series(held.network, rows, feature)
        forecaster.fit(series, held.network.until, HORIZONS, rng)
        out.append(forecaster.forecast(series, _origins(held.network)))
    return np.stack(out, axis=1)


def _told(held: Examination, *, bits: Values | None = None, forecasts: Sequence[Values] = ()) -> dict[str, Any]:
    """Scores of hosts that taught, and of the new ones, all at later time."""
    found: dict[str, Any] = {}
    for place, (name, rows) in enumerate((("later", held.taught), ("new", held.new))):
        if len(rows):
            found[name] = _errors(held, rows, forecasts[place]) if forecasts else {}
            if bits is not None:
                found[name]["bits"] = _bits(held, rows, bits)
    return found


def _bits(held: Examination, rows: Whole, bits: Values) -> dict[str, Any]:
    """Mean bits a feature and step, all features alike; and of the steps alone in which the feature was not zero."""
    asked = bits[rows][:, :, held.network.until :]
    tokens = held.tokens[rows][:, :, held.network.until :]
    known = tokens < held.bins.count
    every = {name: asked[:, place][known[:, place]] for place, name in enumerate(FEATURES) if known[:, place].any()}
    active = [asked[:, place][known[:, place] & (tokens[:, place] > 0)] for place in range(len(FEATURES))]
    means = {name: float(one.mean()) for name, one in every.items()}
    return {
        "mean": float(np.mean(list(means.values()))),
        "with_traffic": float(np.mean([one.mean() for one in active if len(one)])),
        "by_feature": means,
    }


def _errors(held: Examination, rows: Whole, quantiles: Values) -> dict[str, float]:
    """WAPE, MASE, WQL and coverage as means over horizons and features."""
    network, found = held.network, []
    for feature in range(len(FEATURES)):
        series = _series(network, rows, feature)
        if not np.isfinite(series.values[:, : network.until]).any():
            continue
        truth = truth_at(series, _origins(network), HORIZONS)
        if np.nansum(truth) > 0:
            found += [
                scores_at(
                    np.asarray(quantiles[:, feature, :, place], np.float64), truth[..., place], series, network.until
                )
                for place in range(len(HORIZONS))
            ]
    return {name: float(np.nanmean([one[name] for one in found])) for name in found[0]} if found else {}


def _series(network: HostRates, rows: Whole, feature: int) -> Series:
    return Series(
        names=tuple(network.hosts[row] for row in rows.tolist()),
        start_ns=int(network.starts_ns[0]),
        step_ns=int(network.steps_ns[0]),
        values=network.values[rows, feature],
    )


def _origins(network: HostRates) -> Whole:
    last = network.values.shape[2] - max(HORIZONS)
    return np.unique(np.linspace(network.until, max(last, network.until), MOST_ORIGINS).astype(np.int64))


def known_from(values: Values) -> Whole:
    """The first step of each row [rows, features, steps] in which anything is known."""
    return np.asarray(np.isfinite(values).any(axis=1).argmax(axis=1), np.int64)
