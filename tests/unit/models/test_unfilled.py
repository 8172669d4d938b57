"""Networks without weights: nothing is drawn, and loading one does not import what only compiling needs."""

import subprocess
import sys

import torch
from torch import nn

from flowlore.models.unfilled import unfilled


def test_nothing_is_drawn() -> None:
    state = torch.get_rng_state()
    with unfilled():
        made = nn.Sequential(nn.Embedding(1000, 64), nn.Linear(64, 64), nn.MultiheadAttention(64, 2))
    assert torch.equal(state, torch.get_rng_state())
    given = nn.Sequential(nn.Embedding(1000, 64), nn.Linear(64, 64), nn.MultiheadAttention(64, 2)).state_dict()
    made.load_state_dict(given)
    assert all(torch.equal(value, given[name]) for name, value in made.state_dict().items())


def test_a_bundle_is_loaded_without_the_compiler_of_torch() -> None:
    code = "import sys, flowlore; flowlore.load('laboratory'); sys.exit('torch._dynamo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
