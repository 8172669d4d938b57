"""Every source in the registry keeps what every source must keep."""

import pytest
from source_examples import EXAMPLES

from flowlore.sources import SOURCES
from flowlore.sources.checks import SourceCheck, source_checks


@pytest.mark.parametrize("name", SOURCES.names())
@pytest.mark.parametrize("check", source_checks(), ids=lambda check: check.__name__)
def test_source(check: SourceCheck, name: str) -> None:
    assert name in EXAMPLES, f"add an example of `{name}` to tests/conformance/source_examples.py"
    source = SOURCES.load(name)
    assert source.name == name
    check(source, EXAMPLES[name])
