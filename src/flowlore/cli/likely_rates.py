"""`flowlore generate` with a bundle of rates: series that may follow those that are given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import SettingError

if TYPE_CHECKING:
    from ..config import PipelineConfig


def generate_rates(
    bundle: str, output: str, after: Sequence[str], settings: PipelineConfig, *, steps: int, paths: int, top: int,
    seed: int, overwrite: bool,
) -> dict[str, Any]:  # fmt: skip
    """Write a row for each host, path and step, with a column for each feature that the decoder knows."""
    import numpy as np
    import pyarrow as pa

    from ..features.rates.settings import step_words
    from ..flows.tablefile import TableFile
    from ..tasks.dynamics import Dynamics
    from ..tasks.following.asked import made_metadata
    from ..tasks.loading import load
    from .seriesinputs import read_rates

    model = load(bundle)
    if not isinstance(model, Dynamics):
        raise SettingError(
            f"generate: `{bundle}` was taught an answer, and makes up no rates",
            hint="give what `flowlore pretrain flowgen` made",
        )
    if not after:
        raise SettingError(
            f"generate: `{bundle}` says how rates go on, and no traffic is given that they follow",
            hint="`--after rates.parquet`, or traffic of any kind",
        )
    step_ns = model.encoder.step_ns
    rates = read_rates(after, settings, by="host", step=None, default_step=step_words(step_ns))
    names, made = model.sample(rates, steps, paths, rng=np.random.default_rng(seed), entities=top)
    begin_ns = (int(rates.table["step"].cast(pa.int64()).to_numpy().max()) // step_ns + 1) * step_ns
    times = np.tile(begin_ns + step_ns * np.arange(steps, dtype=np.int64), len(names) * paths)
    columns: dict[str, Any] = {
        "step": pa.array(times).cast(pa.timestamp("ns", tz="UTC")),
        "entity": pa.array(np.repeat(np.asarray(names, object), paths * steps).tolist(), pa.string()),
        "path": pa.array(np.tile(np.repeat(np.arange(paths), steps), len(names)), pa.int32()),
    }
    for place, feature in enumerate(model.encoder.features):
        columns[feature] = pa.array(made[:, :, place].ravel())
    table = pa.table(columns)
    with TableFile(output, table.schema, overwrite=overwrite) as file:
        for batch in table.to_batches():
            file.write(batch)
        file.commit({"made_rates": made_metadata("host", step_ns)})
    return {"hosts": len(names), "paths": paths, "steps": steps, "rows": table.num_rows, "output": output}
