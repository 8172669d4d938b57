"""The entropy of the sources of what each host is sent: what operators watch beside volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .overlay import packed_address
from .signs import Signs

COLUMNS = ("start", "src_ip", "dst_ip", "src_name", "dst_name", "packets_fwd")


def with_entropy(signs: Signs, flows: Sequence[pa.RecordBatch]) -> Signs:
    """The same with the entropy in bits of the sources' shares of the packets, NaN in steps without any.

    A flow counts where it begins, and as what its initiator sent.
    """
    import polars as pl

    places = pl.DataFrame(
        {
            "to": pl.Series([packed_address(name) or name.encode() for name in signs.names], dtype=pl.Binary),
            "host": np.arange(len(signs), dtype=np.int64),
        }
    )
    parts = [
        pa.table(
            {
                "step": _numbers(batch, "start") // signs.step_ns - signs.start_ns // signs.step_ns,
                "from": _ends(batch, "src"),
                "to": _ends(batch, "dst"),
                "packets": _numbers(batch, "packets_fwd").astype(np.float64),
            }
        )
        for batch in flows
    ]
    frame = pl.from_arrow(pa.concat_tables(parts))
    assert isinstance(frame, pl.DataFrame)
    counted = (
        frame.filter((pl.col("step") >= 0) & (pl.col("step") < signs.steps) & (pl.col("packets") > 0))
        .join(places, on="to", how="inner")
        .group_by("host", "step", "from")
        .agg(pl.col("packets").sum())
        .group_by("host", "step")
        .agg(
            pl.col("packets").sum().alias("whole"),
            (pl.col("packets") * pl.col("packets").log(2)).sum().alias("weighted"),
        )
    )
    out = np.full((len(signs), signs.steps), np.nan)
    whole, weighted = counted["whole"].to_numpy(), counted["weighted"].to_numpy()
    out[counted["host"].to_numpy(), counted["step"].to_numpy()] = np.log2(whole) - weighted / whole
    return replace(signs, entropy=out)


def _ends(batch: pa.RecordBatch, side: str) -> Any:
    """Addresses, or names where there are none, as bytes."""
    found = pa.nulls(batch.num_rows, pa.binary())
    for column in (f"{side}_ip", f"{side}_name"):
        if column in batch.schema.names:
            found = pc.coalesce(found, batch.column(column).cast(pa.binary()))
    return found


def _numbers(batch: pa.RecordBatch, name: str) -> Any:
    column = batch.column(name)
    column = column.cast(pa.timestamp("ns", tz="UTC")).cast(pa.int64()) if name == "start" else column.cast(pa.int64())
    return np.asarray(pc.fill_null(column, 0).to_numpy(zero_copy_only=False), np.int64)
