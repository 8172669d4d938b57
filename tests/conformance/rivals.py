"""What tshark and NFStream say about a capture, in a form that can be set beside our flow table."""

import ipaddress
import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

End = tuple[str, int]
Key = tuple[int, End, End]  # protocol, lower end, higher end
TCP, UDP = 6, 17
FIELDS = (
    "ip.frag_offset",
    "ipv6.fraghdr.offset",
    "ip.src",
    "ip.dst",
    "ipv6.src",
    "ipv6.dst",
    "tcp.srcport",
    "tcp.dstport",
    "udp.srcport",
    "udp.dstport",
    "tls.handshake.extensions_server_name",
    "tls.handshake.extensions_alpn_str",
    "dns.qry.name",
)
ROW = re.compile(r"^(\S+:\d+)\s+<->\s+(\S+:\d+)\s+(\d+) (\d+) (\S+)\s+(\d+) (\d+) (\S+)\s+(\d+) (\d+) (\S+)\s")
UNITS = {"bytes": 1, "byte": 1, "kB": 1000, "MB": 1_000_000, "GB": 1_000_000_000}


@dataclass(slots=True)
class Conversation:
    """Frames and bytes both ways; tshark rounds bytes down to `unit`, each way on its own."""

    frames: int = 0
    bytes: int = 0
    rounding: int = 0  # how much larger `bytes` may really be


@dataclass
class TsharkSays:
    """Conversations by key, and names by key, in order of appearance."""

    conversations: dict[Key, Conversation] = field(default_factory=dict)
    server_names: dict[Key, list[str]] = field(default_factory=dict)
    alpn: dict[Key, list[str]] = field(default_factory=dict)
    dns_queries: dict[Key, list[str]] = field(default_factory=dict)
    later_fragments: Counter[frozenset[str]] = field(default_factory=Counter)  # by the pair of hosts


def tshark_says(path: Path) -> TsharkSays:
    """One run of tshark: its conversation tables, and the names that it reads. Fragments are not put together."""
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "separator=/t", "-E", "occurrence=a"]
    command += ["-E", "aggregator=|", "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"]
    command += [part for name in FIELDS for part in ("-e", name)] + ["-z", "conv,tcp", "-z", "conv,udp"]
    done = subprocess.run(command, capture_output=True, timeout=300, check=False)
    says = TsharkSays()
    protocol = None
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        if line.startswith(("TCP Conversations", "UDP Conversations")):
            protocol = TCP if line.startswith("TCP") else UDP
        elif line.startswith("===="):
            continue
        elif protocol is not None:
            _take_conversation(says, protocol, line)
        else:
            _take_fields(says, dict(zip(FIELDS, line.split("\t"), strict=False)))
    return says


def key_of(protocol: int, one: End, other: End) -> Key:
    return (protocol, *sorted((one, other)))  # type: ignore[return-value]


def key_of_row(row: dict[str, Any]) -> Key:
    """The unordered ends of one row of our table, whose VLAN and tunnel are left out."""
    src, dst = (text_of(row[name]) for name in ("src_ip", "dst_ip"))
    return key_of(row["protocol"], (src, row["src_port"]), (dst, row["dst_port"]))


def text_of(address: bytes) -> str:
    whole = ipaddress.IPv6Address(address)
    return str(whole.ipv4_mapped or whole)


def our_conversations(rows: Iterable[dict[str, Any]]) -> dict[Key, Conversation]:
    """Our flows of TCP and UDP, added up by their ends."""
    found: dict[Key, Conversation] = {}
    for row in rows:
        if row["protocol"] in (TCP, UDP):
            one = found.setdefault(key_of_row(row), Conversation())
            one.frames += row["packets_fwd"] + row["packets_rev"]
            one.bytes += row["frame_bytes_fwd"] + row["frame_bytes_rev"]
    return found


def is_equal(ours: Conversation, theirs: Conversation) -> bool:
    return ours.frames == theirs.frames and theirs.bytes <= ours.bytes <= theirs.bytes + theirs.rounding


def nfstream_flows(python: Path, captures: list[Path], *, idle_s: int, active_s: int) -> dict[str, list[Any]]:
    """What NFStream, in an environment of its own, makes of each capture: protocol, ends and VLAN of each flow."""
    done = subprocess.run(
        [str(python), "-c", _NFSTREAM, str(idle_s), str(active_s)],
        input="\n".join(map(str, captures)),
        capture_output=True,
        text=True,
        check=True,
    )
    return {json.loads(line)[0]: json.loads(line)[1] for line in done.stdout.splitlines() if line.startswith("[")}


def _take_conversation(says: TsharkSays, protocol: int, line: str) -> None:
    found = ROW.match(line)
    if not found:
        return
    one, other, *numbers = found.groups()
    conversation = says.conversations.setdefault(key_of(protocol, _end(one), _end(other)), Conversation())
    for frames, size, unit in (numbers[0:3], numbers[3:6]):
        conversation.frames += int(frames)
        conversation.bytes += int(size) * UNITS[unit]
        conversation.rounding += UNITS[unit] - 1


def _end(text: str) -> End:
    host, port = text.rsplit(":", 1)
    return _address(host), int(port)


def _address(text: str) -> str:
    """In the form that Python writes; tshark also knows TCP between things that are no IP addresses."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def _take_fields(says: TsharkSays, fields: dict[str, str]) -> None:
    v4, v6 = _last(fields, "ip.frag_offset"), _last(fields, "ipv6.fraghdr.offset")
    hosts = [_last(fields, "ip.src") or _last(fields, "ipv6.src"), _last(fields, "ip.dst") or _last(fields, "ipv6.dst")]
    if any(int(offset or "0", 0) for offset in (v4, v6)):
        says.later_fragments[frozenset(hosts)] += 1
    for protocol, name in ((TCP, "tcp"), (UDP, "udp")):
        ports = _last(fields, f"{name}.srcport"), _last(fields, f"{name}.dstport")
        if not all(ports) or not all(hosts):
            continue
        key = key_of(protocol, (_address(hosts[0]), int(ports[0])), (_address(hosts[1]), int(ports[1])))
        for column, known in (
            ("tls.handshake.extensions_server_name", says.server_names),
            ("tls.handshake.extensions_alpn_str", says.alpn),
            ("dns.qry.name", says.dns_queries),
        ):
            if fields.get(column):
                known.setdefault(key, []).append(fields[column])


def _last(fields: dict[str, str], name: str) -> str:
    return fields.get(name, "").split("|")[-1]


_NFSTREAM = """
import json, sys
from nfstream import NFStreamer

if __name__ == "__main__":
    idle, active = int(sys.argv[1]), int(sys.argv[2])
    for capture in sys.stdin.read().splitlines():
        try:
            flows = [
                [flow.protocol, [flow.src_ip, flow.src_port], [flow.dst_ip, flow.dst_port], flow.bidirectional_packets]
                for flow in NFStreamer(capture, idle_timeout=idle, active_timeout=active, n_meters=1, n_dissections=0,
                                       statistical_analysis=False)
            ]
        except (Exception, SystemExit) as error:
            flows = None
        print(json.dumps([capture, flows]), flush=True)
"""
