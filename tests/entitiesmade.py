"""Flow tables made by hand in which hosts meet services, for tests of vectors of entities."""

from collections.abc import Iterable
from ipaddress import IPv4Address
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from flowlore import Flows
from flowlore.flows.addresses import address_bytes
from flowlore.flows.schema import flow_batch

SECOND = 1_000_000_000


class Talk(NamedTuple):
    """One flow; times are in seconds."""

    start: float
    src: str
    dst: str = "192.0.2.1"
    port: int | None = 80
    protocol: int | None = 6
    server_name: str | None = None
    dns_query: str | None = None


def flows_of(talks: Iterable[Talk]) -> Flows:
    """In the order given. A `src` or `dst` that is no address is a pseudonym."""
    held = list(talks)
    addresses = [_address(talk.src) for talk in held]
    known = {
        "start": pa.array([int(talk.start * SECOND) for talk in held], pa.int64()).cast(pa.timestamp("ns", "UTC")),
        "src_ip": pa.array(addresses, pa.binary(16)),
        "src_name": pa.array(
            [talk.src if address is None else None for talk, address in zip(held, addresses, strict=True)], pa.string()
        ),
        "dst_ip": pa.array([_address(talk.dst) for talk in held], pa.binary(16)),
        "dst_name": pa.array([None if _address(talk.dst) else talk.dst for talk in held], pa.string()),
        "dst_port": pa.array([talk.port for talk in held], pa.uint16()),
        "protocol": pa.array([talk.protocol for talk in held], pa.uint8()),
        "server_name": pa.array([talk.server_name for talk in held], pa.string()),
        "dns_query": pa.array([talk.dns_query for talk in held], pa.string()),
    }
    return Flows.from_batches([flow_batch(known, len(held))])


def two_crowds(seed: int = 0, talks: int = 6_000, hosts: int = 40) -> Flows:
    """Even hosts of 10.0.0.0/24 log in to two services, odd ones browse two others: no address tells who does what.

    Hosts of 10.7.0.0/24 log in too, those of 10.8.0.0/24 browse.
    """
    rng = np.random.default_rng(seed)
    held = []
    for at in range(talks):
        is_browser = bool(rng.random() < 0.5)
        number = int(rng.integers(hosts // 2)) * 2 + int(is_browser)
        network = "10.0.0.0" if rng.random() < 0.5 else "10.8.0.0" if is_browser else "10.7.0.0"
        port = int(rng.choice([80, 443] if is_browser else [22, 23]))
        name = f"{rng.choice(['www', 'img'])}.{rng.choice(['news', 'shop'])}.example" if is_browser else None
        held.append(Talk(at, str(IPv4Address(network) + number), port=port, server_name=name))
    return flows_of(held)


def _address(text: str) -> bytes | None:
    try:
        return address_bytes(text)
    except ValueError:
        return None
