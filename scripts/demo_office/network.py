"""The namespaces, their interfaces and routes. Clean-up is the calling script's, so that it happens after any crash."""

import subprocess
from pathlib import Path

from .plan import HOSTS, OUTSIDE, PORTS, RESOLVER, STAFF, Port, space

SWITCH = space("switch")


def inside(host: str, *command: str) -> list[str]:
    """The words that run a command inside a host, under that host's own name: protocols tell it."""
    named = ("unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', f"{host}.office.example")
    return ["ip", "netns", "exec", space(host), *named, *command]


def run(host: str, *command: str) -> None:
    """Run a command inside a host and fail loudly."""
    subprocess.run(inside(host, *command), check=True, stdout=subprocess.DEVNULL)


def build_network() -> None:
    """Make the switch and every host, wire them, and give addresses and routes."""
    _ip("netns", "add", SWITCH)
    for host in HOSTS:
        _ip("netns", "add", space(host))
        folder = Path("/etc/netns") / space(host)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "resolv.conf").write_text(f"nameserver {RESOLVER}\noptions timeout:2 attempts:2\n")
        (folder / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
        run(host, "ip", "link", "set", "lo", "up")
    for port in PORTS:
        _wire(port)
    run("router", "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    for host in HOSTS:
        if host != "router":
            _route(host)


def _wire(port: Port) -> None:
    _ip("link", "add", port.interface, "netns", space(port.host), "type", "veth", "peer", port.name, "netns", SWITCH)
    _ip("-n", SWITCH, "link", "set", port.name, "promisc", "on", "up")
    run(port.host, "sysctl", "-qw", f"net.ipv6.conf.{port.interface}.accept_dad=0")
    _ip("-n", space(port.host), "link", "set", port.interface, "address", port.mac, "up")
    # frames must leave whole and with their checksums: the switch hands them on as they are
    run(port.host, "ethtool", "-K", port.interface, "tx", "off", "tso", "off", "gso", "off", "gro", "off")
    for address in port.addresses:
        _ip("-n", space(port.host), "address", "add", address, "dev", port.interface)


def _route(host: str) -> None:
    port = next(port for port in PORTS if port.host == host)
    gateway4, gateway6 = {
        STAFF: ("192.0.2.1", "2001:db8:10::1"),
        OUTSIDE: ("198.51.100.1", "2001:db8:80::1"),
    }.get(port.vlan, ("192.0.2.129", "2001:db8:20::1"))
    _ip("-n", space(host), "route", "add", "default", "via", gateway4)
    if any(":" in address for address in port.addresses):
        _ip("-n", space(host), "-6", "route", "add", "default", "via", gateway6)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
