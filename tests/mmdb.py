"""Databases of addresses in MaxMind's format, written by tests."""

import ipaddress
import struct
from pathlib import Path
from typing import Any

UINT16, UINT32, UINT64 = 5, 6, 9


def write_mmdb(path: Path, networks: dict[str, dict[str, Any]], ip_version: int = 6) -> Path:
    """A minimal MMDB: a binary tree of 32-bit records over IPv6 (IPv4 below ::/96), then data, then metadata."""
    nodes: list[list[Any]] = [[None, None]]
    data = b""
    for prefix, record in networks.items():
        network = ipaddress.ip_network(prefix)
        bits = f"{int(network.network_address):0{network.max_prefixlen}b}"[: network.prefixlen]
        if ip_version == 6 and network.version == 4:
            bits = "0" * 96 + bits
        offset = len(data)
        data += encoded(record)
        node = 0
        for place, bit in enumerate(map(int, bits)):
            if place == len(bits) - 1:
                nodes[node][bit] = ("data", offset)
            else:
                if nodes[node][bit] is None:
                    nodes.append([None, None])
                    nodes[node][bit] = len(nodes) - 1
                node = nodes[node][bit]

    def record_of(entry: Any) -> int:
        if entry is None:
            return len(nodes)
        return len(nodes) + 16 + entry[1] if isinstance(entry, tuple) else entry

    tree = b"".join(struct.pack(">II", *map(record_of, node)) for node in nodes)
    metadata = encoded(
        {
            "binary_format_major_version": (UINT16, 2),
            "binary_format_minor_version": (UINT16, 0),
            "build_epoch": (UINT64, 1_592_654_400),
            "database_type": "Test",
            "description": {"en": "made by a test"},
            "ip_version": (UINT16, ip_version),
            "languages": ["en"],
            "node_count": len(nodes),
            "record_size": (UINT16, 32),
        }
    )
    path.write_bytes(tree + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + metadata)
    return path


def encoded(value: Any) -> bytes:
    """A value as MMDB's data section has it: control byte with type and size, then the content."""

    def control(kind: int, size: int) -> bytes:
        extended = b"" if kind <= 7 else bytes([kind - 7])
        assert size < 285
        first = (kind << 5 if kind <= 7 else 0) | (size if size < 29 else 29)
        return bytes([first]) + extended + (b"" if size < 29 else bytes([size - 29]))

    if isinstance(value, dict):
        return control(7, len(value)) + b"".join(encoded(key) + encoded(item) for key, item in value.items())
    if isinstance(value, list):
        return control(11, len(value)) + b"".join(map(encoded, value))
    if isinstance(value, str):
        return control(2, len(value.encode())) + value.encode()
    kind, number = value if isinstance(value, tuple) else (UINT32, value)
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return control(kind, len(data)) + data
