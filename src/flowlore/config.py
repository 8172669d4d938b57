"""Every stage's settings put together into one pipeline, and every registry in one list."""

from dataclasses import dataclass, field

from .features.rates.settings import RateSettings
from .features.settings import FeatureSettings
from .models.autoencoder.settings import AutoencoderSettings
from .models.flowgen.settings import FlowgenSettings
from .models.graph.settings import GraphEncoderSettings
from .models.settings import FineTuningSettings, TrainingSettings
from .models.skipgram.settings import SkipGramSettings
from .registry import Registry
from .sources.settings import SourceSettings
from .tasks.ddos.settings import DetectionSettings


@dataclass(frozen=True, kw_only=True)
class PipelineConfig(SourceSettings):
    """All settings of a run. It may be given wherever `SourceSettings` are wanted."""

    features: FeatureSettings = field(default_factory=FeatureSettings)
    rates: RateSettings = field(default_factory=RateSettings)
    autoencoder: AutoencoderSettings = field(default_factory=AutoencoderSettings)
    graph: GraphEncoderSettings = field(default_factory=GraphEncoderSettings)
    flowgen: FlowgenSettings = field(default_factory=FlowgenSettings)
    skipgram: SkipGramSettings = field(default_factory=SkipGramSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    fine_tuning: FineTuningSettings = field(default_factory=FineTuningSettings)
    detection: DetectionSettings = field(default_factory=DetectionSettings)


def registries() -> list[Registry]:
    """Every registry, left to right as data walks."""
    from .features.augment import AUGMENTATIONS
    from .models import MODELS
    from .models.generators import GENERATORS
    from .sources import SOURCES
    from .studies import MATERIALS, STUDIES
    from .tasks import BASELINES, HEADS
    from .tasks.ddos import DETECTORS
    from .tasks.forecast import FORECASTERS

    return [SOURCES, AUGMENTATIONS, MODELS, GENERATORS, HEADS, BASELINES, FORECASTERS, DETECTORS, MATERIALS, STUDIES]
