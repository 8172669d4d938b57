"""The loop that many write with dpkt: flows in a dict, first 20 packets of each, CSV: `dpkt_flows.py CAPTURE OUT`."""

import csv
import sys
from pathlib import Path

import dpkt

if __name__ == "__main__":
    flows: dict[tuple[object, ...], list[object]] = {}
    with Path(sys.argv[1]).open("rb") as file:
        for time, data in dpkt.pcap.Reader(file):
            try:
                ip = dpkt.ethernet.Ethernet(data).data
            except (dpkt.dpkt.UnpackError, IndexError, ValueError):
                continue
            if not isinstance(ip, dpkt.ip.IP | dpkt.ip6.IP6):
                continue
            transport = ip.data
            one = (ip.src, getattr(transport, "sport", 0))
            two = (ip.dst, getattr(transport, "dport", 0))
            key = (ip.p, one, two) if one <= two else (ip.p, two, one)
            flow = flows.get(key)
            if flow is None:
                flows[key] = flow = [time, time, 0, 0, 0, 0, one, []]
            forward = flow[6] == one
            size = len(data)
            flow[2 if forward else 3] += 1
            flow[4 if forward else 5] += size
            if len(flow[7]) < 20:
                flow[7].append((size if forward else -size, time - flow[1]))
            flow[1] = time
    with Path(sys.argv[2]).open("w", newline="") as out:
        writer = csv.writer(out)
        for key, flow in flows.items():
            writer.writerow([*key, *flow])
    print(len(flows))
