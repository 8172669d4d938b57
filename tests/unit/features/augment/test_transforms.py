"""Every transform keeps the physics of packets, and does what its name says."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from making_series import any_series, made_up_series, one_flow

from flowlore.errors import SettingError, TaskError
from flowlore.features.augment import AUGMENTATIONS
from flowlore.features.augment.packets import PacketSeries
from flowlore.features.augment.transform import Transform

NAMES = sorted(set(AUGMENTATIONS.names()))
OF_THE_STUDY = {
    *("gaussian-noise", "spike-noise", "gaussian-wrap-up", "sine-wrap-up", "constant-wrap-up", "bernoulli-mask"),
    *("window-mask", "horizontal-flip", "interpolation", "cutmix", "packet-loss", "translation", "wrap", "permutation"),
    *("duplicate-timeout", "duplicate-fast-retransmit", "permute-timeout", "permute-fast-retransmit"),
}


def changed(name: str, series: PacketSeries, seed: int, magnitude: float) -> PacketSeries:
    rng = np.random.default_rng(seed)
    partners = series.take(rng.permutation(len(series)))
    result: PacketSeries = AUGMENTATIONS.load(name)(series, rng, magnitude, partners)
    return result


def test_the_study_and_five_more_are_there() -> None:
    assert len(OF_THE_STUDY) == 18
    assert set(NAMES) == OF_THE_STUDY | {"change-rtt", "time-shift", "mtu", "average", "sub-flow"}
    for name in NAMES:
        transform = AUGMENTATIONS.load(name)
        assert transform.name == name and transform.__doc__ and transform.meaning
        assert transform.lowest <= transform.usual <= transform.highest


@pytest.mark.parametrize("name", NAMES)
@given(series=any_series(), seed=st.integers(0, 2**32 - 1), magnitude=st.floats(0, 1))
def test_physics_is_kept(name: str, series: PacketSeries, seed: int, magnitude: float) -> None:
    before = {item.name: getattr(series, item.name).copy() for item in fields(series)}
    after = changed(name, series, seed, magnitude)
    for item in fields(series):
        assert np.array_equal(getattr(series, item.name), before[item.name]), f"{item.name} was changed in place"
        assert getattr(after, item.name).shape == series.direction.shape
        assert getattr(after, item.name).dtype == before[item.name].dtype
    here = after.is_packet
    assert np.isin(after.direction, (-1, 0, 1)).all()
    assert (np.diff(here.astype(int), axis=1) <= 0).all(), "packets are not at the first places"
    for name_ in ("size", "header", "gap_ns", "flags", "window", "hidden"):
        assert (getattr(after, name_)[~here] == 0).all(), f"{name_} behind the last packet"
    assert (after.gap_ns >= 0).all() and (after.gap_ns[:, 0] == 0).all()
    assert (after.size[here] >= after.header[here]).all()
    mixes = AUGMENTATIONS.load(name).needs_partners
    assert (after.size <= (series.largest.max() if mixes else series.largest)).all()
    assert np.array_equal(after.direction[:, 0], series.direction[:, 0]), "the first packet fixes the direction"
    assert not after.hidden[:, 0].any()
    assert np.array_equal(after.lengths > 0, series.lengths > 0), "no flow is emptied, none made of nothing"


@pytest.mark.parametrize("name", NAMES)
@given(series=any_series(), seed=st.integers(0, 2**32 - 1))
def test_the_lowest_magnitude_changes_nothing(name: str, series: PacketSeries, seed: int) -> None:
    after = changed(name, series, seed, 0.0)
    for item in fields(series):
        assert np.array_equal(getattr(after, item.name), getattr(series, item.name))


@pytest.mark.parametrize("name", NAMES)
def test_the_same_draw_gives_the_same_and_another_draw_another(name: str) -> None:
    series = made_up_series(64, np.random.default_rng(0), shortest=10)
    first, again, other = (changed(name, series, seed, 0.8) for seed in (1, 1, 2))
    equal = [np.array_equal(getattr(first, item.name), getattr(again, item.name)) for item in fields(series)]
    assert all(equal)
    assert not all(np.array_equal(getattr(first, item.name), getattr(other, item.name)) for item in fields(series))


@pytest.mark.parametrize("name", NAMES)
def test_stronger_changes_more(name: str) -> None:
    series = made_up_series(256, np.random.default_rng(3), shortest=12)
    some, more = (_distance(series, changed(name, series, 4, magnitude)) for magnitude in (0.2, 1.0))
    assert 0 < some < more


@pytest.mark.parametrize("name", NAMES)
def test_flows_too_short_stay_as_they_are(name: str) -> None:
    transform: Transform = AUGMENTATIONS.load(name)
    series = made_up_series(32, np.random.default_rng(5), shortest=0)
    after = changed(name, series, 6, 1.0)
    short = series.lengths < transform.fewest_packets
    assert short.any()
    for item in fields(series):
        assert np.array_equal(getattr(after, item.name)[short], getattr(series, item.name)[short])


@pytest.mark.parametrize("magnitude", [-0.1, 1.01, float("nan"), float("inf")])
def test_a_magnitude_out_of_range_is_told_with_the_range(magnitude: float) -> None:
    series = one_flow([10, -20, 30], [0, 1, 1])
    with pytest.raises(SettingError, match=r"magnitude of `wrap` is .* must be (a number )?from 0 to 1"):
        AUGMENTATIONS.load("wrap")(series, np.random.default_rng(0), magnitude)


@pytest.mark.parametrize("name", ["average", "cutmix"])
def test_mixing_without_classes_is_refused(name: str) -> None:
    with pytest.raises(TaskError, match=f"`{name}` mixes each flow with another of its class"):
        AUGMENTATIONS.load(name)(one_flow([10, -20], [0, 1]), np.random.default_rng(0))


def test_a_flip_turns_all_but_the_first() -> None:
    series = one_flow([10, -20, 30, -40], [0, 1, 2, 3])
    after = changed("horizontal-flip", series, 0, 1.0)
    assert (after.direction * after.payload).tolist() == [[10, -40, 30, -20]]
    assert (after.gap_ns // 1_000_000).tolist() == [[0, 3, 2, 1]]


def test_interpolation_puts_the_average_halfway() -> None:
    series = one_flow([100, 300, -50, 0, 0, 0], [0, 10, 10, 0, 0, 0]).take([0])
    short = PacketSeries(**{item.name: getattr(series, item.name).copy() for item in fields(series)})
    for item in fields(short):
        getattr(short, item.name)[:, 3:] = 0
    after = changed("interpolation", short, 0, 1.0)
    assert (after.direction * after.payload).tolist() == [[100, 200, 300, 300, -50, 0]]
    assert (after.gap_ns // 1_000_000).tolist() == [[0, 5, 5, 5, 5, 0]]


def test_a_lost_packet_leaves_its_time() -> None:
    series = made_up_series(200, np.random.default_rng(1), shortest=3)
    after = changed("packet-loss", series, 2, 1.0)
    fewer = after.lengths < series.lengths
    assert fewer.any()
    ends = np.take_along_axis(after.times_ns, np.maximum(after.lengths - 1, 0)[:, None], 1)[:, 0]
    known = [set(times[:long].tolist()) for times, long in zip(series.times_ns, series.lengths, strict=True)]
    assert all(int(end) in times for end, times in zip(ends, known, strict=True))


def test_a_timeout_shows_the_packet_again_later() -> None:
    series = one_flow([100, -200, 300], [0, 20, 5])
    wide = PacketSeries(**{item.name: np.pad(getattr(series, item.name), ((0, 0), (0, 5))) for item in fields(series)})
    for seed in range(40):
        again, late = (changed(f"{kind}-timeout", wide, seed, 1.0) for kind in ("duplicate", "permute"))
        if again.lengths[0] == 4:
            break
    assert again.lengths[0] == 4 and late.lengths[0] == 3
    assert again.times_ns[0, 3] >= 220_000_000 and late.times_ns[0, 2] >= 220_000_000
    assert sorted(late.size[0, :3].tolist()) == sorted(series.size[0].tolist())


def test_a_fast_retransmit_waits_for_three_more() -> None:
    series = one_flow([1, 100, 101, 102, 103, -7], [0, 10, 10, 10, 10, 1])
    for seed in range(200):
        after = changed("permute-fast-retransmit", series, seed, 1.0)
        if after.payload[0].tolist() != series.payload[0].tolist():
            break
    lost = 100
    assert after.payload[0].tolist()[-1] == lost
    assert after.times_ns[0, -1] == 40_000_000 + 41_000_000  # the third behind it, and a round trip


def test_smaller_segments_carry_the_same_bytes() -> None:
    series = one_flow([1460, 1460, 1460, -700, 0], [0, 1, 1, 50, 1])
    wide = PacketSeries(**{item.name: np.pad(getattr(series, item.name), ((0, 0), (0, 20))) for item in fields(series)})
    after = changed("mtu", wide, 3, 1.0)
    forward, reverse = (after.payload[0, after.direction[0] == side] for side in (1, -1))
    assert forward.sum() == 3 * 1460 and reverse.sum() == 700
    assert len(forward) > 4 and forward.max() < 1460
    assert after.times_ns.max() == series.times_ns.max()


def test_averages_lie_between_both() -> None:
    series, partner = one_flow([100, -200, 300], [0, 10, 10]), one_flow([200, 400, 500], [0, 20, 20])
    after = AUGMENTATIONS.load("average")(series, np.random.default_rng(0), 1.0, partner)
    assert 100 < after.payload[0, 0] <= 150 and after.payload[0, 1] == 200 and 300 < after.payload[0, 2] <= 400
    assert after.direction.tolist() == series.direction.tolist()


def test_masks_hide_but_keep_what_was_sent() -> None:
    series = made_up_series(500, np.random.default_rng(8), shortest=8)
    for name in ("bernoulli-mask", "window-mask"):
        after = changed(name, series, 9, 0.5)
        assert np.array_equal(after.size, series.size)
        share = after.hidden.sum() / series.is_packet.sum()
        assert 0.3 < share < 0.45
        assert np.array_equal(after.seen().lengths, series.lengths - after.hidden.sum(axis=1))


def _distance(before: PacketSeries, after: PacketSeries) -> float:
    """How many places differ in anything."""
    differ = np.zeros(before.direction.shape, np.bool_)
    for item in fields(before):
        differ |= getattr(before, item.name) != getattr(after, item.name)
    sizes = np.abs(before.direction * before.size - after.direction * after.size).sum() / 1e4
    gaps = np.abs(np.log1p(before.gap_ns) - np.log1p(after.gap_ns)).sum()
    return float(differ.sum() + sizes + gaps)
