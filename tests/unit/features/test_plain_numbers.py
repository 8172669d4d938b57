"""Plain numbers of flows have one width whatever a source knows, and stand for what is there."""

import numpy as np

import flowlore
from flowlore.cli.demo import DEMO_CAPTURE
from flowlore.features.extract import extract
from flowlore.features.numbers import FULL_SIZE_BYTES, MISSING, PACKETS, plain_numbers
from flowlore.features.quantities import quantities


def test_what_stands_where() -> None:
    flows = flowlore.read(DEMO_CAPTURE)
    batch = extract(flows)
    numbers = plain_numbers(batch)
    width = len(quantities())
    assert numbers.shape == (len(flows), width + 2 * PACKETS)
    place = [quantity.name for quantity in quantities()].index("bytes_fwd")
    wanted = np.log1p(np.array(flows.to_arrow().column("bytes_fwd").to_pylist(), np.float64))
    assert np.allclose(numbers[:, place], wanted, atol=1e-4)
    assert np.array_equal(numbers[:, width], (batch.channels["series.size"][:, 0] / FULL_SIZE_BYTES).astype(np.float32))


def test_what_a_source_lacks_is_missing_and_the_width_stays() -> None:
    batch = extract(flowlore.read(DEMO_CAPTURE))
    bare = plain_numbers(batch.without("quantities", "series"))
    assert bare.shape == plain_numbers(batch).shape
    assert (bare[:, : len(quantities())] == MISSING).all()
    assert (bare[:, len(quantities()) :] == 0).all()
    assert np.isfinite(plain_numbers(batch)).all()
