"""HTTP/3 on aioquic: a server of random pages and those who fetch them."""

import asyncio
from importlib import import_module
from random import Random
from typing import Any

from ..activity import Place, Program, Scene
from .budget import Budget, number, pause_s
from .materials import authority, certificate
from .programs import Habit, PeerService
from .targets import look_up, place_of
from .web import OPENSSL, packets_of

AIOQUIC = Program(name="aioquic", package="aioquic", origin="pypi")


def _serve(scene: Scene, port: int) -> None:
    chain, key = certificate(scene, "web-quic")
    asyncio.run(_wait(scene, port, str(chain), str(key)))


async def _wait(scene: Scene, port: int, chain: str, key: str) -> None:
    quic = import_module("aioquic.asyncio")
    configuration = import_module("aioquic.quic.configuration").QuicConfiguration(
        is_client=False, alpn_protocols=["h3"]
    )
    configuration.load_cert_chain(chain, key)
    for address in scene.addresses:
        await quic.serve(address, port, configuration=configuration, create_protocol=_answering)
    await asyncio.Event().wait()


def _answering(*arguments: Any, **options: Any) -> Any:
    """A connection that answers `/BYTES` with that many bytes, five million at most."""
    protocol = import_module("aioquic.asyncio").QuicConnectionProtocol(*arguments, **options)
    events = import_module("aioquic.h3.events")
    connections: list[Any] = []

    def received(event: Any) -> None:
        if not connections:
            connections.append(import_module("aioquic.h3.connection").H3Connection(protocol._quic))
        for message in connections[0].handle_event(event):
            if isinstance(message, events.HeadersReceived):
                path = dict(message.headers).get(b":path", b"/").lstrip(b"/")
                size = min(int(path), 5_000_000) if path.isdigit() else 0
                connections[0].send_headers(message.stream_id, [(b":status", b"200"), (b"server", b"laboratory")])
                connections[0].send_data(message.stream_id, bytes(size), end_stream=True)
                protocol.transmit()

    protocol.quic_event_received = received
    return protocol


def _browse(scene: Scene, rng: Random, budget: Budget) -> None:
    for _ in budget.actions_up_to(number(scene, rng, "visits", 1, 3)):
        place = place_of(scene, rng, "web-quic")
        name, address = look_up(scene, rng, place)
        sizes = [int(1_500 * 300 ** rng.random()) for _ in range(rng.randint(1, 6))]
        sizes = [size for size in sizes if budget.spend(packets_of(size))]
        asyncio.run(_fetch(scene, place, name, address, sizes, min(10.0, budget.seconds_left)))
        budget.pause(pause_s(scene, rng, 1.0))


async def _fetch(scene: Scene, place: Place, name: str, address: str, sizes: list[int], seconds: float) -> None:
    quic = import_module("aioquic.asyncio")
    configuration = import_module("aioquic.quic.configuration").QuicConfiguration(alpn_protocols=["h3"])
    configuration.server_name = name
    configuration.load_verify_locations(str(authority(scene)))
    visit = _Visit(len(sizes))
    try:
        async with asyncio.timeout(max(0.5, seconds)):
            async with quic.connect(
                address, place.port, configuration=configuration, create_protocol=visit.protocol
            ) as client:
                for size in sizes:
                    stream = client._quic.get_next_available_stream_id()
                    head = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", name.encode())]
                    visit.http.send_headers(stream, [*head, (b":path", b"/%d" % size)], end_stream=True)
                client.transmit()
                if sizes:
                    await visit.ended.wait()
    except (OSError, TimeoutError):
        pass


class _Visit:
    """Hears everything from the first packet on: what a server says of its compression comes before any answer."""

    def __init__(self, streams: int) -> None:
        self.ended = asyncio.Event()
        self.http: Any = None
        self._left = streams

    def protocol(self, *arguments: Any, **options: Any) -> Any:
        protocol = import_module("aioquic.asyncio").QuicConnectionProtocol(*arguments, **options)
        self.http = import_module("aioquic.h3.connection").H3Connection(protocol._quic)
        data = import_module("aioquic.h3.events").DataReceived

        def received(event: Any) -> None:
            for message in self.http.handle_event(event):
                if isinstance(message, data) and getattr(message, "stream_ended", False):
                    self._left -= 1
                    if self._left <= 0:
                        self.ended.set()

        protocol.quic_event_received = received
        return protocol


WEB_QUIC = PeerService(name="web-quic", port=443, serve=_serve, transport="udp", needs=(AIOQUIC, OPENSSL))
BROWSE_QUIC = Habit(
    name="browse-quic",
    application="web-quic",
    steps=_browse,
    uses=("web-quic",),
    needs=(AIOQUIC, OPENSSL),
    options=("ipv6_share", "pause_factor", "visits"),
)
