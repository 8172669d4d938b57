"""Settings of capture files, live interfaces and the meter."""

from dataclasses import dataclass
from typing import Literal

from ...settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class PacketSettings(Settings):
    """How packets are read and their headers understood."""

    tunnels: Literal["inner", "outer"] = setting("inner", "which addresses make the flow of a tunnelled packet")
    threads: int = setting(0, "worker threads; 0 takes one for each processor", minimum=0, maximum=64)
    max_nesting: int = setting(8, "tags, tunnels and extension headers followed in one packet", minimum=1, maximum=32)
    ring_mib: int = setting(64, "size of the live capture ring in MiB", minimum=1, maximum=4096)


@dataclass(frozen=True, kw_only=True)
class MeterSettings(Settings):
    """When a flow ends, and how much of it is kept."""

    idle_timeout_s: float = setting(60.0, "silence longer than this ends a flow, in s", minimum=0.001, maximum=86_400)
    active_timeout_s: float = setting(
        1800.0, "a flow is cut after this, in s, even if busy", minimum=0.001, maximum=604_800
    )
    tcp_linger_s: float = setting(
        5.0, "silence that ends a TCP flow after both FINs or a RST, in s", minimum=0.0, maximum=86_400
    )
    window_s: float = setting(
        0.0, "cut every flow at multiples of this time, in s; 0 is off", minimum=0.0, maximum=86_400
    )
    max_packets: int = setting(
        32, "packets kept in the series; later packets count in totals only", minimum=0, maximum=1024
    )
    payload_bytes: int = setting(0, "first payload bytes kept in each direction; 0 is off", minimum=0, maximum=4096)
    max_flows: int = setting(
        1_000_000,
        "flows open at once; beyond it the longest silent are ended",
        minimum=1024,
        maximum=100_000_000,
    )
    names: bool = setting(True, "read names on the wire: TLS, QUIC, HTTP, DNS, SSH, DHCP")
    community_id: bool = setting(True, "compute Community ID")
    flow_id_key_file: str = setting("", "file with a secret that keys `flow_id`, so that ids tell strangers nothing")
    observation_point: int = setting(
        0, "number of the place where packets were seen; part of `flow_id`", minimum=0, maximum=4_294_967_295
    )
