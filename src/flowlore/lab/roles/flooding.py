"""Floods at bounded rates against the run's own addresses: every packet is counted and paid for before it is sent."""

import ipaddress
import socket
import struct
from contextlib import suppress
from random import Random

from ..activity import Scene
from .budget import Budget, number
from .naming import WIDE_ZONE, wide_answer
from .programs import Habit
from .scanning import target_of, wait
from .targets import address_of, dns_query, name_of, place_of
from .web import PLAIN, ask, connection_to

_IPV4_ONLY = "the target of a half-open flood is IPv4"
_MOST = 1_000_000  # packets; bounds of the plan end a flood long before
_REFLECTORS = {53: (600, 1_300), 123: (440, 482), 389: (900, 1_400), 1900: (260, 420), 11211: (1_300, 1_400)}


def _flood_syn(scene: Scene, rng: Random, budget: Budget) -> None:
    """First packets of connections from changing source ports of this host; its kernel resets the answers."""
    target = _ipv4_target(scene, rng)
    port = number(scene, rng, "port_asked", 0, 0) or rng.choice((22, 80, 443))
    hold_back(scene, rng, budget)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
        source = _source_towards(target)
        for _ in budget.actions_up_to(number(scene, rng, "count", _MOST, _MOST)):
            if not budget.spend(3):
                return
            with suppress(OSError):
                raw.sendto(syn_segment(source, target, rng.randrange(1024, 65_536), port, rng), (target, 0))
            wait(scene, rng, budget)


def syn_segment(source: str, target: str, source_port: int, port: int, rng: Random) -> bytes:
    """A TCP header with SYN, the usual option of maximum segment size, and a right checksum."""
    head = struct.pack(">HHIIBBHHH", source_port, port, rng.randrange(1 << 32), 0, 0x60, 0x02, 64_240, 0, 0)
    segment = head + struct.pack(">BBH", 2, 4, 1_460)
    pseudo = ipaddress.IPv4Address(source).packed + ipaddress.IPv4Address(target).packed
    total = internet_checksum(pseudo + struct.pack(">BBH", 0, 6, len(segment)) + segment)
    return segment[:16] + struct.pack(">H", total) + segment[18:]


def internet_checksum(content: bytes) -> int:
    """
    >>> hex(internet_checksum(bytes.fromhex("45000073000040004011 0000 c0a80001c0a800c7")))
    '0xb861'
    """
    padded = content + b"\0" * (len(content) % 2)
    total: int = sum(struct.unpack(f">{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _flood_udp(scene: Scene, rng: Random, budget: Budget) -> None:
    """Datagrams of random bytes, of one size or of all, to one port or to any."""
    target = target_of(scene, rng)
    size, port = rng.choice((0, 64, 512, 1_400)), rng.choice((0, 53, 80, 443, 5060))
    hold_back(scene, rng, budget)
    with socket.socket(socket.AF_INET6 if ":" in target else socket.AF_INET, socket.SOCK_DGRAM) as opened:
        for _ in budget.actions_up_to(number(scene, rng, "count", _MOST, _MOST)):
            if not budget.spend(2):
                return
            content = rng.randbytes(size or rng.randint(1, 1_400))
            with suppress(OSError):
                opened.sendto(content, (target, port or rng.randrange(1, 65_536)))
            wait(scene, rng, budget)


def _flood_icmp(scene: Scene, rng: Random, budget: Budget) -> None:
    """Echo requests."""
    target = _ipv4_target(scene, rng)
    size, identity = rng.choice((8, 56, 1_000)), rng.randrange(1 << 16)
    hold_back(scene, rng, budget)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        for turn in budget.actions_up_to(number(scene, rng, "count", _MOST, _MOST)):
            if not budget.spend(2):
                return
            content = bytes(size)
            total = internet_checksum(struct.pack(">BBHHH", 8, 0, 0, identity, turn & 0xFFFF) + content)
            with suppress(OSError):
                raw.sendto(struct.pack(">BBHHH", 8, 0, total, identity, turn & 0xFFFF) + content, (target, 0))
            wait(scene, rng, budget)


def _flood_http(scene: Scene, rng: Random, budget: Budget) -> None:
    """The same page again and again: a new connection each time, or many questions in one."""
    place = place_of(scene, rng, *PLAIN)
    address = address_of(scene, rng, place)
    reuse = rng.random() < 0.5
    hold_back(scene, rng, budget)
    name = name_of(rng, place)
    connection = connection_to(scene, place, name, address, 1.0)
    try:
        for turn in budget.actions_up_to(number(scene, rng, "count", _MOST, _MOST)):
            if not budget.spend(16):
                return
            ask(connection, f"/api?{turn}", {"Host": name})
            if not reuse:
                connection.close()
            wait(scene, rng, budget)
    finally:
        connection.close()


def _flood_dns(scene: Scene, rng: Random, budget: Budget) -> None:
    """Questions for names that do not exist, so that no cache helps, from one port or from ever new ones."""
    place = place_of(scene, rng, "dns")
    address = address_of(scene, rng, place)
    of_one = rng.choice((1, 20, _MOST))
    hold_back(scene, rng, budget)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_DGRAM)
    try:
        for turn in budget.actions_up_to(number(scene, rng, "count", _MOST, _MOST)):
            if not budget.spend(2):
                return
            if turn % of_one == of_one - 1:
                opened.close()
                opened = socket.socket(family, socket.SOCK_DGRAM)
            name = f"{rng.randbytes(rng.randint(4, 10)).hex()}.office.example"
            with suppress(OSError):
                opened.sendto(dns_query(name, 1, rng), (address, place.port))
            wait(scene, rng, budget)
    finally:
        opened.close()


def _reflect(scene: Scene, rng: Random, budget: Budget) -> None:
    """What a victim sees of a reflection: long answers that nobody asked for, from the port of a service.

    It runs on laboratory servers, which send by their own will and under their own addresses; no source is forged.
    """
    target = target_of(scene, rng)
    source_port = number(scene, rng, "source_port", 0, 0) or rng.choice(sorted(_REFLECTORS))
    low, high = _REFLECTORS.get(source_port, (400, 1_400))
    port = number(scene, rng, "port_asked", 1024, 65_535)
    hold_back(scene, rng, budget)
    question = dns_query(f"{rng.randbytes(3).hex()}.{WIDE_ZONE}", 255, rng)
    with socket.socket(socket.AF_INET6 if ":" in target else socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # where a service runs, its port is taken and the answers come from another one
            opened.bind(("", source_port))
        for _ in budget.actions_up_to(number(scene, rng, "count", _MOST, _MOST)):
            size = rng.randint(low, high)
            if not budget.spend(2):
                return
            with suppress(OSError):
                content = wide_answer(question, rng, size) if source_port == 53 else rng.randbytes(size)
                opened.sendto(content, (target, port))
            wait(scene, rng, budget)


def hold_back(scene: Scene, rng: Random, budget: Budget) -> None:
    """No two floods are alike: each uses a part of its bounds, at once or after the option `ramp_s`."""
    rate, time = 10 ** rng.uniform(-0.6, 0), rng.uniform(0.3, 1.0)
    ramp_s = min(float(scene.options.get("ramp_s", rng.choice((0.0, 0.0, 8.0)))), budget.seconds_left * time / 2)
    budget.hold_back(rate=rate, time=time, ramp_s=ramp_s)


def _ipv4_target(scene: Scene, rng: Random) -> str:
    for _ in range(50):
        target = target_of(scene, rng)
        if ":" not in target:
            return target
    raise OSError(_IPV4_ONLY)


def _source_towards(target: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.connect((target, 9))
        return str(asked.getsockname()[0])


FLOOD_SYN = Habit(
    name="flood-syn",
    application="syn-flood",
    kind="misbehaviour",
    steps=_flood_syn,
    uses=(),
    options=("count", "pause_s", "port_asked", "ramp_s", "target"),
)
FLOOD_UDP = Habit(
    name="flood-udp",
    application="udp-flood",
    kind="misbehaviour",
    steps=_flood_udp,
    uses=(),
    options=("count", "pause_s", "ramp_s", "target"),
)
FLOOD_ICMP = Habit(
    name="flood-icmp",
    application="icmp-flood",
    kind="misbehaviour",
    steps=_flood_icmp,
    uses=(),
    options=("count", "pause_s", "ramp_s", "target"),
)
FLOOD_HTTP = Habit(
    name="flood-http",
    application="http-flood",
    kind="misbehaviour",
    steps=_flood_http,
    uses=("web-plain",),
    options=("count", "ipv6_share", "pause_s", "ramp_s"),
)
FLOOD_DNS = Habit(
    name="flood-dns",
    application="dns-flood",
    kind="misbehaviour",
    steps=_flood_dns,
    uses=("dns",),
    options=("count", "ipv6_share", "pause_s", "ramp_s"),
)
REFLECT = Habit(
    name="reflect-answers",
    application="reflection",
    kind="misbehaviour",
    steps=_reflect,
    uses=(),
    options=("count", "pause_s", "port_asked", "ramp_s", "source_port", "target"),
)
