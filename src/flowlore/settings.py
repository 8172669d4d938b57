"""How any stage's settings are declared, checked, read strictly from TOML and command line, printed and hashed."""

from dataclasses import dataclass, field, fields
from typing import Any

from .errors import SettingError


def setting(default: Any, meaning: str, *, minimum: float | None = None, maximum: float | None = None) -> Any:
    """A field of a `Settings` class: its default, what it means (with unit), and its bounds (inclusive)."""
    return field(default=default, metadata={"meaning": meaning, "minimum": minimum, "maximum": maximum})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of every stage's settings: frozen, keyword-only, checked when made."""

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            low, high = item.metadata.get("minimum"), item.metadata.get("maximum")
            if isinstance(value, int | float) and (
                (low is not None and value < low) or (high is not None and value > high)
            ):
                raise SettingError(f"settings: `{item.name}` is {value}, outside {low} to {high}")
