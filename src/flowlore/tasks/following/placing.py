"""Hosts and made-up peers as addresses, and when each row begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...flows.addresses import parse_addresses
from ...flows.ids import fixed_binary
from .asked import MAPPED, Asked, Integers
from .ends import NOBODY, Rows

Octets = npt.NDArray[np.uint8]

PEERS_IPV4 = (
    (0xC6120001, 0xC613FFFE),  # 198.18.0.0/15, the range for benchmarks
    (0x64400001, 0x647FFFFE),  # 100.64.0.0/10, the range that carriers share, where there are more of them
)
PEERS_IPV6 = bytes.fromhex("20010002000000000000000000000000")  # 2001:2::/48, likewise
PEER_NAME = "made-up-{}"
FIRST_PORT, PORTS = 1024, 60_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Side:
    """One end of rows: 16 bytes of an address, or a name where the rates name no address."""

    address: Octets  # [rows, 16]
    has_address: npt.NDArray[np.bool_]
    name: npt.NDArray[np.object_]

    @property
    def ipv4(self) -> Integers:
        """As numbers; -1 for what is none."""
        is_ipv4 = self.has_address & (self.address[:, :12] == np.frombuffer(MAPPED, np.uint8)).all(axis=1)
        numbers = self.address[:, 12:].astype(np.int64) @ (256 ** np.arange(3, -1, -1))
        return np.where(is_ipv4, numbers, -1)

    def columns(self, side: str) -> dict[str, Any]:
        no_name = self.has_address | (self.name == "")
        return {
            f"{side}_ip": pa.array(
                [None if not has else one.tobytes() for has, one in zip(self.has_address, self.address, strict=True)],
                pa.binary(16),
            ),
            f"{side}_name": pa.array(
                [None if none else one for one, none in zip(self.name, no_name, strict=True)], pa.string()
            ),
        }


def sides(asked: Asked, rows: Rows) -> tuple[Side, Side]:
    """`src` and `dst` of every row. A peer is of the family of its host, and no other host has the same peers."""
    parsed, bad = parse_addresses(pa.array(asked.hosts, pa.string()))
    octets = b"".join(bytes(16) if one is None else one for one in parsed.to_pylist())
    hosts = np.frombuffer(octets, np.uint8).reshape(-1, 16)
    known = Side(address=hosts, has_address=~bad, name=np.where(bad, np.array(asked.hosts, object), ""))
    host_of = [np.where(end == NOBODY, NOBODY, asked.host[end]) for end in (rows.src, rows.dst)]
    owner = np.where(host_of[0] == NOBODY, host_of[1], host_of[0])
    peers = _peers(known, owner, rows.peer)
    return tuple(  # type: ignore[return-value]  # two of them: one for each end
        Side(
            address=np.where((host == NOBODY)[:, None], peers.address, known.address[host]),
            has_address=np.where(host == NOBODY, peers.has_address, known.has_address[host]),
            name=np.where(host == NOBODY, peers.name, known.name[host]),
        )
        for host in host_of
    )


def starts(asked: Asked, rows: Rows, duration_ns: Integers, rng: np.random.Generator) -> Integers:
    """Somewhere in the step of each row, so that it also ends there."""
    room = np.maximum(asked.step_ns - duration_ns, 1)
    return np.asarray(asked.begin_ns[rows.cell] + (rng.random(len(rows)) * room).astype(np.int64))


def client_ports(rows: Rows) -> Integers:
    """A port for each flow, of which many thousand others lie between it and the next with the same."""
    return FIRST_PORT + rows.flow % PORTS


def _peers(hosts: Side, owner: Integers, peer: Integers) -> Side:
    most = np.zeros(len(hosts.name), np.int64)
    np.maximum.at(most, owner, peer + 1)
    number = np.maximum(peer, 0) + (np.cumsum(most) - most)[owner]
    is_ipv4 = (hosts.ipv4 >= 0)[owner]
    ipv4 = _free_ipv4(int(number.max(initial=0)) + 1, hosts.ipv4)[number]
    number = _free_numbers(int(number.max(initial=0)) + 1, hosts)[number]
    address = np.zeros((len(owner), 16), np.uint8)
    address[:] = np.frombuffer(PEERS_IPV6, np.uint8)
    for place in range(4):
        address[:, 12 + place] = (number + 1) >> (8 * (3 - place)) & 0xFF
    address[is_ipv4, :12] = np.frombuffer(MAPPED, np.uint8)
    for place in range(4):
        address[is_ipv4, 12 + place] = (ipv4 >> (8 * (3 - place)) & 0xFF)[is_ipv4]
    has_address = hosts.has_address[owner]
    names = np.array([PEER_NAME.format(one) for one in number.tolist()], object)
    return Side(address=address, has_address=has_address, name=np.where(has_address, "", names))


def _free_ipv4(count: int, taken: Integers) -> Integers:
    """So many addresses that no host has."""
    found = np.zeros(0, np.int64)
    for first, last in PEERS_IPV4:
        if len(found) < count:
            found = np.concatenate([found, np.setdiff1d(np.arange(first, last + 1), taken)])
    return found[:count]


def _free_numbers(count: int, hosts: Side) -> Integers:
    """So many numbers of peers with IPv6 addresses or names that no host has."""
    is_alike = (hosts.address[:, :12] == np.frombuffer(PEERS_IPV6[:12], np.uint8)).all(axis=1)
    taken = hosts.address[is_alike, 12:].astype(np.int64) @ (256 ** np.arange(3, -1, -1)) - 1
    before, _, after = PEER_NAME.partition("{}")
    named = [name.removeprefix(before).removesuffix(after) for name in hosts.name if name.startswith(before)]
    known = np.concatenate(
        [taken, np.array([int(one) for one in named if one.isdecimal() and len(one) < 10], np.int64)]
    )
    return np.setdiff1d(np.arange(count + len(known)), known)[:count]


def flow_ids(rows: Rows, rng: np.random.Generator) -> pa.Array:
    """Slices of a flow share its id."""
    return fixed_binary(rng.integers(0, 256, (int(rows.flow.max()) + 1, 16), np.uint8)[rows.flow])
