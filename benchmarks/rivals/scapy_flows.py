"""The same loop with scapy: `scapy_flows.py CAPTURE OUT`."""

import csv
import sys
from pathlib import Path

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.utils import PcapReader

if __name__ == "__main__":
    flows: dict[tuple[object, ...], list[object]] = {}
    for packet in PcapReader(sys.argv[1]):
        ip = packet.getlayer(IP) or packet.getlayer(IPv6)
        if ip is None:
            continue
        transport = packet.getlayer(TCP) or packet.getlayer(UDP)
        one, two = (ip.src, getattr(transport, "sport", 0)), (ip.dst, getattr(transport, "dport", 0))
        protocol = ip.proto if isinstance(ip, IP) else ip.nh
        key = (protocol, one, two) if one <= two else (protocol, two, one)
        time = float(packet.time)
        flow = flows.get(key)
        if flow is None:
            flows[key] = flow = [time, time, 0, 0, 0, 0, one, []]
        forward = flow[6] == one
        flow[2 if forward else 3] += 1
        flow[4 if forward else 5] += len(packet)
        if len(flow[7]) < 20:
            flow[7].append((len(packet) if forward else -len(packet), time - flow[1]))
        flow[1] = time
    with Path(sys.argv[2]).open("w", newline="") as out:
        writer = csv.writer(out)
        for key, flow in flows.items():
            writer.writerow([*key, *flow])
    print(len(flows))
