"""Rates do not depend on the order of flows, on how they were cut, or on how many builders counted them."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from flowlore.features.rates.builder import RateBuilder
from flowlore.features.rates.settings import RateSettings
from ratesmade import MINUTE, Flow, S, batch_of, host

LIVE = RateSettings(lateness_s=200.0, exact_distinct=3)  # as long as the longest flow, so that none is late
SETTINGS = RateSettings(exact_distinct=3)


@st.composite
def flows(draw: st.DrawFn) -> list[Flow]:
    return draw(
        st.lists(
            st.builds(
                Flow,
                start=st.integers(-3 * MINUTE, 3 * MINUTE),
                duration=st.sampled_from([0, 1, S, 59 * S, MINUTE, 200 * S]),
                src=st.one_of(st.none(), st.integers(0, 2).map(host)),
                dst=st.integers(2, 9).map(host),
                protocol=st.sampled_from([1, 6, 17]),
                dst_port=st.integers(0, 6),
                packets=st.tuples(st.integers(0, 5), st.integers(0, 5)),
                bytes=st.tuples(st.integers(0, 2**40), st.integers(0, 2**40)),
                flags=st.tuples(st.integers(0, 255), st.integers(0, 255)),
                part=st.integers(0, 1),
            ),
            min_size=1,
            max_size=30,
        )
    )


def counted(parts: list[list[Flow]], chosen: RateSettings = SETTINGS) -> pa.Table:
    builder = RateBuilder("host", "1m", chosen)
    batches = [closed for part in parts if part for closed in builder.add(batch_of(part))]
    return pa.Table.from_batches(batches + builder.finish()).combine_chunks()


@settings(max_examples=30)
@given(flows(), st.randoms(use_true_random=False), st.integers(0, 30))
def test_order_and_cuts_change_nothing(sent: list[Flow], random: object, cut: int) -> None:
    whole = counted([sent])
    turned = list(sent)
    random.shuffle(turned)  # type: ignore[attr-defined]
    assert counted([turned[:cut], turned[cut:]]).equals(whole)


@settings(max_examples=30)
@given(flows())
def test_live_equals_batch(sent: list[Flow]) -> None:
    """One flow at a time, as they end, with steps closed on the way."""
    whole = counted([sent])
    ordered = sorted(sent, key=lambda flow: flow.start + flow.duration)
    assert counted([[one] for one in ordered], LIVE).equals(whole)


@settings(max_examples=30)
@given(flows(), st.integers(0, 30))
def test_merged_builders_equal_one(sent: list[Flow], cut: int) -> None:
    one, other = RateBuilder("host", "1m", SETTINGS), RateBuilder("host", "1m", SETTINGS)
    one.add(batch_of(sent[:cut]))
    other.add(batch_of(sent[cut:]))
    one.merge(other)
    assert pa.Table.from_batches(one.finish()).combine_chunks().equals(counted([sent]))


@settings(max_examples=30)
@given(flows())
def test_nothing_is_lost_or_invented(sent: list[Flow]) -> None:
    table = counted([sent])
    hosts = [sum(end is not None for end in (flow.src, flow.dst)) for flow in sent]
    for place, name in enumerate(("packets", "bytes")):
        wanted = sum(sum((flow.packets, flow.bytes)[place]) * ends for flow, ends in zip(sent, hosts, strict=True))
        assert sum(sum(table[f"{side}_{name}"].to_pylist()) for side in ("in", "out")) == wanted
