"""Scans and one host that contacts many: patterns of connections to the run's own addresses, nothing sent in them."""

import errno
import socket
from contextlib import suppress
from random import Random

from ..activity import Program, Scene
from .budget import Budget, number
from .programs import Habit, run_program
from .targets import verified

NMAP = Program(name="nmap", package="nmap")
COMMON_PORTS = (
    *(21, 22, 23, 25, 53, 80, 110, 111, 135, 139, 143, 161, 179, 389, 443, 445, 465, 514, 548, 554, 587, 631, 636),
    *(873, 990, 993, 995, 1080, 1433, 1521, 1883, 2049, 2375, 3128, 3306, 3389, 5060, 5222, 5432, 5683, 5900, 5985),
    *(6379, 6443, 8000, 8008, 8080, 8081, 8443, 8883, 8888, 9000, 9090, 9100, 9200, 10000, 11211, 27017),
)


def targets(scene: Scene, rng: Random) -> list[str]:
    """Addresses of the option `target`, else every neighbour, in any order. Each is verified."""
    given = scene.options.get("target")
    others = [each for each in scene.neighbours if each not in scene.addresses]
    chosen = others if given is None else str(given).split()
    rng.shuffle(chosen)
    return [verified(scene, address) for address in chosen or scene.neighbours]


def target_of(scene: Scene, rng: Random) -> str:
    """One of them."""
    return targets(scene, rng)[0]


def wait(scene: Scene, rng: Random, budget: Budget, mean_s: float = 0.0) -> None:
    """Between two tries: nothing, or about the option `pause_s` (that is how slow and low is made)."""
    mean = float(scene.options.get("pause_s", mean_s))
    if mean > 0:
        budget.pause(rng.expovariate(1 / mean))


def _scan_ports(scene: Scene, rng: Random, budget: Budget) -> None:
    """Vertical: many ports of one host by full connections."""
    target = target_of(scene, rng)
    ports = [*COMMON_PORTS, *(rng.randrange(1, 65_536) for _ in range(200))]
    rng.shuffle(ports)
    for turn in budget.actions_up_to(number(scene, rng, "ports", 40, 200)):
        if not budget.spend(4):
            return
        _try(target, ports[turn % len(ports)])
        wait(scene, rng, budget)


def _scan_hosts(scene: Scene, rng: Random, budget: Budget) -> None:
    """Horizontal: one port of every neighbour."""
    port = number(scene, rng, "port_asked", 0, 0) or rng.choice((22, 23, 80, 443, 445, 3389, 5432, 8080))
    hosts = targets(scene, rng)
    for turn in budget.actions_up_to(len(hosts) * number(scene, rng, "rounds", 1, 3)):
        if not budget.spend(4):
            return
        _try(hosts[turn % len(hosts)], port)
        wait(scene, rng, budget)


def _try(address: str, port: int) -> int:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as asked:
        asked.settimeout(0.25)
        with suppress(OSError):
            return asked.connect_ex((address, port))
    return errno.ETIMEDOUT


def _scan_nmap(scene: Scene, rng: Random, budget: Budget) -> None:
    """The same two by nmap: half-open or full, its own order and retransmissions. No scripts, no version probes.

    Where the run sees frames that pass the kernel by, nmap may find neighbours by ARP and send by itself.
    """
    usual = ["-Pn", "--send-ip", "--disable-arp-ping"]
    hosts = targets(scene, rng)[: number(scene, rng, "hosts", 1, 8)]
    for host in hosts:
        ports = number(scene, rng, "ports", 20, 100)
        if budget.over or not budget.spend(ports * 4):
            return
        budget.actions += 1
        rate = max(1, int(budget.packets_per_s / 2))
        words = [
            "nmap",
            "-n",
            *([] if scene.options.get("raw_frames") and rng.random() < 0.5 else usual),
            rng.choice(("-sS", "-sT")),
            "--max-retries",
            "1",
            "--max-rate",
            str(rate),
        ]
        words += ["--top-ports", str(ports), "--host-timeout", f"{max(1, int(budget.seconds_left))}s"]
        words += ["-6"] if ":" in host else []
        run_program(scene, budget, [*words, host], seconds=60)
        wait(scene, rng, budget)


def _probe_udp(scene: Scene, rng: Random, budget: Budget) -> None:
    """Empty-looking datagrams to the ports of well-known services; closed ones answer by ICMP."""
    hosts = targets(scene, rng)
    for turn in budget.actions_up_to(number(scene, rng, "ports", 10, 80)):
        host = hosts[turn % len(hosts)]
        if not budget.spend(2):
            return
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as asked:
            asked.sendto(bytes(rng.randint(0, 40)), (host, rng.choice((53, 69, 123, 137, 161, 500, 514, 1900, 5353))))
        wait(scene, rng, budget, 0.01)


def _contact_neighbours(scene: Scene, rng: Random, budget: Budget) -> None:
    """One host that speaks a few bytes with many hosts on the same few ports, as something that spreads would."""
    hosts = targets(scene, rng)
    ports = rng.sample((22, 23, 80, 139, 443, 445, 5432, 8080), 2)
    for turn in budget.actions_up_to(len(hosts) * number(scene, rng, "rounds", 1, 4)):
        if not budget.spend(10):
            return
        for port in ports:
            with suppress(OSError), socket.create_connection((hosts[turn % len(hosts)], port), 0.25) as opened:
                opened.sendall(bytes(rng.randint(8, 200)))
                opened.settimeout(0.2)
                opened.recv(2000)
        wait(scene, rng, budget, 0.05)


SCAN_PORTS = Habit(
    name="scan-ports",
    application="port-scan",
    kind="misbehaviour",
    steps=_scan_ports,
    uses=(),
    options=("pause_s", "ports", "target"),
)
SCAN_HOSTS = Habit(
    name="scan-hosts",
    application="host-scan",
    kind="misbehaviour",
    steps=_scan_hosts,
    uses=(),
    options=("pause_s", "port_asked", "rounds", "target"),
)
SCAN_NMAP = Habit(
    name="scan-nmap",
    application="port-scan",
    kind="misbehaviour",
    steps=_scan_nmap,
    uses=(),
    needs=(NMAP,),
    options=("hosts", "pause_s", "ports", "target"),
)
PROBE_UDP = Habit(
    name="probe-udp",
    application="udp-scan",
    kind="misbehaviour",
    steps=_probe_udp,
    uses=(),
    options=("pause_s", "ports", "target"),
)
CONTACT_NEIGHBOURS = Habit(
    name="contact-neighbours",
    application="spreading",
    kind="misbehaviour",
    steps=_contact_neighbours,
    uses=(),
    options=("pause_s", "rounds", "target"),
)
