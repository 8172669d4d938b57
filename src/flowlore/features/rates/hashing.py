"""One way of hashing, in kernels and outside: the same on every machine, since what is estimated depends on it."""

from __future__ import annotations

import numpy as np

from ...flows.compiled import compiled, inlined
from .layout import Hashes, Whole


@inlined
def hash_of_key(key_0: Whole, key_1: Whole, key_2: Whole, key_3: Whole, step: Whole) -> Whole:
    mixed = mix(np.uint64(key_0) ^ (np.uint64(step) * np.uint64(0x9E3779B97F4A7C15)))
    mixed = mix(mixed ^ np.uint64(key_1))
    if key_2 != 0 or key_3 != 0:
        mixed = mix(mixed ^ np.uint64(key_2) ^ (np.uint64(key_3) * np.uint64(0xC2B2AE3D27D4EB4F)))
    return mixed


@inlined
def hash_of_pair(cell_hash: Whole, value: Whole, kind: Whole) -> Whole:
    """Of a cell and what it saw: a peer (kind 0) or a port (kind 1)."""
    return mix(cell_hash ^ (np.uint64(value) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(kind)))


@inlined
def mix(value: Whole) -> Whole:
    """The finish of MurmurHash3: every bit of the value moves every bit of the hash."""
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return value ^ (value >> np.uint64(33))


@compiled
def hashes_of_keys(keys: Hashes) -> Hashes:
    """A hash for each row of keys; 0, which is nobody, for a key of zeros only."""
    out = np.zeros(keys.shape[0], np.uint64)
    for row in range(keys.shape[0]):
        if (keys[row, 0] | keys[row, 1] | keys[row, 2] | keys[row, 3]) != 0:
            out[row] = max(hash_of_key(keys[row, 0], keys[row, 1], keys[row, 2], keys[row, 3], 0), np.uint64(1))
    return out
