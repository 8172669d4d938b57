"""A fast supervised network over the first packets: convolutions, and one layer to the classes."""

from .classifier import ConvnetClassifier
from .settings import ConvnetSettings

__all__ = ["ConvnetClassifier", "ConvnetSettings"]
