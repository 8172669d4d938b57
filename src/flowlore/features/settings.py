"""Which features are taken from a flow table, and what stays out unless a person asks for it."""

from dataclasses import dataclass, replace
from typing import Literal, Self

from ..settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class FeatureSettings(Settings):
    """What an encoder may see of a flow. Every report prints these, since they decide what a score means."""

    quantities: bool = setting(True, "take counters and statistics of the whole flow")
    series: bool = setting(True, "take sizes, gaps, flags and windows of the first packets")
    entities: bool = setting(True, "take names as tokens; which kinds, the `use_…` settings say")
    payload_bytes: int = setting(
        0,
        "first payload bytes taken in each direction; 0 takes none, since payload can hold what people wrote",
        minimum=0,
        maximum=1500,
    )
    packets: int = setting(32, "packets of a flow that are looked at, from its first", minimum=1, maximum=1000)
    use_addresses: bool = setting(
        False, "address prefixes as entities; off, since an address is a shortcut to the answer and may be a person"
    )
    use_ports: bool = setting(
        False, "port classes as entities; off, since in many data sets the port is the label and nowhere else"
    )
    use_names: bool = setting(
        True,
        "labels of server and DNS names as entities; on, since names outlive addresses; off for studies of behaviour",
    )

    graph: bool = setting(
        False,
        "which flows share a host, and when, for encoders of graphs; addresses join flows and are never looked at",
    )
    context_by: Literal["service", "client"] = setting(
        "service",
        "flows that count as related while an encoder trains: those to one service (server, port and protocol; those "
        "of one client where it is not known), for naming applications, or those of one client, for naming devices",
    )
    context_s: float = setting(
        300.0,
        "flows of one client count as related within so many seconds; 0: none do, of one service neither",
        minimum=0,
    )

    def without_context(self) -> Self:
        """What an encoder that does not train is shown: which flows belong together is of no use to it."""
        return replace(self, context_s=0.0)

    def shortcuts(self) -> str:
        """What a report says of identity: `addresses off, ports off, names on`."""
        chosen = {"addresses": self.use_addresses, "ports": self.use_ports, "names": self.use_names}
        words = [f"{name} {'on' if on and self.entities else 'off'}" for name, on in chosen.items()]
        return ", ".join([*words, "shared hosts on"] if self.graph else words)
