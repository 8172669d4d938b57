"""The note of origin beside the capture: how it was made, with which versions, and what may be done with it."""

import re
import subprocess
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

PROGRAMS = {
    "nginx": ["nginx", "-v"],
    "dnsmasq": ["dnsmasq", "--version"],
    "OpenSSH": ["ssh", "-V"],
    "mosquitto": ["mosquitto", "-h"],
    "chrony": ["chronyd", "--version"],
    "curl": ["curl", "--version"],
    "OpenSSL": ["openssl", "version"],
}
NOTE = """# The demo capture

`office.pcapng` is about {seconds:.0f} seconds of a small office: {packets:,} packets, {size:,} bytes.
`labels.csv` says what each connection was for, written by the program that opened it.

The project made it itself, with real clients and servers in network namespaces: `sudo scripts/make_demo_capture`.
Nobody's traffic is in it. Names end in `.example`, addresses are those reserved for documentation, keys were made
for the run and thrown away.

- Made: {date:%Y-%m-%d}, seed {seed} for loss and delay
- With: {programs}; {modules}
- Licence: CC0 1.0, no rights reserved

What is in it: DHCP, DNS (A and AAAA), NTP, ICMP and ICMPv6, IPv4 fragments, HTTP/1.1 in clear, TLS 1.2 and 1.3 with
several server names, HTTP/2, HTTP/3 over QUIC, SSH (two sessions and five refused logins), SMTP, FTP, MQTT, a port scan
with refused connections and ICMP answers. Things live in VLAN 20 (tagged), staff is untagged; the mirror port of the
switch sees both. The laptop's link loses 3 % of its frames, so there are retransmissions; a few frames are overtaken.
Each flow's first {whole} packets are whole, later ones are cut to {header} bytes.

`labels.csv`: an empty address or port stands for any, times are UTC. ARP, IPv6 neighbour discovery and ICMP errors have
no label: nobody started them on purpose.
"""


def write_origin(folder: Path, date: datetime) -> None:
    from .__main__ import SEED
    from .switch import HEADER_BYTES, WHOLE_PACKETS

    packets, seconds = _count((folder / "office.pcapng").read_bytes())
    note = NOTE.format(
        packets=packets,
        seconds=seconds,
        size=(folder / "office.pcapng").stat().st_size,
        date=date,
        seed=SEED,
        programs=", ".join(f"{name} {_version(command)}" for name, command in PROGRAMS.items()),
        modules=", ".join(f"{name} {version(name)}" for name in ("aioquic", "aiosmtpd", "pyftpdlib")),
        whole=WHOLE_PACKETS,
        header=HEADER_BYTES,
    )
    (folder / "README.md").write_text(note)


def _version(command: list[str]) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+[\w.]*", result.stdout + result.stderr)
    return found.group() if found else "?"


def _count(data: bytes) -> tuple[int, float]:
    """Packets in a pcapng file of ours, and the seconds between the first and the last."""
    at, times = 0, []
    while at < len(data):
        kind, size = (int.from_bytes(data[at + n : at + n + 4], "little") for n in (0, 4))
        if kind == 6:
            high, low = (int.from_bytes(data[at + n : at + n + 4], "little") for n in (12, 16))
            times.append(high << 32 | low)
        at += size
    return len(times), (times[-1] - times[0]) / 1e9
