"""Vectors of hosts, ports and names, and of hosts by all that is known of them."""

from .host_vectors import HostVectors, host_vectors
from .vectors import Alike, EntityVectors

__all__ = ["Alike", "EntityVectors", "HostVectors", "host_vectors"]
