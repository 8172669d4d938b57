"""Run services in a namespace of our own, then activities, and print what each one sent: a line of JSON each.

`unshare --net python stage_of_roles.py FOLDER ROLE...`. Nothing but a loopback device exists there.
"""

import json
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path
from random import Random

from flowlore.lab.activity import Bounds, Place, Scene
from flowlore.lab.roles import ROLES
from flowlore.lab.roles.materials import make_materials
from flowlore.lab.roles.programs import missing

CLIENT = "198.51.100.1"
BOUNDS = Bounds(seconds=4.0, actions=3, packets=4_000, packets_per_s=2_000.0)


def main(folder: Path, names: list[str]) -> None:
    roles = {name: ROLES.load(name) for name in names}
    services = sorted({used for role in roles.values() for used in role.uses})
    make_materials(folder / "shared")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    addresses = {service: f"198.51.100.{place + 10}" for place, service in enumerate(services)}
    for address in (CLIENT, *addresses.values()):
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    places = tuple(
        Place(
            host=service,
            service=service,
            addresses=(address,),
            port=ROLES.load(service).port,
            names=(f"{service}.lab",),
        )
        for service, address in addresses.items()
    )
    with ExitStack() as running:
        for service, address in addresses.items():
            if not missing(ROLES.load(service).needs):
                running.enter_context(_serving(service, _scene(folder, service, address, places)))
        for place in places:
            _wait_for(place, ROLES.load(place.service).transport)
        for name, role in roles.items():
            lacking = [program.name for used in (name, *role.uses) for program in missing(ROLES.load(used).needs)]
            if lacking:
                print(json.dumps({"role": name, "missing": lacking}), flush=True)
                continue
            served = {place.addresses[0]: {place.port} for place in places}
            done = _perform(name, _scene(folder, name, CLIENT, places), served)
            print(json.dumps({"role": name, **done}), flush=True)


def _scene(folder: Path, host: str, address: str, places: tuple[Place, ...]) -> Scene:
    own = folder / host
    own.mkdir(exist_ok=True)
    neighbours = (CLIENT, *(place.addresses[0] for place in places))
    return Scene(
        host=host, addresses=(address,), folder=own, shared=folder / "shared", places=places, neighbours=neighbours
    )


@contextmanager
def _serving(name: str, scene: Scene) -> Iterator[None]:
    process = get_context("fork").Process(target=ROLES.load(name).run, args=(scene,))
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join(timeout=10)
        if process.is_alive():
            process.kill()


def _wait_for(place: Place, transport: str) -> None:
    """Until somebody listens at the place, ten seconds at most."""
    table = Path("/proc/net/tcp" if transport == "tcp" else "/proc/net/udp")
    number = struct.unpack("=I", socket.inet_aton(place.addresses[0]))[0]
    wanted = {f"{number:08X}:{place.port:04X}", f"00000000:{place.port:04X}"}
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if any(line.split()[1] in wanted for line in table.read_text().splitlines()[1:]):
            return
        time.sleep(0.05)


def _perform(name: str, scene: Scene, served: dict[str, set[int]]) -> dict[str, object]:
    """How many packets the activity exchanged with the services that it uses, and with anything else."""
    seen: Counter[str] = Counter()
    stop = threading.Event()
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800)) as tap:
        tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        watching = threading.Thread(target=_watch, args=(tap, stop, served, seen))
        watching.start()
        start = time.monotonic()
        code = subprocess.run(
            [sys.executable, __file__, "--act", name, str(scene.folder)],
            input=json.dumps(_plain(scene)).encode(),
            capture_output=True,
            timeout=60,
        )
        seconds = time.monotonic() - start
        time.sleep(0.05)
        stop.set()
        watching.join()
    return {"seconds": seconds, "error": code.stderr.decode()[-2_000:], **seen}


def _watch(tap: socket.socket, stop: threading.Event, served: dict[str, set[int]], seen: Counter[str]) -> None:
    while not stop.is_set():
        if not select.select([tap], [], [], 0.02)[0]:
            continue
        packet, device = tap.recvfrom(65_536)
        if device[2] == 4:  # loopback shows each packet twice: once as it leaves
            continue
        target, (from_port, to_port) = socket.inet_ntoa(packet[16:20]), struct.unpack(">HH", packet[20:24])
        if target in served:  # both ends of a connection inside one host have its address
            ports = served[target]
            seen["asked" if to_port in ports else "answered" if from_port in ports else "beside"] += 1
        seen["packets"] += 1


def _plain(scene: Scene) -> dict[str, object]:
    places = [
        [place.host, place.service, list(place.addresses), place.port, list(place.names)] for place in scene.places
    ]
    return {"places": places, "neighbours": scene.neighbours, "host": scene.host, "shared": str(scene.shared)}


def _act(name: str, folder: Path) -> None:
    given = json.load(sys.stdin)
    places = tuple(
        Place(host=host, service=service, addresses=tuple(addresses), port=port, names=tuple(names))
        for host, service, addresses, port, names in given["places"]
    )
    scene = Scene(
        host=given["host"],
        addresses=(CLIENT,),
        folder=folder,
        shared=Path(given["shared"]),
        places=places,
        neighbours=tuple(given["neighbours"]),
        options={"pause_factor": 0.1, "frames": 25, "moves": 25},
    )
    ROLES.load(name).act(scene, Random(name), BOUNDS)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.argv[1] == "--act":
        _act(sys.argv[2], Path(sys.argv[3]))
    else:
        main(Path(sys.argv[1]), sys.argv[2:])
