"""Wires between namespaces, and what is done to the frames on them: by the kernel where it can, else by a relay."""

import fcntl
import socket
import struct
from dataclasses import dataclass
from functools import partial

from .machine import Abilities, call_inside, inside, run, works
from .scenario import Link

# linux/sockios.h, linux/ethtool.h: frames must lie on the wire as they would between two machines, whole and with
# their checksums, so everything that the kernel would leave to a network card is turned off
_SIOCETHTOOL = 0x8946
_OFFLOADS = {"checksums": 0x17, "segments": 0x1F, "gso": 0x24, "gro": 0x2C, "scatter": 0x19}
_QUEUE_MS = 200  # frames that wait longer than this for their turn are lost


@dataclass(frozen=True, kw_only=True)
class Wire:
    """From an interface of a host to a port of the switch."""

    space: str
    interface: str
    switch: str
    port: str
    link: str | None  # name in the scenario

    @property
    def ends(self) -> tuple[tuple[str, str], tuple[str, str]]:
        return (self.space, self.interface), (self.switch, self.port)


def needs_relay(link: Link | None, abilities: Abilities) -> bool:
    """Whether frames of such a link go through the relay: the kernel has no `netem`, but TAP devices."""
    shaping = abilities.shaping
    return link is not None and link.is_shaped and not shaping.get("netem") and bool(shaping.get("tap"))


def unmet(link: Link, abilities: Abilities) -> list[str]:
    """What of a link this machine cannot do, in words."""
    shaping = abilities.shaping
    if shaping.get("netem") or needs_relay(link, abilities):
        return []
    lacking = []
    if link.delay_ms or link.jitter_ms or link.reorder:
        lacking.append("delay, jitter and reordering (neither netem nor TAP devices)")
    if link.loss and not shaping.get("statistic"):
        lacking.append("loss (neither netem, TAP devices nor iptables -m statistic)")
    if link.rate_mbit is not None and not shaping.get("tbf"):
        lacking.append("rate (neither netem nor tbf)")
    return lacking


def lay_wire(wire: Wire, link: Link | None, abilities: Abilities) -> None:
    """Make both ends and shape them. Where a relay is needed the ends are TAP devices that wait for it."""
    if needs_relay(link, abilities):
        for space, name in wire.ends:
            run("ip", "-n", space, "tuntap", "add", "dev", name, "mode", "tap")
        return
    peer = ("peer", "name", wire.port, "netns", wire.switch)
    run("ip", "-n", wire.space, "link", "add", wire.interface, "type", "veth", *peer)
    for space, name in wire.ends:
        call_inside(space, partial(_turn_offloads_off, name))
        if link is not None:
            _shape(space, name, link, abilities)


def _shape(space: str, name: str, link: Link, abilities: Abilities) -> None:
    add = ("tc", "-n", space, "qdisc", "add", "dev", name, "root")
    if link.is_shaped and abilities.shaping.get("netem"):
        words = ["delay", f"{link.delay_ms}ms", f"{link.jitter_ms}ms", "loss", f"{100 * link.loss}%"]
        if link.reorder and link.delay_ms:
            words += ["reorder", f"{100 * link.reorder}%"]
        if link.rate_mbit is not None:
            words += ["rate", f"{link.rate_mbit}mbit"]
        run(*add, "netem", *words, "limit", "2000")
        return
    if link.loss and abilities.shaping.get("statistic"):
        for tool in ("iptables", "ip6tables"):
            chance = ("-m", "statistic", "--mode", "random", "--probability", f"{link.loss}")
            works(*inside(space, tool, "-A", "INPUT", "-i", name, *chance, "-j", "DROP"))
    if link.rate_mbit is not None and abilities.shaping.get("tbf"):
        burst = max(3000, int(link.rate_mbit * 1e6 / 8 * 0.005))
        run(*add, "tbf", "rate", f"{int(link.rate_mbit * 1000)}kbit", "burst", str(burst), "latency", f"{_QUEUE_MS}ms")


def _turn_offloads_off(name: str) -> None:
    import array

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for command in _OFFLOADS.values():
            value = array.array("B", struct.pack("II", command, 0))
            place, _ = value.buffer_info()
            try:
                fcntl.ioctl(control, _SIOCETHTOOL, struct.pack("16sP", name.encode(), place))
            except OSError:
                continue  # what an interface does not have need not be turned off
