"""The gallery of augmentations."""

import re

import numpy as np
import pytest

import flowlore
from flowlore.cli.demo import DEMO_CAPTURE
from flowlore.errors import TaskError
from flowlore.features.augment import AUGMENTATIONS
from flowlore.flows.schema import flow_batch
from flowlore.flows.table import Flows
from flowlore.pages.augment_page import augment_page


def test_every_transform_has_a_picture_that_differs() -> None:
    text = augment_page(flowlore.read(DEMO_CAPTURE), np.random.default_rng(0), magnitude=0.7)
    pictures = dict(re.findall(r"<h2>([a-z-]+)</h2><svg[^>]*>(.*?)</svg>", text))
    assert set(pictures) == set(AUGMENTATIONS.names())
    assert len(set(pictures.values())) > 0.9 * len(pictures)
    assert "hollow" in pictures["bernoulli-mask"] and "hollow" not in pictures["wrap"]
    assert not re.search(r"(src|href)=|<script|NaN|nan\b", text)


def test_flows_without_packets_cannot_be_drawn() -> None:
    flows = Flows(flow_batch({"packets_fwd": np.array([1], np.uint64)}, 1))
    with pytest.raises(TaskError, match="nothing to draw"):
        augment_page(flows, np.random.default_rng(0))


def test_one_flow_is_enough() -> None:
    rows = {"packet_direction": [[1, -1]], "packet_bytes": [[60, 60]], "packet_gap_ns": [[0, 1000]]}
    assert "cutmix" in augment_page(Flows(flow_batch(rows, 1)), np.random.default_rng(0))
