"""Transforms that change which packets there are and in which order. The first packet stays: it fixes the direction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .packets import Mask, PacketSeries, drawn_window, in_order_of_places, in_order_of_time, side_by_side
from .transform import Transform

MOST_SEGMENTS = 5
LONGEST_STEP = 4
FURTHEST_SHIFT = 0.5  # of the packets behind the first


def horizontal_flip(
    series: PacketSeries, rng: np.random.Generator, magnitude: float, partners: PacketSeries
) -> PacketSeries:
    """Turns packets in a row back to front, each with its gap."""
    first, last = drawn_window(series, rng, magnitude)
    places = np.broadcast_to(np.arange(series.width), series.size.shape)
    inside = (places >= first) & (places < last)
    return in_order_of_places(series, np.where(inside, first + last - 1 - places, places), series.is_packet)


def interpolation(
    series: PacketSeries, rng: np.random.Generator, magnitude: float, partners: PacketSeries
) -> PacketSeries:
    """Puts packets halfway between neighbours, as large as they are on average."""
    return _interpolated(series, series.is_packet, rng.random(series.size.shape) < magnitude)


def packet_loss(
    series: PacketSeries, rng: np.random.Generator, magnitude: float, partners: PacketSeries
) -> PacketSeries:
    """Loses all packets within some time, which begins after any packet."""
    times = series.times_ns
    place = np.floor(rng.random((len(series), 1)) * series.lengths[:, None]).astype(np.int64)
    begin = np.take_along_axis(times, place, 1)
    lasts = rng.random((len(series), 1)) * magnitude * times[:, -1:]
    lost = (times > begin) & (times <= begin + lasts)
    return in_order_of_time(series, times, series.is_packet & ~lost, series.width)


def translation(
    series: PacketSeries, rng: np.random.Generator, magnitude: float, partners: PacketSeries
) -> PacketSeries:
    """Moves what follows the first packet to the left, over lost packets, or to the right, behind unseen ones."""
    furthest = np.rint(FURTHEST_SHIFT * magnitude * (series.lengths[:, None] - 1)).astype(np.int64)
    shift = np.rint(rng.uniform(-1.0, 1.0, (len(series), 1)) * furthest).astype(np.int64)
    places = np.broadcast_to(np.arange(series.width), series.size.shape)
    before = np.where(places > 0, places - shift, 0)
    vacant = (places > 0) & (places <= shift)
    is_there = vacant | (before < series.lengths[:, None])
    moved = in_order_of_places(series, np.clip(np.where(vacant, 0, before), 0, series.width - 1), is_there)
    return replace(moved, hidden=moved.hidden | vacant, gap_ns=np.where(vacant, 0, moved.gap_ns))


def wrap(series: PacketSeries, rng: np.random.Generator, magnitude: float, partners: PacketSeries) -> PacketSeries:
    """Each packet behind the first is lost, followed by an interpolated one, or left alone."""
    lot = rng.random(series.size.shape)
    keep = series.is_packet & (lot >= magnitude / 3.0)
    keep[:, :1] = series.is_packet[:, :1]
    return _interpolated(series, keep, (lot >= magnitude / 3.0) & (lot < 2.0 * magnitude / 3.0))


def permutation(
    series: PacketSeries, rng: np.random.Generator, magnitude: float, partners: PacketSeries
) -> PacketSeries:
    """Cuts what follows the first packet into segments of equal length and puts them in any order."""
    segments = 1 + round((MOST_SEGMENTS - 1) * magnitude)
    places = np.arange(series.width)
    behind = np.maximum(series.lengths[:, None] - 1, 1)
    segment = np.clip((places - 1) * segments // behind, 0, segments - 1)
    keys = np.take_along_axis(rng.random((len(series), segments)), segment, 1)
    keys = np.where(series.is_packet, keys, 2.0)  # behind all
    keys[:, :1] = -1.0  # before all
    return in_order_of_places(series, keys.argsort(axis=1, kind="stable"), series.is_packet)


def sub_flow(series: PacketSeries, rng: np.random.Generator, magnitude: float, partners: PacketSeries) -> PacketSeries:
    """Keeps the first packet and every second, third or fourth behind it, from any of them on."""
    longest = 1 + round((LONGEST_STEP - 1) * magnitude)
    steps = rng.integers(1, longest + 1, (len(series), 1))
    start = 1 + np.floor(rng.random((len(series), 1)) * steps).astype(np.int64)
    places = np.arange(series.width)
    keep = (places == 0) | ((places >= start) & ((places - start) % steps == 0))
    return in_order_of_time(series, series.times_ns, series.is_packet & keep, series.width)


def _interpolated(series: PacketSeries, keep: Mask, wanted: Mask) -> PacketSeries:
    """The kept packets, and behind those that are wanted one halfway to the next packet, with their average size."""
    times = series.times_ns
    has_next = np.zeros_like(series.is_packet)
    has_next[:, :-1] = series.is_packet[:, 1:]
    following, later = series.size.copy(), times.copy()
    following[:, :-1], later[:, :-1] = series.size[:, 1:], times[:, 1:]
    same = np.zeros_like(series.is_packet)
    same[:, :-1] = series.direction[:, 1:] == series.direction[:, :-1]
    middle = np.where(same, (series.size + following) // 2, series.size)
    between = replace(series, size=np.maximum(middle, series.header), gap_ns=np.zeros_like(times))
    both = side_by_side(series, between)
    keep_both = np.concatenate([keep, keep & has_next & wanted], axis=1)
    return in_order_of_time(both, np.concatenate([times, (times + later) // 2], axis=1), keep_both, series.width)


HORIZONTAL_FLIP = Transform(
    "horizontal-flip",
    horizontal_flip,
    family="sequence",
    fewest_packets=3,
    meaning="all packets behind the first are turned back to front",
)
INTERPOLATION = Transform(
    "interpolation", interpolation, family="sequence", meaning="a packet is put between any two neighbours"
)
PACKET_LOSS = Transform(
    "packet-loss", packet_loss, family="sequence", meaning="packets are lost over up to the whole duration"
)
TRANSLATION = Transform(
    "translation", translation, family="sequence", fewest_packets=3, meaning="packets move by up to half of the flow"
)
WRAP = Transform("wrap", wrap, family="sequence", meaning="a third of the packets is lost, and a third interpolated")
PERMUTATION = Transform(
    "permutation", permutation, family="sequence", fewest_packets=3, meaning="five segments change their order"
)
SUB_FLOW = Transform(
    "sub-flow", sub_flow, family="sequence", fewest_packets=3, meaning="as little as every fourth packet is kept"
)
