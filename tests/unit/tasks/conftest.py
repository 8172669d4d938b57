"""Labelled flows of the packaged capture, and an encoder that is quick to train."""

from pathlib import Path

import numpy as np
import pytest

import flowlore
import flowlore.models
from flowlore.cli.demo import DEMO_CAPTURE
from flowlore.flows.table import Flows
from flowlore.registry import Registry
from flowlore.tasks.predictor import Predictor


@pytest.fixture(scope="session")
def office() -> Flows:
    """The flows of the demo, labelled by what their first payload proved to be."""
    import polars as pl

    flows = flowlore.read(DEMO_CAPTURE)
    table = flows.to_arrow()
    names = pl.Series(table.column("app_protocol")).to_arrow()
    place = table.schema.get_field_index("label")
    return Flows(table.set_column(place, table.schema.field("label"), names.cast(table.schema.field("label").type)))


@pytest.fixture(scope="session")
def office_by_protocol() -> Flows:
    """The demo with what flows proved to be as labels, of those that several flows share."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = flowlore.read(DEMO_CAPTURE).to_arrow()
    names = table["app_protocol"].cast(pa.string())
    often = [one["values"] for one in pc.value_counts(names).to_pylist() if one["values"] and one["counts"] > 4]
    label = pc.if_else(pc.fill_null(pc.is_in(names, pa.array(often)), False), names, pa.scalar(None, pa.string()))
    return Flows(table.set_column(table.column_names.index("label"), "label", label))


@pytest.fixture
def with_stub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The stub is a model by name, and bundles by name are looked for in an empty folder."""
    stub = Registry("model", {"stub": "stub_encoder:StubEncoder"}, with_plugins=False)
    monkeypatch.setattr(flowlore.models, "MODELS", stub)
    monkeypatch.setenv("FLOWLORE_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def pretrained(with_stub: None, office: Flows) -> Predictor:
    from flowlore.tasks.pretraining import pretrain

    return pretrain("stub", office, rng=np.random.default_rng(0))
