"""Who may be contacted: the places and neighbours of the scene, and nobody else in the world."""

import ipaddress
import socket
import struct
from random import Random

from ...errors import FlowloreError
from ..activity import Place, Scene

_ADDRESS_TYPES = {4: 1, 6: 28}  # A, AAAA


class ForeignTarget(FlowloreError):
    """An activity was asked to contact an address that this run did not make."""


class MissingPlace(FlowloreError):
    """The scene holds no place that offers what an activity uses."""


def verified(scene: Scene, address: str) -> str:
    """`address` as it was given, when it belongs to this run. Names are never taken: no resolver leads outside."""
    try:
        asked = ipaddress.ip_address(address)
    except ValueError:
        asked = None
    ours = {*scene.neighbours, *(address for place in scene.places for address in place.addresses)}
    if asked is None or asked not in {ipaddress.ip_address(address) for address in ours}:
        raise ForeignTarget(
            f"lab: `{scene.host}` may not contact `{address}`: it is no address of this run",
            hint="activities reach only the places and neighbours of their scene; correct the role's `target` option",
        )
    return address


def place_of(scene: Scene, rng: Random, *services: str) -> Place:
    """One of the places that offer one of `services`, by chance."""
    offered = [place for place in scene.places if place.service in services]
    if not offered:
        raise MissingPlace(
            f"lab: `{scene.host}` has no place that offers {' or '.join(f'`{name}`' for name in services)}",
            hint="give the scenario a host with that service",
        )
    return rng.choice(offered)


def address_of(scene: Scene, rng: Random, place: Place) -> str:
    """The address that a host would use for a place: IPv6 in a share of cases, where both ends have it."""
    has_v6 = any(":" in address and address != "::1" for address in scene.addresses)
    share = float(scene.options.get("ipv6_share", 0.3))
    usable = [address for address in place.addresses if (":" in address) == (has_v6 and rng.random() < share)]
    return verified(scene, (usable or list(place.addresses))[0])


def name_of(rng: Random, place: Place) -> str:
    """One of the place's names, else its address."""
    return rng.choice(place.names) if place.names else place.addresses[0]


def look_up(scene: Scene, rng: Random, place: Place) -> tuple[str, str]:
    """A name of the place and the address to use, after asking the laboratory's resolver as any program would."""
    name, address = name_of(rng, place), address_of(scene, rng, place)
    if scene.resolver is not None and place.names:
        family = 6 if ":" in address else 4
        ask_name(verified(scene, scene.resolver), name, _ADDRESS_TYPES[family], rng)
    return name, address


def ask_name(resolver: str, name: str, kind: int, rng: Random, port: int = 53, timeout_s: float = 1.0) -> bytes:
    """The resolver's answer over UDP, or nothing where none came."""
    query = dns_query(name, kind, rng)
    with socket.socket(socket.AF_INET6 if ":" in resolver else socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.settimeout(timeout_s)
        try:
            asked.sendto(query, (resolver, port))
            return asked.recv(4096)
        except OSError:
            return b""


def dns_query(name: str, kind: int, rng: Random) -> bytes:
    """A question with recursion asked for and room for 1232 bytes, as today's stub resolvers send it."""
    head = struct.pack(">HHHHHH", rng.randrange(1 << 16), 0x0100, 1, 0, 0, 1)
    return head + dns_name(name) + struct.pack(">HH", kind, 1) + b"\0" + struct.pack(">HHIH", 41, 1232, 0, 0)


def dns_name(name: str) -> bytes:
    """
    >>> dns_name("www.office.example")
    b'\\x03www\\x06office\\x07example\\x00'
    """
    labels = [label.encode("ascii")[:63] for label in name.strip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
