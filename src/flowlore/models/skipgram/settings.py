"""How vectors of entities are learnt. Nothing heavy is imported here: the command line reads it."""

from __future__ import annotations

from dataclasses import dataclass

from ...settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class SkipGramSettings(Settings):
    """How vectors of hosts, ports and names are learnt from what stands near each other."""

    width: int = setting(64, "numbers in a vector", minimum=1, maximum=4096)
    window: int = setting(25, "words to each side that count as near; each time a random number up to it", minimum=1)
    negatives: int = setting(5, "words drawn at random for each near one, to be told apart from it", minimum=1)
    epochs: int = setting(10, "times that every word is seen", minimum=1)
    least_words: int = setting(
        300_000, "words at least that are seen in all: of few words more epochs are made", minimum=1
    )
    learning_rate: float = setting(0.025, "learning rate of the first word; it falls evenly", minimum=0, maximum=1)
    last_learning_rate: float = setting(1e-4, "learning rate of the last word", minimum=0, maximum=1)
    hidden_names: float = setting(
        0.3,
        "share of the words that are told by what they share with others (prefix, domain, class) in place of their own "
        "name, so that what was never seen has a vector worth something",
        minimum=0,
        maximum=0.9,
    )
    most_words: int = setting(
        1_000_000, "words of a kind that are kept; further ones are known by what they share only", minimum=2
    )
