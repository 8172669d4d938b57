"""Which interfaces and addresses each router and host of a scenario has, known without the machine."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network

from ..errors import SettingError
from .scenario import Network, Scenario

_FIRST_HOST = 10  # the routers of a network have the addresses below


@dataclass(kw_only=True)
class Node:
    """A host or a router: its interfaces by network, and the addresses on them."""

    name: str
    networks: dict[str, str] = field(default_factory=dict)  # network → interface
    addresses: dict[str, tuple[str, ...]] = field(default_factory=dict)  # network → addresses, IPv4 first

    @property
    def all_addresses(self) -> tuple[str, ...]:
        return tuple(address for addresses in self.addresses.values() for address in addresses)


def nodes_of(scenario: Scenario) -> dict[str, Node]:
    """Routers and hosts by name, settled in the order of the scenario."""
    nodes = {name: Node(name=name) for name in [*scenario.routers, *scenario.hosts]}
    taken = dict.fromkeys(scenario.networks, 0)
    for name, router in scenario.routers.items():
        for number, network in enumerate(router.networks):
            taken[network] += 1
            _settle(nodes[name], network, f"eth{number}", taken[network], scenario)
    taken = dict.fromkeys(scenario.networks, _FIRST_HOST - 1)
    for name, host in scenario.hosts.items():
        taken[host.network] += 1
        _settle(nodes[name], host.network, "eth0", taken[host.network], scenario)
    return nodes


def reaches(scenario: Scenario, asking: str, asked: str) -> bool:
    """Whether packets of one host find the way to another, by IPv4 or IPv6. Nobody gets through a NAT from outside."""
    begin, end = (scenario.hosts[name].network for name in (asking, asked))
    for version in (4, 6):
        known = {
            name
            for name, network in scenario.networks.items()
            if version in {one.version for one in prefixes_of(network)}
        }
        reached = {begin} & known
        ahead = list(reached)
        while ahead:
            network = ahead.pop()
            for router in scenario.routers.values():
                is_outside = version == 4 and router.nat_towards == network
                if network in router.networks and not is_outside:
                    ahead += (set(router.networks) & known) - reached
                    reached |= set(router.networks) & known
        if end in reached:
            return True
    return False


def prefixes_of(network: Network) -> Iterator[IPv4Network | IPv6Network]:
    """IPv4 first."""
    for prefix in (network.ipv4, network.ipv6):
        if prefix is not None:
            yield ip_network(prefix)


def _settle(node: Node, network: str, interface: str, number: int, scenario: Scenario) -> None:
    node.networks[network] = interface
    addresses = []
    for prefix in prefixes_of(scenario.networks[network]):
        if number >= prefix.num_addresses - 1:
            raise SettingError(
                f"lab: {scenario.place}: [networks.{network}] has no address left for `{node.name}` in {prefix}",
                hint=f"a shorter prefix, or fewer hosts: routers begin at 1, hosts at {_FIRST_HOST}",
            )
        addresses.append(str(prefix[number]))
    node.addresses[network] = tuple(addresses)
