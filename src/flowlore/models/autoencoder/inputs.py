"""`FeatureBatch` → the tensors that the network reads, on the CPU. Each flow's tensors depend on that flow only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from ...features.batch import Array, FeatureBatch
from ...features.scaling import Scaling
from ...features.words import beginning_words, packet_words
from .network import Inputs

ENTITY_SLOTS = 24


def network_inputs(
    batch: FeatureBatch, modalities: list[str], scaling: Scaling | None, packets: int, payload_bytes: int
) -> Inputs:
    """Words, numbers and tokens, and `present` as float [B, modalities]."""
    words, is_packet = packet_words(batch, packets)
    inputs = {
        "words": torch.from_numpy(words),
        "is_packet": torch.from_numpy(is_packet),
        "beginnings": torch.from_numpy(beginning_words(batch)),
        "entities": torch.from_numpy(_tokens(batch)),
        "present": torch.from_numpy(np.stack([batch.has(name) for name in modalities], 1).astype(np.float32)),
    }
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
    return inputs


def _tokens(batch: FeatureBatch) -> npt.NDArray[np.int16]:
    """All entity tokens of a flow in one row; which setting admitted them was decided when they were taken."""
    known = [batch.channels[name] for name in sorted(batch.channels) if name.startswith("entities.")]
    tokens = np.zeros((len(batch), ENTITY_SLOTS), np.int16)
    if known:
        joined = np.concatenate(known, 1)[:, :ENTITY_SLOTS]
        tokens[:, : joined.shape[1]] = joined
    return tokens


def _octets(batch: FeatureBatch, side: str, width: int) -> npt.NDArray[np.int16]:
    values = batch.channels.get(f"payload.{side}")
    if values is None:
        return np.zeros((len(batch), width), np.int16)
    is_byte = _fitted(batch.channels[f"payload.{side}_is_byte"], width)
    octets: npt.NDArray[np.int16] = np.where(is_byte, _fitted(values, width).astype(np.int16) + 1, 0).astype(np.int16)
    return octets


def _fitted(values: Array, width: int) -> Array:
    if values.shape[1] >= width:
        return values[:, :width]
    return np.pad(values, ((0, 0), (0, width - values.shape[1])))
