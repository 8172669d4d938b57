"""The plug-in keeps what every source must keep."""

from pathlib import Path

import pytest
from flowlore_whitespace import WhitespaceSource

from flowlore.sources.checks import SourceCheck, source_checks

EXAMPLE = Path(__file__).with_name("example.flows").read_bytes()


@pytest.mark.parametrize("check", source_checks(), ids=lambda check: check.__name__)
def test_it_keeps_the_rules(check: SourceCheck) -> None:
    check(WhitespaceSource, [EXAMPLE])
