"""Headers of real captures against what tshark reads from them."""

import ipaddress
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowlore.sources.packets.headers.frames import new_fragment_table, parse_frames
from flowlore.sources.packets.headers.notes import NOTES
from flowlore.sources.packets.layout import FRAME, PACKET, Bytes, Records

FIELDS = (
    *("frame.protocols", "frame.len", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "tcp.srcport", "tcp.dstport"),
    *("udp.srcport", "udp.dstport", "ip.len", "ipv6.plen", "ip.frag_offset", "tcp.len", "tcp.seq_raw"),
)
CAPTURES = (
    "ndpi/pcap/4in6tunnel.pcap",
    "ndpi/pcap/KakaoTalk_chat.pcap",
    "ndpi/pcap/gtp_c.pcap",
    "ndpi/pcap/teredo.pcap",
    "ndpi/pcap/vxlan.pcap",
    "hostile/arkime/tests__pcap__mpls-basic.pcap",
    "hostile/arkime/tests__pcap__pppoe.pcap",
    "hostile/tcpdump/tests__various_gre.pcap",
    "hostile/zeek/Traces__ipv4__fragmented-3.pcap",
)


@pytest.mark.shared_data
@pytest.mark.parametrize("name", CAPTURES)
def test_addresses_ports_and_lengths_equal_those_of_tshark(shared_data: Path, name: str) -> None:
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    capture = shared_data / name
    if not capture.is_file() or capture.read_bytes()[:4] != b"\xd4\xc3\xb2\xa1":
        pytest.skip(f"{name} is not there as a little-endian pcap file")
    data, frames = frames_of(capture)
    packets, notes = np.zeros(len(frames), PACKET), np.zeros(len(NOTES), np.int64)
    parse_frames(data, frames, packets, new_fragment_table(1024), notes, 8, True)
    rows = tshark_rows(capture)
    assert len(rows) == len(packets)
    compared = 0
    for packet, row in zip(packets, rows, strict=True):
        layers = row["frame.protocols"].split(":")
        # An ICMP error holds the header of another packet, which is not the flow's.
        layers = layers[: min([layers.index(name) for name in ("icmp", "icmpv6") if name in layers] or [len(layers)])]
        versions = [layer for layer in layers if layer in ("ip", "ipv6")]
        assert (packet["verdict"] == 0) == bool(versions)
        if not versions:
            continue
        version, place = versions[-1], versions.count(versions[-1]) - 1
        expected = [row[f"{version}.{side}"].split(",")[place] for side in ("src", "dst")]
        assert [address(packet, "src"), address(packet, "dst")] == expected
        length = row["ip.len" if version == "ip" else "ipv6.plen"].split(",")[place]
        assert packet["ip_bytes"] == int(length) + (40 if version == "ipv6" else 0)
        assert packet["frame_bytes"] == int(row["frame.len"])
        compared += 1
        after = layers[len(layers) - layers[::-1].index(version) :]
        if after and after[0] in ("tcp", "udp") and not row["ip.frag_offset"].strip("0,"):
            ports = [int(row[f"{after[0]}.{side}"].split(",")[-1]) for side in ("srcport", "dstport")]
            assert [packet["src_port"], packet["dst_port"]] == ports
        if after[:1] == ["tcp"] and row["tcp.len"]:
            assert (packet["payload_bytes"], packet["sequence"]) == (int(row["tcp.len"]), int(row["tcp.seq_raw"]))
    assert compared > 0


def frames_of(capture: Path) -> tuple[Bytes, Records]:
    content = capture.read_bytes()
    link = struct.unpack_from("<H", content, 20)[0]
    rows, place = [], 24
    while place + 16 <= len(content):
        seconds, fraction, captured, wire = struct.unpack_from("<IIII", content, place)
        rows.append((seconds * 1_000_000_000 + fraction * 1000, place + 16, captured, max(wire, captured), link, 0))
        place += 16 + captured
    return np.frombuffer(content, np.uint8).copy(), np.array(rows, FRAME)


def tshark_rows(capture: Path) -> list[dict[str, str]]:
    command = ["tshark", "-n", "-r", str(capture), "-T", "fields", "-E", "separator=|", "-E", "occurrence=a"]
    for protocol in ("ip", "ipv6"):
        command += ["-o", f"{protocol}.defragment:FALSE"]
    for field in FIELDS:
        command += ["-e", field]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [dict(zip(FIELDS, line.split("|"), strict=True)) for line in output.splitlines()]


def address(packet: Any, side: str) -> str:
    whole = ipaddress.IPv6Address(struct.pack(">QQ", packet[f"{side}_high"], packet[f"{side}_low"]))
    return str(whole.ipv4_mapped or whole)
