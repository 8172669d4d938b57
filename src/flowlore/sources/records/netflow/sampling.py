"""How many packets stand behind each one counted: from the record, the exporter's options, or the setting."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from .columns import Column
from .decoder import Block
from .settings import NetflowSettings

Rates = npt.NDArray[np.uint32]

V5_INTERVAL_MASK = 0x3FFF  # the two bits above it are the sampling mode


def sampling_rates(block: Block, columns: Mapping[tuple[int, int], Column], settings: NetflowSettings) -> Rates | None:
    """1 in N for each record, 0 where nobody says; None where nobody says for any of them.

    What the record says goes before the header (v5), then the options for its sampler, its interface or its whole
    domain, then the setting. Where each rate came from is counted in the session.
    """
    rates = np.zeros(block.total, np.uint32)
    for source, found in (
        ("record", _from_record(columns)),
        ("header", _from_header(block)),
        ("options", _from_options(block, columns)),
        ("setting", np.full(block.total, settings.sampling_rate, np.uint32) if settings.sampling_rate else None),
    ):
        if found is None:
            continue
        take = (rates == 0) & (found > 0)
        if take.any():
            rates[take] = found[take]
            values, counts = np.unique(found[take], return_counts=True)
            for value, count in zip(values.tolist()[:16], counts.tolist()[:16], strict=True):
                if (source, value) in block.session.sampling or len(block.session.sampling) < 64:
                    block.session.sampling[source, value] += count
    return rates if rates.any() else None


def _from_record(columns: Mapping[tuple[int, int], Column]) -> Rates | None:
    interval, space = _wide(columns, 305), _wide(columns, 306)
    if interval is not None:
        spaces = space if space is not None else np.zeros_like(interval)
        return _ratio(interval + spaces, interval) if space is not None else _narrow(interval)
    size, population = _wide(columns, 309), _wide(columns, 310)
    if size is not None and population is not None:
        return _ratio(population, size)
    chance = columns.get((0, 311))
    if isinstance(chance, np.ndarray) and chance.dtype.kind == "f":
        real = chance.astype(np.float64)
        possible = np.isfinite(real) & (real > 1e-9) & (real <= 1)
        return np.where(possible, np.rint(1 / np.where(possible, real, 1)), 0).astype(np.uint32)
    for number in (50, 34):
        values = _wide(columns, number)
        if values is not None:
            return _narrow(values)
    return None


def _from_header(block: Block) -> Rates | None:
    if not block.set_sampling.any():
        return None
    return block.per_record(block.set_sampling & V5_INTERVAL_MASK).astype(np.uint32)


def _from_options(block: Block, columns: Mapping[tuple[int, int], Column]) -> Rates | None:
    known = block.session.known("rate")
    if not known:
        return None
    rates = np.zeros(block.total, np.uint32)
    for number in (48, 302):
        samplers = _wide(columns, number)
        if samplers is not None:
            distinct, inverse = np.unique(samplers, return_inverse=True)
            table = np.array([int(str(known.get(int(item), 0))) for item in distinct], np.uint64)
            rates = np.where(rates == 0, _narrow(table)[inverse.reshape(-1)], rates)
    whole = block.session.option_rate()
    if whole:
        rates[rates == 0] = min(whole, 0xFFFFFFFF)
    return rates


def _wide(columns: Mapping[tuple[int, int], Column], number: int) -> npt.NDArray[np.uint64] | None:
    values = columns.get((0, number))
    if not isinstance(values, np.ndarray) or values.ndim != 1 or values.dtype.kind != "u":
        return None
    return values.astype(np.uint64)


def _ratio(above: npt.NDArray[np.uint64], below: npt.NDArray[np.uint64]) -> Rates:
    return _narrow(np.where(below == 0, 0, np.rint(above / np.maximum(below, 1)))) if len(above) else _narrow(above)


def _narrow(values: npt.NDArray[np.generic]) -> Rates:
    return np.asarray(np.minimum(values, 0xFFFFFFFF), np.uint32)
