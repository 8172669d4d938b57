"""`FeatureBatch` → the tensors that the network reads, on the CPU. Each flow's tensors depend on that flow only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from ...features.batch import Array, FeatureBatch
from ...features.scaling import Scaling
from ...features.words import GAP_WORDS, WINDOW_WORDS, half_octaves, size_words
from .network import Inputs

SIGNED = ("size", "payload")
ENTITY_SLOTS = 24


def network_inputs(
    batch: FeatureBatch, modalities: list[str], scaling: Scaling | None, packets: int, payload_bytes: int
) -> Inputs:
    """Words, numbers and tokens, and `present` as float [B, modalities]."""
    inputs = _series(batch, packets)
    if scaling is not None:
        known = batch.channels.get("quantities")
        numbers = (
            scaling.apply(known)
            if known is not None
            else np.full((len(batch), len(scaling.medians)), np.nan, np.float32)
        )
        inputs["quantities"] = torch.from_numpy(numbers)
    if payload_bytes:
        sides = [_octets(batch, side, payload_bytes) for side in ("fwd", "rev")]
        inputs["payload"] = torch.from_numpy(np.concatenate(sides, 1))
    inputs["entities"] = torch.from_numpy(_tokens(batch))
    has = [batch.has(name) for name in modalities]
    inputs["present"] = torch.from_numpy(np.stack(has, 1).astype(np.float32))
    return inputs


def _series(batch: FeatureBatch, packets: int) -> Inputs:
    def channel(name: str) -> Array:
        values = batch.channels.get(f"series.{name}")
        if values is None:
            return np.zeros((len(batch), packets), np.int32)
        return _fitted(values, packets)

    direction = channel("direction").astype(np.int32)
    inputs: Inputs = {"series.is_packet": torch.from_numpy((direction != 0).astype(np.float32))}
    numbers = np.zeros((len(batch), packets, 4), np.float32)
    for place, name in enumerate(SIGNED):
        has = batch.has(f"series.{name}")
        if has.any():
            sizes = channel(name)
            words = size_words(sizes, np.where(has[:, None], direction, np.int32(0)))
            inputs[f"series.{name}"] = torch.from_numpy(words)
            numbers[:, :, place] = np.sign(sizes) * np.log1p(np.abs(sizes).astype(np.float32)) / 8
    for name, words_known in (("gap_us", GAP_WORDS), ("window", WINDOW_WORDS)):
        has = batch.has(f"series.{name}") & (direction != 0).any(axis=1)
        if has.any():
            values = channel(name)
            bins = 1 + half_octaves(values, words_known - 2)
            is_known = has[:, None] & (direction != 0)
            inputs[f"series.{name}"] = torch.from_numpy(np.where(is_known, bins, 0).astype(np.int32))
            if name == "gap_us":
                numbers[:, :, 2] = np.log1p(values.astype(np.float32)) / 16
    has = batch.has("series.flags")
    if has.any():
        is_known = has[:, None] & (direction != 0)
        inputs["series.flags"] = torch.from_numpy(
            np.where(is_known, 1 + np.minimum(channel("flags"), 255), 0).astype(np.int32)
        )
    numbers[:, :, 3] = direction
    inputs["series.numbers"] = torch.from_numpy(numbers)
    return inputs


def _tokens(batch: FeatureBatch) -> npt.NDArray[np.int32]:
    """All entity tokens of a flow in one row; which setting admitted them was decided when they were taken."""
    known = [batch.channels[name] for name in sorted(batch.channels) if name.startswith("entities.")]
    tokens = np.zeros((len(batch), ENTITY_SLOTS), np.int32)
    if known:
        joined = np.concatenate(known, 1)[:, :ENTITY_SLOTS]
        tokens[:, : joined.shape[1]] = joined
    return tokens


def _octets(batch: FeatureBatch, side: str, width: int) -> npt.NDArray[np.int32]:
    values = batch.channels.get(f"payload.{side}")
    if values is None:
        return np.zeros((len(batch), width), np.int32)
    is_byte = _fitted(batch.channels[f"payload.{side}_is_byte"], width)
    octets: npt.NDArray[np.int32] = np.where(is_byte, _fitted(values, width).astype(np.int32) + 1, 0).astype(np.int32)
    return octets


def _fitted(values: Array, width: int) -> Array:
    if values.shape[1] >= width:
        return values[:, :width]
    return np.pad(values, ((0, 0), (0, width - values.shape[1])))
