"""The smallest scenario that has a link, a router with NAT, a service and a misbehaviour, for tests that play it."""

import os
import shutil
import subprocess
from pathlib import Path

SCENARIO = """
duration_s = 5
seed = 5
[links.wireless]
rate_mbit = 20
delay_ms = 3
jitter_ms = 1
[networks.lan]
ipv4 = "10.77.1.0/24"
ipv6 = "fd00:77:1::/64"
[networks.outside]
ipv4 = "192.0.2.0/24"
[routers.gate]
networks = ["lan", "outside"]
nat_towards = "outside"
[hosts.desk]
network = "lan"
link = "wireless"
[hosts.names]
network = "outside"
services = ["dns"]
[captures.lan]
network = "lan"
[captures.outside]
network = "outside"
[[activities]]
activity = "ask-dns"
hosts = ["desk"]
every_s = 1
[[activities]]
activity = "scan-ports"
hosts = ["desk"]
every_s = 2
packets_per_s = 50
packets = 60
"""


def namespaces_are_missing() -> str | None:
    if os.geteuid() != 0:
        return "the laboratory needs root"
    for tool in ("ip", "tc", "iptables", "ip6tables", "dnsmasq", "dig"):
        if shutil.which(tool) is None and not Path("/usr/sbin", tool).exists():
            return f"`{tool}` is not installed"
    if subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode:
        return "this machine gives no network namespaces"
    return None


def spaces() -> set[str]:
    folder = Path("/run/netns")
    ours = f"flowlore-lab-{os.getpid():x}-"
    return {path.name for path in folder.glob(f"{ours}*")} if folder.is_dir() else set()
