"""`Rates`: the table of rates with what belongs to it, and where it came from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ...errors import InputError
from ...settings import settings_given
from .builder import RateBuilder, rate_batches
from .columns import rates_schema
from .entities import OTHERS
from .series import Series, matrices_of_rates, series_of_rates
from .settings import RateSettings, step_words

if TYPE_CHECKING:
    import polars

METADATA = b"flowlore.rates"


@dataclass(frozen=True, kw_only=True, eq=False)
class Rates:
    """A row is an entity in a step in which it had traffic. Where it has no row it was silent, except in `gaps`.

    Gaps are spans without any flow, as nanoseconds since 1970; `notes` counts what was left out or put together.
    """

    table: pa.Table
    by: str
    step_ns: int
    gaps: tuple[tuple[int, int], ...] = ()
    notes: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __repr__(self) -> str:
        return f"Rates: {len(self):,} rows by {self.by} and {step_words(self.step_ns)}, {len(self.gaps)} gaps"

    def to_polars(self) -> polars.DataFrame:
        import polars

        frame = polars.from_arrow(self.table)
        assert isinstance(frame, polars.DataFrame)
        return frame

    def series(self, feature: str = "in_bytes", *, entities: int | None = None) -> Series:
        """One column as a matrix; `entities` keeps so many of the largest."""
        return series_of_rates(self.table, self.step_ns, feature, gaps=self.gaps, entities=entities)

    @property
    def steps(self) -> int:
        """From the first to the last in which anybody had traffic."""
        steps = self.table["step"].cast(pa.int64()).to_numpy() // self.step_ns
        return int(steps.max() - steps.min()) + 1 if len(steps) else 0

    def largest(self, feature: str = "in_packets", *, most: int | None = None) -> tuple[str, ...]:
        """Names of entities by the sum of a column, the largest first."""
        encoded = self.table["entity"].combine_chunks().dictionary_encode()
        names = np.array(encoded.dictionary.to_pylist(), object)
        numbers = np.nan_to_num(np.asarray(self.table[feature].to_numpy(), np.float64))
        totals = np.bincount(encoded.indices.to_numpy(), weights=numbers, minlength=len(names))
        return tuple(names[np.lexsort((names.astype(str), -totals))[:most]].tolist())

    def named(self) -> Rates:
        """Without the rows of rare entities that were put together when memory was full."""
        is_named = pc.not_equal(self.table["entity"], OTHERS)
        return self if pc.all(is_named).as_py() else replace(self, table=self.table.filter(is_named))

    def matrices(self, features: Sequence[str], names: Sequence[str]) -> tuple[int, dict[str, npt.NDArray[np.float64]]]:
        """Several columns of some entities: when the first step begins, and a matrix [names, steps] for each."""
        return matrices_of_rates(self.table, self.step_ns, features, names, gaps=self.gaps)

    def write(self, path: str | Path, *, overwrite: bool = False) -> None:
        """To `.parquet`, which keeps everything, `.csv` or `.jsonl`."""
        from ...flows.tablefile import TableFile

        with TableFile(path, rates_schema(), overwrite=overwrite) as file:
            for batch in self.table.to_batches():
                file.write(batch)
            file.commit({"rates": rates_metadata(self.by, self.step_ns, self.gaps, self.notes)})

    @classmethod
    def from_table(cls, table: pa.Table) -> Rates:
        """What `write` wrote as Parquet. Columns that are missing and counters below 0 are an `InputError`."""
        about = json.loads((table.schema.metadata or {})[METADATA])
        for column in rates_schema():
            if column.name not in table.column_names:
                raise InputError(
                    f"rates: a file of rates has no column `{column.name}`", hint="`flowlore rates` makes it again"
                )
            if pa.types.is_integer(column.type) and (pc.min(table[column.name]).as_py() or 0) < 0:
                at = table["entity"][pc.index(pc.less(table[column.name], 0), pa.scalar(True)).as_py()]
                raise InputError(
                    f"rates: `{column.name}` of `{at}` is negative in a file of rates",
                    hint="`flowlore rates` never writes that; make the file again",
                )
        return cls(
            table=table,
            by=str(about["by"]),
            step_ns=int(about["step_ns"]),
            gaps=tuple((int(begin), int(end)) for begin, end in about["gaps"]),
            notes=about["notes"],
        )


def rates(
    flows: Any,
    by: str = "host",
    step: str = "1m",
    *,
    settings: RateSettings | Mapping[str, Any] | None = None,
) -> Rates:
    """Flows (`Flows`, an Arrow table, or batches such as those of `scan`) as time series of every entity.

    `by` is host, prefix, interface, exporter, as, link or application; `step` 10s, 1m, 5m, 1h or what else divides a
    day.
    """
    builder = RateBuilder(by, step, settings_given(RateSettings, settings))
    batches = list(rate_batches(flows, builder))
    return Rates(
        table=pa.Table.from_batches(batches, rates_schema()),
        by=by,
        step_ns=builder.step_ns,
        gaps=tuple(builder.gaps()),
        notes=builder.notes,
    )


def is_rates_table(table: pa.Table) -> bool:
    """Whether `Rates.from_table` can take it."""
    return METADATA in (table.schema.metadata or {})


def rates_metadata(by: str, step_ns: int, gaps: Sequence[tuple[int, int]], notes: Mapping[str, int]) -> str:
    """What a file of rates says about itself."""
    return json.dumps({"by": by, "step_ns": step_ns, "gaps": [list(one) for one in gaps], "notes": dict(notes)})
