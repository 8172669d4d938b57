"""Every stage's settings put together into one pipeline, and every registry in one list."""

from dataclasses import dataclass

from .registry import Registry
from .sources.settings import SourceSettings


@dataclass(frozen=True, kw_only=True)
class PipelineConfig(SourceSettings):
    """All settings of a run. It may be given wherever `SourceSettings` are wanted."""


def registries() -> list[Registry]:
    """Every registry, left to right as data walks."""
    from .features.augment import AUGMENTATIONS
    from .sources import SOURCES
    from .tasks import BASELINES, HEADS

    return [SOURCES, AUGMENTATIONS, HEADS, BASELINES]
