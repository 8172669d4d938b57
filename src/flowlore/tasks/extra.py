"""The extra that learning needs: what it is, and a clear word where it is not installed."""

from __future__ import annotations

from ..errors import MissingDependency

NEEDED = ("torch", "sklearn", "lightgbm", "safetensors")


def missing_packages() -> list[str]:
    """Packages that learning needs and that are not installed."""
    from importlib.util import find_spec

    return [name for name in NEEDED if find_spec(name) is None]


def require_learning() -> None:
    """Learning needs packages that reading flows does not."""
    missing = missing_packages()
    if missing:
        raise MissingDependency(
            f"learning: {', '.join(f'`{name}`' for name in missing)} not installed",
            hint="pip install 'flowlore[learn]'",
        )
