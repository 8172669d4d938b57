"""Places on a plane as a picture of pixels: what a map shows where no script runs."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

# Told apart on white and on near black; the most frequent name gets the first.
PALETTE = (
    *("#3b7ddd", "#12a594", "#e5a13a", "#8b5cd6", "#d9588b", "#7f9c3b", "#e0653a", "#4aa8d8", "#a0703c", "#5f6fe0"),
    *("#3f9f4f", "#c45ad0", "#b8a52c", "#d64550", "#5b8f8c", "#9a86c9", "#c98a9b", "#2e86a8", "#e3936e", "#86a8e0"),
)
OTHERS_COLOUR, NONE_COLOUR = "#8b94a3", "#a3acba"
OTHERS, NONE = len(PALETTE), len(PALETTE) + 1
MARGIN, LARGEST = 0.04, 10  # share of the picture that stays free; radius of the largest discs

Codes = npt.NDArray[np.uint8]


def shown_codes(codes: npt.NDArray[np.integer[Any]]) -> Codes:
    """Codes of colours: the first names have their own, further ones share one, -1 has none."""
    shown = np.where(codes < 0, NONE, np.minimum(codes, OTHERS))
    return shown.astype(np.uint8)


def scatter_png(places: npt.NDArray[Any], codes: Codes, *, width: int = 1800, height: int = 1200) -> bytes:
    """A PNG with a disc at each place on a transparent ground, rare colours over frequent ones; y grows downwards."""
    pixels = np.zeros((height, width), np.uint8)
    if len(places):
        across, down = _pixels(places, width, height)
        radius = 4 if len(places) > 20_000 else 5 if len(places) > 4000 else 7 if len(places) > 800 else LARGEST
        counts = np.bincount(codes, minlength=NONE + 1)
        turns = sorted(range(NONE + 1), key=lambda code: (code < OTHERS, code != NONE, -counts[code]))
        for code in turns:
            here = codes == code
            for right in range(-radius, radius + 1):
                for below in range(-radius, radius + 1):
                    if right * right + below * below <= radius * radius:
                        pixels[down[here] + below, across[here] + right] = code + 1
    return _png(pixels, [(0, 0, 0, 0), *(_colour(name) for name in (*PALETTE, OTHERS_COLOUR, NONE_COLOUR))])


def data_address(png: bytes) -> str:
    """A PNG as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _pixels(places: npt.NDArray[Any], width: int, height: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    low, high = places.min(axis=0), places.max(axis=0)
    room = np.array([width, height]) * (1 - 2 * MARGIN)
    scale = float((room / np.maximum(high - low, 1e-9)).min())
    at = (places - (low + high) / 2) * scale + np.array([width, height]) / 2
    inside = np.clip(np.rint(at), LARGEST, np.array([width, height]) - LARGEST - 1).astype(np.int64)
    return inside[:, 0], inside[:, 1]


def _colour(name: str) -> tuple[int, int, int, int]:
    red, green, blue = bytes.fromhex(name[1:])
    return red, green, blue, 140 if name == NONE_COLOUR else 225


def _png(pixels: npt.NDArray[np.uint8], palette: Sequence[tuple[int, int, int, int]]) -> bytes:
    height, width = pixels.shape
    rows = np.zeros((height, width + 1), np.uint8)  # each row begins with its filter, 0
    rows[:, 1:] = pixels
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", b"".join(bytes(colour[:3]) for colour in palette)),
            _chunk(b"tRNS", bytes(colour[3] for colour in palette)),
            _chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
