"""Flows → what each host is, and why: the flows, partners and windows that decided.

With a taught bundle a host is given a class. Where one of the classes is ordinary traffic, three flows decide: a host
is of another class where the three surest flows of it are, on average, at least half sure; fewer count as unsure.
Else every flow has a vote as large as its confidence. Without a head hosts are put in order of surprise, three flows
again deciding. It is the flows that a host began that speak of it; a host that began none is told by those that it was
sent, as their target: of an attack it is then the victim.
"""

from .verdicts import ORDINARY, HostReport, HostVerdict, Reason, surprise_table
from .watch import HostWatch, host_verdicts

__all__ = ["ORDINARY", "HostReport", "HostVerdict", "HostWatch", "Reason", "host_verdicts", "surprise_table"]
