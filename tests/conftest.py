"""Fixtures for every test: where the real traffic lies, and a skip with a reason where it does not."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Kernels compile within the first example; in CI the examples are the same each time, elsewhere new ones are tried.
settings.register_profile(
    "house", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("house")

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path += [str(REPOSITORY), str(REPOSITORY / "scripts")]  # `benchmarks` and `fuzzing` have tests too


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real traffic: `FLOWLORE_DATA`, else `../shared/data` beside the repository."""
    folder = Path(os.environ.get("FLOWLORE_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real traffic is not at {folder}; set FLOWLORE_DATA to the folder that holds it")
    return folder


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden/*/expected.jsonl")


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY
