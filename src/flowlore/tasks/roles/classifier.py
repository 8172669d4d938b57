"""`RoleClassifier`: what `flowlore fit --task roles` made. It says what hosts are, from their rates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...errors import BundleError, FlowloreError
from ...features.rates.rates import Rates, rates
from ...features.rates.settings import step_words
from ...settings import settings_values
from .. import HEADS
from ..bundle import Bundle, damaged, plain, save_bundle
from ..predictor import seen_by
from .windows import Windows, check_windows, window_numbers, window_vectors, windows_of

if TYPE_CHECKING:
    import pyarrow as pa

    from ...models.flowgen.encoder import FlowgenEncoder
    from ..classify.head import Head

MODEL = "flowgen"


@dataclass(frozen=True, kw_only=True)
class RoleClassifier:
    """It takes `Rates`, or flows, of which it makes rates by host."""

    encoder: FlowgenEncoder
    head: Head
    head_name: str
    width: int  # steps of a window
    data: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(str(one) for one in self.head.classes_)

    def predict(self, traffic: Any) -> pa.Table:
        """A row for each host: entity, label, how sure over all its windows, and how many windows there are."""
        import pyarrow as pa

        windows, chances = self.window_chances(traffic)
        hosts, places = np.unique(windows.hosts.astype(str), return_inverse=True)
        sums = np.zeros((len(hosts), len(self.labels)))
        np.add.at(sums, places, chances)
        counts = np.bincount(places, minlength=len(hosts))
        means = sums / counts[:, None]
        return pa.table(
            {
                "entity": pa.array(hosts.tolist(), pa.string()),
                "label": pa.array(np.asarray(self.labels, object)[means.argmax(axis=1)].tolist(), pa.string()),
                "confidence": pa.array(means.max(axis=1).astype(np.float32)),
                "windows": pa.array(counts, pa.int64()),
            }
        )

    def window_chances(self, traffic: Any) -> tuple[Windows, npt.NDArray[np.float64]]:
        """Windows of all hosts, and how likely each class is of each of them, in the order of `labels`."""
        step_ns = self.encoder.step_ns
        found = traffic if isinstance(traffic, Rates) else rates(traffic, "host", step_words(step_ns))
        if found.step_ns != step_ns:
            raise BundleError(
                f"bundle: `{self.name or 'roles'}` was taught steps of {step_words(step_ns)}, and these rates have "
                f"{step_words(found.step_ns)}",
                hint=f"`--step {step_words(step_ns)}`",
            )
        windows = windows_of(found, found.largest(), width=self.width, features=self.encoder.features)
        check_windows(windows)
        return windows, self.chances(windows)

    def chances(self, windows: Windows) -> npt.NDArray[np.float64]:
        numbers = window_numbers(windows) if self.head.sees_numbers else None
        return self.head.predict_proba(seen_by(self.head, window_vectors(self.encoder, windows), numbers))

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        encoder_arrays, encoder_values = self.encoder.state()
        head_arrays, head_values = self.head.state()
        bundle = Bundle(
            model=MODEL,
            config={
                "model": {"name": MODEL, **settings_values(self.encoder.settings)},
                "head": {"name": self.head_name, **head_values["settings"]},
            },
            needs=tuple(self.encoder.needs),
            states=plain({"encoder": encoder_values, "roles": head_values | {"width": self.width}}),
            arrays={"encoder": encoder_arrays, "roles": head_arrays},
            labels=self.labels,
            data=self.data,
            metrics=self.metrics,
        )
        return save_bundle(bundle, path, overwrite=overwrite)

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> RoleClassifier:
        from ...models.flowgen.encoder import FlowgenEncoder

        if "roles" not in bundle.states:
            raise BundleError(
                f"bundle: `{bundle.name}` was taught no roles of hosts",
                hint="`flowlore fit BUNDLE TRAFFIC --task roles --labels FILE -o NEW` teaches it some",
            )
        try:
            held = bundle.states["roles"]
            name = str(bundle.config["head"]["name"])
            return cls(
                encoder=FlowgenEncoder.from_state(bundle.arrays["encoder"], bundle.states["encoder"]),
                head=HEADS.load(name).from_state(bundle.arrays["roles"], held),
                head_name=name,
                width=int(held["width"]),
                data=bundle.data,
                metrics=bundle.metrics,
                name=bundle.name,
            )
        except (FlowloreError, KeyError, TypeError, ValueError) as error:
            raise damaged(bundle.name, "roles", error) from error
