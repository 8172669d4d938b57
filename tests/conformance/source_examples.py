"""For every source in the registry, small inputs that it reads. A new source adds its own here."""

import json
import struct
import tempfile
from pathlib import Path

from flowlore.cli import warming
from flowlore.cli.demo import DEMO_CAPTURE
from flowlore.flows.schema import flow_batch
from flowlore.flows.table import Flows


def tiny_pcap() -> bytes:
    """Two packets of one UDP flow, one ARP frame, one packet cut by the snap length."""
    frames = [
        (1, _ethernet(_udp("10.0.0.1", "10.0.0.2", 5000, 53, b"question"))),
        (2, _ethernet(_udp("10.0.0.2", "10.0.0.1", 53, 5000, b"a longer answer"))),
        (3, bytes(12) + b"\x08\x06" + bytes(28)),
        (4, _ethernet(_udp("10.0.0.1", "10.0.0.3", 5001, 123, bytes(48)))),
    ]
    data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1)
    for second, frame in frames:
        kept = frame[:30] if second == 4 else frame
        data += struct.pack("<IIII", 1_700_000_000 + second, 0, len(kept), len(frame)) + kept
    return data


def _ethernet(packet: bytes) -> bytes:
    return bytes(range(12)) + b"\x08\x00" + packet


def _udp(src: str, dst: str, src_port: int, dst_port: int, payload: bytes) -> bytes:
    segment = struct.pack(">HHHH", src_port, dst_port, 8 + len(payload), 0) + payload
    addresses = bytes(int(part) for part in f"{src}.{dst}".split("."))
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(segment), 1, 0, 64, 17, 0) + addresses + segment


def lines(*rows: str) -> bytes:
    return ("\n".join(rows) + "\n").encode()


def zeek() -> bytes:
    names = (
        "ts uid id.orig_h id.orig_p id.resp_h id.resp_p proto duration orig_pkts orig_ip_bytes resp_pkts resp_ip_bytes"
    )
    rows = [f"1574.{number} C{number} 10.0.0.1 50000 10.0.0.2 443 tcp 0.25 5 372 6 2324" for number in range(3)]
    head = ["#separator \\x09", "#unset_field\t-", "#path\tconn", "\t".join(["#fields", *names.split()])]
    return lines(*head, *("\t".join(row.split()) for row in rows), "#close\t2024-01-01-00-00-00")


def suricata() -> bytes:
    ends = {"src_ip": "192.0.2.2", "src_port": 50000, "dest_ip": "198.51.100.1", "dest_port": 443, "proto": "TCP"}
    counts = {"pkts_toserver": 3, "pkts_toclient": 2, "bytes_toserver": 300, "bytes_toclient": 200}
    times = {"start": "2021-06-06T16:38:55.855844+0200", "end": "2021-06-06T16:38:56.963027+0200"}
    base = {"timestamp": "2021-06-06T16:39:55.855844+0200", "flow_id": 7, **ends}
    named = {**base, "event_type": "tls", "tls": {"sni": "news.example", "version": "TLS 1.3"}}
    return lines(json.dumps(named), json.dumps({**base, "event_type": "flow", "flow": {**counts, **times}}))


def argus() -> bytes:
    return lines(
        "StartTime,Dur,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,State,sTos,dTos,TotPkts,TotBytes,SrcBytes,Label",
        "2019/04/04 16:24:47.672448,63.8,tcp,192.0.2.69,56101,   ->,198.51.100.3,999,S0,0,16,31,8764,1887,",
        "2019/04/04 16:24:48.000000,0.1,udp,192.0.2.69,5353,  <->,198.51.100.3,53,CON,0,0,2,200,80,flow=Normal",
    )


def nfdump() -> bytes:
    return lines(
        "ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt,in,out,sas,das",
        "2018-01-12 15:37:30,2018-01-12 15:37:31,1.5,192.0.2.1,192.0.2.2,50000,443,TCP,...AP.S.,0,8,5,600,0,0,3,4,0,0",
        "2018-01-12 15:37:31,2018-01-12 15:37:31,0.2,192.0.2.2,192.0.2.1,443,50000,TCP,...AP.SF,0,0,4,4000,0,0,4,3,0,0",
    )


def nfstream() -> bytes:
    return lines(
        "id,expiration_id,src_ip,src_mac,src_oui,src_port,dst_ip,dst_mac,dst_oui,dst_port,protocol,ip_version,vlan_id,"
        "tunnel_id,bidirectional_first_seen_ms,bidirectional_last_seen_ms,bidirectional_duration_ms,"
        "bidirectional_packets,bidirectional_bytes,src2dst_first_seen_ms,src2dst_last_seen_ms,src2dst_duration_ms,"
        "src2dst_packets,src2dst_bytes,dst2src_first_seen_ms,dst2src_last_seen_ms,dst2src_duration_ms,"
        "dst2src_packets,dst2src_bytes",
        "0,0,192.0.2.1,02:00:00:00:00:01,02:00:00,50000,192.0.2.2,02:00:00:00:00:02,02:00:00,443,6,4,0,0,"
        "1700000000000,1700000000500,500,5,900,1700000000000,1700000000400,400,3,300,1700000000100,1700000000500,400,2,600",
    )


def own_flows() -> list[bytes]:
    """A flow table as we write it: Parquet, CSV, JSON lines."""
    known = {
        "start": [1_700_000_000_000_000_000] * 3,
        "duration_ns": [5, 0, 7],
        "part": [0, 0, 1],
        "src_ip": [bytes(15) + b"\1"] * 3,
        "flow_id": [bytes(15) + bytes([number]) for number in range(3)],
        "bytes_fwd": [100, None, 2**64 - 1],
        "packet_gap_ns": [[0, 5], None, []],
        "source": ["packets"] * 3,
        "server_name": ['a "name", with commas\n', None, ""],
    }
    written = []
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("parquet", "csv", "jsonl"):
            path = Path(folder) / f"flows.{suffix}"
            Flows(flow_batch(known, 3)).write(path)
            written.append(path.read_bytes())
    return written


EXAMPLES: dict[str, list[bytes]] = {
    "argus": [argus()],
    "flows": own_flows(),
    "netflow": [warming.netflow_v5(), warming.netflow_v9(), warming.ipfix()],
    "nfdump": [nfdump()],
    "packets": [tiny_pcap(), DEMO_CAPTURE.read_bytes()[:60_000]],
    "sflow": [warming.sflow()],
    "suricata": [suricata()],
    "tables": [nfstream()],
    "zeek": [zeek()],
}
