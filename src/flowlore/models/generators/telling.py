"""A packet told in parts from what is known of it: its size, then flags, header and gap given what was told already.

Shape letters: N packets, D width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .packet_words import END, FLAGS, GAPS, HEADERS, SIZES

PARTS = ("size", "gap", "flags", "header")
ORDER = ("size", "flags", "header", "gap")
WORDS = {"size": SIZES, "gap": GAPS, "flags": FLAGS, "header": HEADERS}


class Telling(nn.Module):
    """Vectors of words, which are told by their likeness to a state."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.words = nn.ModuleDict({name: nn.Embedding(count, width) for name, count in WORDS.items()})
        self.within = nn.ModuleDict({name: nn.Linear(width, width) for name in ("flags", "header", "gap")})
        self.biases = nn.ParameterDict({name: nn.Parameter(torch.zeros(count)) for name, count in WORDS.items()})

    def logits(self, name: str, states_ND: Tensor, told: dict[str, Tensor]) -> Tensor:
        """Of one part of packets, given the parts that were told before it."""
        if name != "size":
            states_ND = F.gelu(self.within[name](states_ND + self.sum_of(told, tuple(told))))
        table = self.words[name]
        assert isinstance(table, nn.Embedding)
        answer: Tensor = states_ND @ table.weight.T + self.biases[name]
        return answer

    def surprise(self, states_ND: Tensor, words: dict[str, Tensor]) -> Tensor:
        """Summed cross entropy of flags, headers and gaps of packets, given their sizes."""
        told = {"size": words["size"]}
        total = states_ND.new_zeros((), dtype=torch.float32)
        for name in ORDER[1:]:
            answers = self.logits(name, states_ND, told).float()
            total = total + F.cross_entropy(answers, words[name], reduction="sum")
            told[name] = words[name]
        return total

    def drawn(
        self, states_ND: Tensor, may_end_N: Tensor, temperature: float, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Words of one packet for each state; `END` is told only where the flow may end."""
        packet: dict[str, Tensor] = {}
        for name in ORDER:
            answers = self.logits(name, states_ND, packet).float() / temperature
            answers[:, 0] = -torch.inf
            if name == "size":
                answers[~may_end_N, END] = -torch.inf
            packet[name] = torch.multinomial(answers.softmax(1), 1, generator=generator)[:, 0]
        return packet

    def sum_of(self, words: dict[str, Tensor], names: tuple[str, ...]) -> Tensor:
        found: Tensor = sum(
            (self.words[name](words[name]) for name in names[1:]), self.words[names[0]](words[names[0]])
        )
        return found
