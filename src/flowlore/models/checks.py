"""What every encoder must hold, ours and a plug-in's: `for check in model_checks(): check(MyEncoder)`.

`make` gives an encoder that was not trained; each check trains it for a moment on flows made up here, or on hosts with
their rates where a host is its unit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..features.batch import FeatureBatch

Make = Callable[[], Any]
Check = Callable[[Make], None]

PACKETS = 12
QUANTITIES = 6
HOST_STEPS = 24
STEP_NS = 600_000_000_000
MODALITIES_OF = {"flow": ("quantities", "series", "entities"), "host": ("rates",)}


def model_checks() -> Iterator[Check]:
    yield check_shape_and_type
    yield check_padding_never_changes_an_embedding
    yield check_batch_order_does_not_matter
    yield check_context_is_for_training_only
    yield check_empty_batch_is_allowed
    yield check_a_missing_modality_is_allowed
    yield check_a_flow_of_nothing_is_zeros
    yield check_save_then_load_gives_equal_vectors
    yield check_the_same_seed_gives_equal_vectors


def made_up_flows(rows: int, rng: np.random.Generator, *, width: int = PACKETS) -> FeatureBatch:
    """Flows of two kinds with every modality but payload; of each modality some flows have none."""
    kind = rng.integers(0, 2, rows)
    lengths = rng.integers(1, PACKETS + 1, rows)
    is_packet = np.arange(width) < lengths[:, None]
    direction = np.where(is_packet, rng.choice([-1, 1], (rows, width)), 0).astype(np.int32)
    sizes = np.where(kind[:, None] == 1, 1400, 100) + rng.integers(0, 40, (rows, width))
    has_series, has_quantities = rng.random(rows) < 0.8, rng.random(rows) < 0.8
    has_series |= ~has_quantities
    direction[~has_series] = 0
    is_packet &= has_series[:, None]
    quantities = (np.exp(rng.normal(4, 1, (rows, QUANTITIES))) * (1 + kind[:, None])).astype(np.float32)
    quantities[rng.random((rows, QUANTITIES)) < 0.2] = np.nan
    quantities[:, 0] = 1 + kind
    quantities[~has_quantities] = np.nan
    tokens = (1 + kind[:, None] + np.zeros((rows, 2))).astype(np.int32)
    return FeatureBatch(
        length=rows,
        channels={
            "quantities": quantities,
            "series.size": ((sizes + 40) * direction).astype(np.int32),
            "series.payload": (sizes * direction).astype(np.int32),
            "series.gap_us": np.where(is_packet, rng.integers(0, 10**6, (rows, width)), 0).astype(np.int32),
            "series.flags": np.where(is_packet, 16, 0).astype(np.int32),
            "series.window": np.where(is_packet, 512, 0).astype(np.int32),
            "series.direction": direction,
            "series.is_packet": is_packet,
            "entities.protocol": tokens,
            "context": rng.integers(0, 4, rows) * 2 + np.where(kind == 1, 9, 0),  # each of one kind; 0 is unknown
        },
        present={
            "quantities": has_quantities,
            "series": has_series,
            **{f"series.{name}": has_series for name in ("size", "payload", "gap_us", "flags", "window")},
            "entities": np.ones(rows, np.bool_),
            "entities.protocol": np.ones(rows, np.bool_),
        },
    )


def made_up_hosts(rows: int, rng: np.random.Generator) -> FeatureBatch:
    """Hosts of two kinds, steady ones and ones with an hourly turn, each of its own size; some steps are unknown."""
    kind = rng.integers(0, 2, rows)
    turn = 1 + 0.7 * kind[:, None] * np.sin(np.arange(HOST_STEPS) * np.pi / 4 + rng.random((rows, 1)))
    size = np.exp(rng.normal(4, 1, (rows, 1, 3)))
    values = size * turn[:, :, None] * np.exp(0.2 * rng.normal(size=(rows, HOST_STEPS, 3)))
    values[rng.random(values.shape) < 0.05] = 0
    values[rng.random((rows, HOST_STEPS)) < 0.05] = np.nan
    return FeatureBatch(
        length=rows,
        channels={
            "rates.values": values.astype(np.float32),
            "rates.start_ns": np.zeros(rows, np.int64),
            "rates.step_ns": np.full(rows, STEP_NS),
            "rates.entity": np.arange(1, rows + 1, dtype=np.uint64),
        },
        present={"rates": np.ones(rows, np.bool_)},
    )


def check_shape_and_type(make: Make) -> None:
    encoder, flows = _trained(make)
    vectors = encoder.embed(flows)
    assert vectors.shape == (len(flows), encoder.width)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert len(np.unique(vectors.round(4), axis=0)) > len(flows) // 2, "most flows embed to one place"


def check_padding_never_changes_an_embedding(make: Make) -> None:
    encoder, flows = _trained(make)
    wider = {
        name: np.pad(array, ((0, 0), (0, 3)))
        if name.startswith("series.")
        else np.pad(array, ((0, 0), (0, 3), (0, 0)), constant_values=np.nan)
        if name == "rates.values"
        else array
        for name, array in flows.channels.items()
    }
    padded = FeatureBatch(length=len(flows), channels=wider, present=flows.present)
    _assert_close(encoder.embed(padded), encoder.embed(flows))


def check_batch_order_does_not_matter(make: Make) -> None:
    encoder, flows = _trained(make)
    order = np.random.default_rng(3).permutation(len(flows))
    _assert_close(encoder.embed(flows.take(order)), encoder.embed(flows)[order])
    one_by_one = np.concatenate([encoder.embed(flows.take([row])) for row in range(5)])
    _assert_close(one_by_one, encoder.embed(flows)[:5])


def check_context_is_for_training_only(make: Make) -> None:
    encoder, flows = _trained(make)
    _assert_close(encoder.embed(flows.without("context")), encoder.embed(flows))


def check_empty_batch_is_allowed(make: Make) -> None:
    encoder, flows = _trained(make)
    assert encoder.embed(flows.take([])).shape == (0, encoder.width)


def check_a_missing_modality_is_allowed(make: Make) -> None:
    encoder, flows = _trained(make)
    for name in ("quantities", "series", "series.size", "series.payload", "entities", "rates", "rates.start_ns"):
        assert np.isfinite(encoder.embed(flows.without(name))).all(), name


def check_a_flow_of_nothing_is_zeros(make: Make) -> None:
    encoder, flows = _trained(make)
    nothing = flows.without(*MODALITIES_OF[encoder.unit])
    assert not encoder.embed(nothing).any()


def check_save_then_load_gives_equal_vectors(make: Make) -> None:
    encoder, flows = _trained(make)
    arrays, values = encoder.state()
    again = type(encoder).from_state(arrays, json.loads(json.dumps(values)))
    np.testing.assert_array_equal(again.embed(flows), encoder.embed(flows))


def check_the_same_seed_gives_equal_vectors(make: Make) -> None:
    first, flows = _trained(make)
    second, _ = _trained(make)
    np.testing.assert_array_equal(first.embed(flows), second.embed(flows))


def _trained(make: Make) -> tuple[Any, FeatureBatch]:
    encoder = make()
    made_up = made_up_hosts if encoder.unit == "host" else made_up_flows
    flows = made_up(64, np.random.default_rng(1))
    encoder.fit([flows], np.random.default_rng(2))
    return encoder, flows


def _assert_close(got: Any, wanted: Any) -> None:
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)
