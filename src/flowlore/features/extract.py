"""Flow table → `FeatureBatch`, column by column."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import InputError
from .batch import Array, FeatureBatch
from .context import context_keys
from .entities import extract_entities
from .graphs.ends import extract_ends, require_ends
from .quantities import extract_quantities
from .series import extract_series
from .settings import FeatureSettings

if TYPE_CHECKING:
    from ..flows.table import Flows

DEFAULTS = FeatureSettings()
ROWS_AT_ONCE = 65_536


def extract(
    flows: Flows | pa.Table | pa.RecordBatch, settings: FeatureSettings = DEFAULTS, *, in_parts: bool = False
) -> FeatureBatch:
    """What the settings admit of every flow, in the order of the table. A column that is not there is missing.

    A table without a host or a time is refused where a graph is asked for, unless it is one of the parts of a stream.
    """
    table = table_of(flows)
    if settings.graph and not in_parts:
        require_ends(table)
    pieces = [piece for piece in table.to_batches(max_chunksize=ROWS_AT_ONCE) if piece.num_rows]
    if not pieces:
        pieces = [pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in table.schema], schema=table.schema)]
    return FeatureBatch.concat([_extract(piece, settings) for piece in pieces])


def table_of(flows: Flows | pa.Table | pa.RecordBatch) -> pa.Table:
    """Flows as an Arrow table; what holds none is an error."""
    if isinstance(flows, pa.RecordBatch):
        return pa.Table.from_batches([flows])
    if isinstance(flows, pa.Table):
        return flows
    if not hasattr(flows, "to_arrow"):
        path = f"{flows!s}" if isinstance(flows, (str, Path)) else "office.pcapng"
        raise InputError(
            f"features: flows are wanted, and this is a `{type(flows).__name__}`",
            hint=f'`flowlore.read("{path}")` gives flows; an Arrow table or a Polars frame of them will do too',
        )
    return flows.to_arrow()


def _extract(table: pa.RecordBatch, settings: FeatureSettings) -> FeatureBatch:
    channels: dict[str, Array] = {}
    present: dict[str, npt.NDArray[np.bool_]] = {}
    if settings.context_s:
        channels["context"] = context_keys(table, settings.context_s, settings.context_by)
    if settings.quantities:
        numbers = extract_quantities(table)
        channels["quantities"] = numbers
        present["quantities"] = np.asarray(~np.isnan(numbers).all(axis=1))
    if settings.series:
        series, has_series = extract_series(table, settings.packets)
        channels |= series
        present |= has_series
    if settings.payload_bytes:
        for side in ("fwd", "rev"):
            octets, lengths = _payload(table, f"payload_{side}", settings.payload_bytes)
            channels[f"payload.{side}"] = octets
            channels[f"payload.{side}_is_byte"] = np.arange(settings.payload_bytes) < lengths[:, None]
            present[f"payload.{side}"] = lengths > 0
        present["payload"] = present["payload.fwd"] | present["payload.rev"]
    if settings.entities:
        tokens, has_tokens = extract_entities(table, settings)
        channels |= tokens
        present |= has_tokens
        present["entities"] = np.logical_or.reduce(list(has_tokens.values()))
    if settings.graph:
        ends, has_ends = extract_ends(table)
        channels |= ends
        present |= has_ends
    return FeatureBatch(length=table.num_rows, channels=channels, present=present)


def _payload(table: pa.RecordBatch, column: str, width: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """First bytes of each payload, zeros after its end, and how many there are."""
    rows = table.num_rows
    out = np.zeros((rows, width), np.uint8)
    if column not in table.schema.names or table.column(column).null_count == rows:
        return out, np.zeros(rows, np.int64)
    held = pc.fill_null(pc.binary_slice(table.column(column).cast(pa.large_binary()), 0, width), b"")
    offsets = np.frombuffer(held.buffers()[1], np.int64)[held.offset : held.offset + rows + 1]
    lengths = np.diff(offsets)
    out[np.arange(width) < lengths[:, None]] = np.frombuffer(held.buffers()[2] or b"", np.uint8)[
        offsets[0] : offsets[-1]
    ]
    return out, lengths
