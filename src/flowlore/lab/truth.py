"""Who opened each connection, as the kernel tells it: labels that come from processes, never from ports.

Every role runs under a group id of its own. In each namespace the first packet of a connection is logged (NFLOG) with
the group id of the socket that sent it; routers with NAT tell both faces of a connection (conntrack). What a process
puts on a wire by itself (AF_PACKET: ARP, or IP that passes the kernel by) is logged where it leaves, by nftables where
the machine has it.
"""

import contextlib
import errno
import os
import select
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple

from .machine import call_inside, inside, run

LOG_GROUP = 7
FIRST_GROUP = 700_000  # of the group ids by which processes are told apart; no account of a system has such
_MOST_GROUPS = 100_000
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
ARP = 0x0806  # no protocol of IP: its ends are the addresses that ask and are asked for

# linux/netfilter/nfnetlink_log.h, nfnetlink_conntrack.h
_NETFILTER = 12
_CONFIGURE, _PACKET, _NEW_CONNECTION = 0x401, 0x400, 0x100
_BIND, _BIND_FAMILY, _UNBIND_FAMILY = 1, 3, 4
_COMMAND, _MODE, _THRESHOLD, _FLAGS = 1, 2, 5, 6
_COPY_PACKET, _WITH_SEQUENCE = 2, 1
_PACKET_HEAD, _PAYLOAD, _SEQUENCE, _GID, _FRAME_HEAD = 1, 9, 12, 14, 21
_DEVICE_FAMILY = 5
_USUAL = 7  # mark of packets that were logged on their usual way
_ORIGINAL, _REPLY = 1, 2
_NEW_CONNECTIONS_GROUP = 1
_NICENESS = -10  # of the thread that listens: what it hears late has a late time
_COPIED_BYTES = 128
_RECEIVE_BYTES = 8 << 20
_SO_RCVBUFFORCE = 33
_HEAD = struct.Struct("=IHHII")
_EXTENSIONS = (0, 43, 60)  # IPv6 headers before the transport: hop-by-hop, routing, destination


class Ends(NamedTuple):
    """A 5-tuple, from who sent first. Ports are 0 where the protocol has none."""

    src_ip: str
    dst_ip: str
    src_port: int
    dst_port: int
    protocol: int

    def turned(self) -> "Ends":
        return Ends(self.dst_ip, self.src_ip, self.dst_port, self.src_port, self.protocol)


@dataclass(frozen=True, slots=True)
class Opened:
    """One connection as it was opened, or (with `translated`) as a router changed it."""

    time_ns: int
    node: str
    ends: Ends
    group: int | None  # of the process; None where the kernel itself sent it
    translated: Ends | None = None
    caused_by: Ends | None = None  # of an ICMP error: the packet that it is about, from its sender


class Witness:
    """Listens in every namespace from `start` to `stop`; `opened` is what it heard, `lost` what it could not take."""

    def __init__(self) -> None:
        self.opened: list[Opened] = []
        self.lost: Counter[str] = Counter()
        self._sockets: dict[int, tuple[str, bool, socket.socket]] = {}
        self._sequence: dict[int, int] = {}
        self._poll = select.epoll()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="witness", daemon=True)

    def watch(self, node: str, space: str, *, translates: bool, devices: Iterable[str] = ()) -> None:
        """Log what the processes of a namespace open, and what they put on `devices` by themselves.

        Of a router with NAT also what it makes of others' packets.
        """
        states = ("-m", "conntrack", "--ctstate", "NEW,RELATED,INVALID,UNTRACKED")
        for tool in ("iptables", "ip6tables"):
            run(*inside(space, tool, "-A", "OUTPUT", *states, "-j", "NFLOG", "--nflog-group", str(LOG_GROUP)))
        if devices:
            run(*inside(space, "nft", "-f", "-"), feed=frame_rules(devices))
        self._add(node, False, call_inside(space, _log_socket))
        if translates:
            self._add(node, True, call_inside(space, lambda: _open_socket(_NEW_CONNECTIONS_GROUP)))

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """What was sent before is still heard."""
        self._is_over.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        for _, _, listener in self._sockets.values():
            listener.close()
        self._poll.close()

    def _add(self, node: str, translates: bool, listener: socket.socket) -> None:
        listener.setblocking(False)
        self._sockets[listener.fileno()] = (node, translates, listener)
        self._poll.register(listener, select.EPOLLIN)

    def _listen(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        while True:
            ready = self._poll.poll(0.2)
            if not ready and self._is_over.is_set():
                return
            for number, _ in ready:
                self._receive(number, *self._sockets[number])

    def _receive(self, number: int, node: str, translates: bool, listener: socket.socket) -> None:
        for _ in range(256):
            try:
                data = listener.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.lost["translations" if translates else "overruns"] += 1
                continue
            now = time.time_ns()
            for kind, family, attributes in messages(data):
                if kind == _PACKET and not translates:
                    self._count_lost(number, attributes)
                    opened = _opened(now, node, family, attributes)
                elif kind == _NEW_CONNECTION and translates:
                    opened = _translated(now, node, attributes)
                else:
                    continue
                if opened is not None:
                    self.opened.append(opened)

    def _count_lost(self, number: int, attributes: dict[int, bytes]) -> None:
        if _SEQUENCE in attributes:
            sequence = int.from_bytes(attributes[_SEQUENCE], "big")
            expected = self._sequence.get(number, sequence)
            self.lost["connections"] += max(0, sequence - expected)
            self._sequence[number] = sequence + 1


def frame_rules(devices: Iterable[str]) -> str:
    """For nft: mark what goes the usual way, log what processes of the laboratory put on a device beside it."""
    lines = ["table inet lab {", "chain usual { type route hook output priority mangle;"]
    lines += [f"meta mark set {_USUAL};", "};", "};", "table netdev lab {"]
    groups = f"{FIRST_GROUP}-{FIRST_GROUP + _MOST_GROUPS}"
    for device in devices:
        lines.append(f'chain {device} {{ type filter hook egress device "{device}" priority 0; policy accept;')
        lines.append(f"meta mark != {_USUAL} meta skgid {groups} log group {LOG_GROUP};")
        lines.append("};")
    return "\n".join([*lines, "};", ""])


def messages(data: bytes) -> Iterator[tuple[int, int, dict[int, bytes]]]:
    """(kind, address family, attributes) of each netlink message of netfilter; what is cut off is left out."""
    at = 0
    while at + 20 <= len(data):
        length, kind, _, _, _ = _HEAD.unpack_from(data, at)
        if length < 20 or at + length > len(data):
            return
        yield kind, data[at + 16], attributes_of(data[at + 20 : at + length])
        at += (length + 3) & ~3


def attributes_of(data: bytes) -> dict[int, bytes]:
    """Number → value of netlink attributes."""
    found = {}
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4 or at + length > len(data):
            break
        found[kind & 0x7FFF] = data[at + 4 : at + length]
        at += (length + 3) & ~3
    return found


def ends_of(packet: bytes) -> tuple[Ends, bytes] | None:
    """The 5-tuple of an IP packet and what follows its IP headers; None where too little of it is there."""
    if len(packet) >= 20 and packet[0] >> 4 == 4:
        protocol = packet[9]
        addresses = packet[12:16], packet[16:20]
        rest = packet[4 * (packet[0] & 15) :]
    elif len(packet) >= 40 and packet[0] >> 4 == 6:
        protocol = packet[6]
        addresses = packet[8:24], packet[24:40]
        rest = packet[40:]
        while protocol in _EXTENSIONS and len(rest) >= 8:
            protocol, rest = rest[0], rest[8 + 8 * rest[1] :]
    else:
        return None
    ports = (0, 0)
    if protocol in (TCP, UDP, 132) and len(rest) >= 4:
        ports = struct.unpack_from(">HH", rest)
    source, target = (str(ip_address(one)) for one in addresses)
    return Ends(source, target, *ports, protocol), rest


def _opened(now: int, node: str, family: int, attributes: dict[int, bytes]) -> Opened | None:
    content = attributes.get(_PAYLOAD, b"")
    if family == _DEVICE_FAMILY:
        content = content[len(attributes.get(_FRAME_HEAD, b"")) :]
        if attributes.get(_PACKET_HEAD, b"")[:2] == ARP.to_bytes(2, "big"):
            return _asked(now, node, content, attributes)
    found = ends_of(content)
    if found is None:
        return None
    ends, rest = found
    group = int.from_bytes(attributes[_GID], "big") if _GID in attributes else None
    caused_by = None
    is_error = (ends.protocol == ICMP and rest[:1] in (b"\x03", b"\x0b", b"\x0c")) or (
        ends.protocol == ICMPV6 and rest[:1] in (b"\x01", b"\x02", b"\x03", b"\x04")
    )
    if is_error:
        about = ends_of(rest[8:])
        caused_by = about[0] if about is not None else None
    return Opened(now, node, ends, group, caused_by=caused_by)


def _asked(now: int, node: str, content: bytes, attributes: dict[int, bytes]) -> Opened | None:
    """Of ARP for IPv4: who asks for whom."""
    if len(content) < 28 or content[2:6] != b"\x08\x00\x06\x04":
        return None
    source, target = (str(ip_address(content[start : start + 4])) for start in (14, 24))
    group = int.from_bytes(attributes[_GID], "big") if _GID in attributes else None
    return Opened(now, node, Ends(source, target, 0, 0, ARP), group)


def _translated(now: int, node: str, attributes: dict[int, bytes]) -> Opened | None:
    """A connection whose answers do not come to its sender's own address."""
    before, answers = (_tuple_of(attributes.get(kind, b"")) for kind in (_ORIGINAL, _REPLY))
    if before is None or answers is None or answers.turned() == before:
        return None
    return Opened(now, node, before, None, translated=answers.turned())


def _tuple_of(data: bytes) -> Ends | None:
    parts = attributes_of(data)
    addresses, transport = attributes_of(parts.get(1, b"")), attributes_of(parts.get(2, b""))
    source, target = addresses.get(1, addresses.get(3)), addresses.get(2, addresses.get(4))
    if source is None or target is None or 1 not in transport:
        return None
    src_port, dst_port = (int.from_bytes(transport.get(kind, b"\0\0"), "big") for kind in (2, 3))
    return Ends(str(ip_address(source)), str(ip_address(target)), src_port, dst_port, transport[1][0])


def _log_socket() -> socket.socket:
    listener = _open_socket(0)
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):  # newer kernels need neither
            _ask(listener, family, 0, _attribute(_COMMAND, bytes([_UNBIND_FAMILY])))
            _ask(listener, family, 0, _attribute(_COMMAND, bytes([_BIND_FAMILY])))
    _ask(listener, 0, LOG_GROUP, _attribute(_COMMAND, bytes([_BIND])))
    _ask(listener, 0, LOG_GROUP, _attribute(_MODE, struct.pack(">IBB", _COPIED_BYTES, _COPY_PACKET, 0)))
    _ask(listener, 0, LOG_GROUP, _attribute(_THRESHOLD, struct.pack(">I", 1)))
    _ask(listener, 0, LOG_GROUP, _attribute(_FLAGS, struct.pack(">H", _WITH_SEQUENCE)))
    return listener


def _open_socket(groups: int) -> socket.socket:
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER)
    with contextlib.suppress(OSError):
        opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BYTES)
    opened.bind((0, groups))
    return opened


def _ask(listener: socket.socket, family: int, resource: int, body: bytes) -> None:
    request = struct.pack(">BBH", family, 0, resource) + body
    listener.send(_HEAD.pack(16 + len(request), _CONFIGURE, 5, 1, 0) + request)
    answer = listener.recv(4096)
    if len(answer) >= 20:
        code = -struct.unpack_from("=i", answer, 16)[0]
        if code:
            raise OSError(code, os.strerror(code))


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)
