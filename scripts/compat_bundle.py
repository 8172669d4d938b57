"""Writes tests/compat/v<release>.zip: a taught bundle, flows, and the vectors and answers that it gave them."""

from __future__ import annotations

import json
import sys
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import flowlore
from flowlore.cli.demo import DEMO, DEMO_CAPTURE
from flowlore.features.settings import FeatureSettings
from flowlore.models import MODELS
from flowlore.models.autoencoder.settings import AutoencoderSettings
from flowlore.tasks.few_shot import prepare, teach
from flowlore.tasks.predictor import Predictor
from flowlore.tasks.pretraining import pretrain

FOLDER = Path(__file__).resolve().parent.parent / "tests" / "compat"
FLOWS = 40
SEED = 1


def main() -> int:
    target = FOLDER / f"v{flowlore.__version__}.zip"
    if target.exists() and "--overwrite" not in sys.argv[1:]:
        print(
            f"compat: `{target}` is there already, and a release is kept as it was\n\nhint: `--overwrite`",
            file=sys.stderr,
        )
        return 2
    flows, _ = flowlore.annotate(flowlore.read(DEMO_CAPTURE), DEMO / "labels.csv")
    rng = np.random.default_rng(SEED)
    settings = AutoencoderSettings(size="small", width=8, packets=8)
    made = small(pretrain("autoencoder", flows, rng=rng, features=FeatureSettings(packets=8), settings=settings))
    lesson = prepare(made, flows, by="time", rng=rng)
    taught, _ = teach(made, lesson, shots=2, rng=rng, drop_small_classes=True)
    shown = flows[:: len(flows) // FLOWS][:FLOWS]
    answers = taught.predict(shown)
    said = {
        "version": flowlore.__version__,
        "vectors": np.round(taught.embed(shown).vectors.astype(np.float64), 6).tolist(),
        "labels": answers.column("label").to_pylist(),
        "confidence": [round(float(one), 6) for one in answers.column("confidence").to_pylist()],
        "novelty": [round(float(one), 6) for one in answers.column("novelty").to_pylist()],
    }
    with tempfile.TemporaryDirectory() as work:
        taught.save(Path(work) / "bundle")
        shown.write(Path(work) / "flows.parquet")
        (Path(work) / "expected.json").write_text(json.dumps(said), encoding="utf-8")
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for file in sorted(path for path in Path(work).rglob("*") if path.is_file()):
                archive.write(file, file.relative_to(work))
    print(f"{target}: {target.stat().st_size:,} bytes")
    return 0


def small(made: Predictor) -> Predictor:
    """The same with weights of eight bits after the point, which a zip file holds in half the room."""
    arrays, values = made.encoder.state()
    rounded = {name: shortened(array) for name, array in arrays.items()}
    return replace(made, encoder=MODELS.load(made.model).from_state(rounded, values))


def shortened(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if array.dtype != np.float32:
        return array
    return (np.ascontiguousarray(array).view(np.uint32) & np.uint32(0xFFFF8000)).view(np.float32)


if __name__ == "__main__":
    sys.exit(main())
