"""Virtual private networks: OpenVPN, and work that is done by way of it."""

import http.client
import shlex
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from random import Random

from ..activity import Program, Scene
from .budget import Budget, number, pause_s
from .materials import certificate, make_materials
from .programs import Habit, ProgramService, start_program, stop_program
from .targets import look_up, place_of, verified
from .web import NGINX_PROGRAM, OPENSSL, packets_of, plain_site

OPENVPN = Program(name="openvpn", package="openvpn")
_INSIDE = "10.255.77"  # addresses that exist at the two ends of a tunnel only
_PORT_INSIDE = 8080
_READY_S = 6.0
_CIPHERS = ("AES-256-GCM", "AES-128-GCM", "CHACHA20-POLY1305")


def _serve(scene: Scene, port: int) -> Sequence[str]:
    """A server that gives every visitor an address, and a site that is reached by way of it only."""
    chain, key = certificate(scene, "vpn")
    site = plain_site(scene, f"{_INSIDE}.1", _PORT_INSIDE)
    words = ["openvpn", "--dev", "tun", "--server", f"{_INSIDE}.0", "255.255.255.0", "--topology", "subnet"]
    words += ["--proto", "udp", "--local", scene.addresses[0], "--port", str(port), "--dh", "none"]
    words += ["--ca", str(make_materials(scene.shared) / "ca.pem"), "--cert", str(chain), "--key", str(key)]
    words += ["--duplicate-cn", "--keepalive", "5", "30", "--data-ciphers", ":".join(_CIPHERS), "--verb", "1"]
    begin = f"until ip -4 -o address show | grep -q '{_INSIDE}.1/'; do sleep 0.1; done"
    return ["sh", "-c", f"{{ {begin}; exec {shlex.join(site)}; }} & exec {shlex.join(words)}"]


def _work_within(scene: Scene, rng: Random, budget: Budget) -> None:
    """Open the tunnel, work with what is behind it, close it."""
    place = place_of(scene, rng, "vpn")
    look_up(scene, rng, place)
    address = verified(scene, place.addresses[0])  # the server has one only
    chain, key = certificate(scene, "vpn-visitor")
    if not budget.spend(60):
        return
    device = f"tun{rng.randrange(10_000)}"
    words = ["openvpn", "--client", "--dev", device, "--dev-type", "tun", "--nobind", "--verb", "1"]
    words += ["--proto", "udp", "--remote", address, str(place.port), "--connect-retry-max", "1"]
    words += ["--ca", str(make_materials(scene.shared) / "ca.pem"), "--cert", str(chain), "--key", str(key)]
    words += ["--data-ciphers", rng.choice(_CIPHERS)]
    tunnel = start_program(scene, words, environment={})
    try:
        if not _is_open(min(_READY_S, budget.seconds_left)):
            return
        for _ in budget.actions_up_to(number(scene, rng, "visits", 2, 12)):
            if not budget.spend(packets_of(60_000)):
                return
            inside = http.client.HTTPConnection(f"{_INSIDE}.1", _PORT_INSIDE, timeout=3.0)
            with suppress(OSError, http.client.HTTPException):
                inside.request("GET", f"/{rng.choice(('page', 'image'))}-{rng.randrange(10)}")
                inside.getresponse().read()
            inside.close()
            budget.pause(pause_s(scene, rng, 0.6))
    finally:
        stop_program(tunnel)


def _is_open(seconds: float) -> bool:
    """Whether something answers inside within a time; before the tunnel is there no route leads to it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection((f"{_INSIDE}.1", _PORT_INSIDE), timeout=1.0):
            return True
        time.sleep(0.1)
    return False


VPN = ProgramService(name="vpn", port=1194, command=_serve, transport="udp", needs=(OPENVPN, OPENSSL, NGINX_PROGRAM))
WORK_WITHIN = Habit(
    name="work-by-vpn",
    application="openvpn",
    steps=_work_within,
    uses=("vpn",),
    needs=(OPENVPN, OPENSSL),
    options=("ipv6_share", "pause_factor", "visits"),
)
