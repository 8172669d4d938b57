"""An HTTP/3 server and client on aioquic: `serve CERTIFICATE KEY ADDRESS...` and `fetch NAME ADDRESS PORT CA BYTES`."""

import asyncio
import sys
from pathlib import Path

from aioquic.asyncio import QuicConnectionProtocol, connect, serve
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import QuicEvent


class Server(QuicConnectionProtocol):
    """Answers `/BYTES` with that many bytes."""

    http: H3Connection | None = None

    def quic_event_received(self, event: QuicEvent) -> None:
        self.http = self.http or H3Connection(self._quic)
        for message in self.http.handle_event(event):
            if isinstance(message, HeadersReceived):
                path = dict(message.headers)[b":path"]
                self.http.send_headers(message.stream_id, [(b":status", b"200"), (b"server", b"aioquic")])
                self.http.send_data(message.stream_id, bytes(int(path[1:])), end_stream=True)
                self.transmit()


class Client(QuicConnectionProtocol):
    """Asks once and waits for the end of the answer."""

    http: H3Connection | None = None
    received: int = 0

    async def fetch(self, name: str, size: int) -> None:
        self.done = asyncio.get_running_loop().create_future()
        self.http = H3Connection(self._quic)
        stream = self._quic.get_next_available_stream_id()
        headers = [
            (b":method", b"GET"),
            (b":scheme", b"https"),
            (b":authority", name.encode()),
            (b":path", f"/{size}".encode()),
        ]
        self.http.send_headers(stream, headers, end_stream=True)
        self.transmit()
        await asyncio.wait_for(self.done, 20)

    def quic_event_received(self, event: QuicEvent) -> None:
        for message in self.http.handle_event(event) if self.http else ():
            self._take(message)

    def _take(self, message: H3Event) -> None:
        if isinstance(message, DataReceived) and message.stream_ended and not self.done.done():
            self.done.set_result(None)


async def run_server(certificate: str, key: str, addresses: list[str]) -> None:
    configuration = QuicConfiguration(is_client=False, alpn_protocols=H3_ALPN)
    configuration.load_cert_chain(Path(certificate), Path(key))
    for address in addresses:
        await serve(address, 443, configuration=configuration, create_protocol=Server)
    await asyncio.Event().wait()


async def run_client(name: str, address: str, port: int, authority: str, size: int) -> None:
    configuration = QuicConfiguration(alpn_protocols=H3_ALPN, server_name=name)
    configuration.load_verify_locations(authority)
    async with connect(address, 443, configuration=configuration, create_protocol=Client, local_port=port) as client:
        await client.fetch(name, size)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(run_server(sys.argv[2], sys.argv[3], sys.argv[4:]))
    else:
        asyncio.run(run_client(sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5], int(sys.argv[6])))
