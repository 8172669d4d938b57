"""A trained decoder of rates brought to life: hosts as vectors, what comes next, how odd what came was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import BundleError
from ..features.rates.rates import Rates, rates
from ..features.rates.series import Series
from ..features.rates.settings import step_words
from .bundle import Bundle
from .forecast.bundles import check_features, decoder_of, save_flowgen

if TYPE_CHECKING:
    import pyarrow as pa

    from ..models.flowgen.encoder import FlowgenEncoder
    from .forecast.outlook import Outlook

MOST_ENTITIES = 20_000
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class EntityVectors:
    """A vector for each entity; one of which nothing is known has zeros."""

    names: tuple[str, ...]
    vectors: npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Dynamics:
    """What `flowlore pretrain flowgen` made. It takes `Rates`, or flows, of which it makes rates by host."""

    encoder: FlowgenEncoder
    data: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> Dynamics:
        return cls(encoder=decoder_of(bundle), data=bundle.data, metrics=bundle.metrics, name=bundle.name)

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        return save_flowgen(self.encoder, self.data, path, metrics=self.metrics, overwrite=overwrite)

    def embed(self, traffic: Any, *, by: str = "host", entities: int = MOST_ENTITIES) -> EntityVectors:
        """How each entity's rates moved, as one vector; of the busiest where there are more than `entities`."""
        from ..features.batch import FeatureBatch
        from ..models.flowgen.identities import entity_numbers

        names, start_ns, values = self._values(traffic, by, entities)
        batch = FeatureBatch(
            length=len(names),
            channels={
                "rates.values": values.transpose(0, 2, 1).astype(np.float32),
                "rates.start_ns": np.full(len(names), start_ns),
                "rates.step_ns": np.full(len(names), self.encoder.step_ns),
                "rates.entity": entity_numbers(names),
            },
            present={"rates": np.ones(len(names), np.bool_)},
        )
        return EntityVectors(names=names, vectors=self.encoder.embed(batch))

    def oddness(self, traffic: Any, *, by: str = "host", entities: int = MOST_ENTITIES) -> pa.Table:
        """How unlikely each step was after those before it: entity, step, bits, and the feature that was oddest."""
        import pyarrow as pa

        from ..models.flowgen.identities import entity_numbers

        names, start_ns, values = self._values(traffic, by, entities)
        starts, step_ns = np.full(len(names), start_ns), self.encoder.step_ns
        bits = self.encoder.bits(self.encoder.inputs(values, starts, step_ns, entities=entity_numbers(names)))
        known = np.isfinite(bits)
        total = np.where(known, bits, 0.0).sum(axis=1)
        worst = np.where(known, bits, -np.inf).argmax(axis=1)
        steps = start_ns + self.encoder.step_ns * np.arange(values.shape[2], dtype=np.int64)
        rows = known.any(axis=1)
        host, step = np.nonzero(rows)
        return pa.table(
            {
                "entity": pa.array(np.asarray(names, object)[host].tolist(), pa.string()),
                "step": pa.array(steps[step]).cast(pa.timestamp("ns", tz="UTC")),
                "bits": pa.array(total[rows]),
                "oddest": pa.array(np.asarray(self.encoder.features, object)[worst[rows]].tolist(), pa.string()),
            }
        )

    def forecast(self, series: Series, steps: int, *, rng: np.random.Generator | None = None) -> Outlook:
        """What comes next of series of one feature, with bands."""
        from .forecast.flowgen import FlowgenForecaster
        from .forecast.outlook import outlook

        check_features(self.encoder, [series.feature])
        return outlook(series, steps, method=FlowgenForecaster(self.encoder), rng=rng or np.random.default_rng(0))

    def sample(
        self, traffic: Any, steps: int, paths: int, *, rng: np.random.Generator, by: str = "host", entities: int = 100
    ) -> tuple[tuple[str, ...], Values]:
        """Names, and [entities, paths, features, steps] that may follow: rates that nobody had."""
        from ..models.flowgen.identities import entity_numbers
        from ..models.flowgen.sampling import sampled_paths

        names, start_ns, values = self._values(traffic, by, entities)
        starts = np.full(len(names), start_ns)
        made = sampled_paths(
            self.encoder, values, starts, self.encoder.step_ns, steps, paths, rng, entities=entity_numbers(names)
        )
        return names, made

    def _values(self, traffic: Any, by: str, entities: int) -> tuple[tuple[str, ...], int, Values]:
        """Names, when the first step begins, and [entities, features, steps] in the decoder's own features."""
        step = step_words(self.encoder.step_ns)
        made = traffic if isinstance(traffic, Rates) else rates(traffic, by, step)
        if made.step_ns != self.encoder.step_ns:
            raise BundleError(
                f"bundle: `{self.name or 'flowgen'}` learnt from steps of {step}, and these rates have "
                f"{step_words(made.step_ns)}",
                hint=f"`--step {step}`",
            )
        if not set(self.encoder.features) <= set(made.table.column_names[2:]):
            raise BundleError(
                f"bundle: `{self.name or 'flowgen'}` learnt from series of `{self.encoder.features[0]}`, not rates",
                hint="`forecast` takes such series",
            )
        first = made.series(self.encoder.features[0], entities=entities)
        rest = [made.series(name).of(first.names).values for name in self.encoder.features[1:]]
        return first.names, first.start_ns, np.stack([first.values, *rest], axis=1)
