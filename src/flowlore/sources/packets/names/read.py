"""Items as Python values, for tests and slow paths."""

import socket
from typing import TypedDict

from .tags import (
    ALPN,
    APP_PROTOCOL,
    APP_PROTOCOLS,
    DHCP_HOSTNAME,
    DHCP_VENDOR,
    DNS_ANSWER,
    DNS_QUERY,
    DNS_QUERY_TYPE,
    DNS_RESPONSE_CODE,
    JA4,
    NAME_ORIGINS,
    SERVER_NAME,
    SERVER_NAME_FROM,
    SSH_CLIENT,
    SSH_SERVER,
    TLS_VERSION,
    USER_AGENT,
)


class Answer(TypedDict):
    """An address that DNS gave, for how long, and the name that was asked for."""

    address: str
    ttl_s: int
    name: str


class Items(TypedDict, total=False):
    """What a sniffer wrote; a tag that never came is no key."""

    app_protocol: str
    server_name: str
    server_name_from: str
    alpn: str
    tls_version: int
    ja4: str
    user_agent: str
    dns_query: str
    dns_query_type: int
    dns_response_code: int
    ssh_client: str
    ssh_server: str
    dhcp_hostname: str
    dhcp_vendor: str
    dns_answers: list[Answer]


def decode_items(out: bytes) -> Items:
    """Read items of tag, length, bytes; the last of a tag wins, answers gather.

    Raises ValueError where they do not fit.
    """
    items = Items()
    at = 0
    while at < len(out):
        tag, size = out[at], int.from_bytes(out[at + 1 : at + 3], "little")
        value = out[at + 3 : at + 3 + size]
        if len(value) < size or at + 3 > len(out):
            raise ValueError(f"an item of tag {tag} and {size} bytes at {at} passes the end at {len(out)}")
        _add(items, tag, value)
        at += 3 + size
    return items


def _add(items: Items, tag: int, value: bytes) -> None:
    number = int.from_bytes(value, "big")
    if tag == APP_PROTOCOL:
        items["app_protocol"] = APP_PROTOCOLS[number]
    elif tag == SERVER_NAME:
        items["server_name"] = value.decode()
    elif tag == SERVER_NAME_FROM:
        items["server_name_from"] = NAME_ORIGINS[number]
    elif tag == ALPN:
        items["alpn"] = value.decode()
    elif tag == TLS_VERSION:
        items["tls_version"] = number
    elif tag == JA4:
        items["ja4"] = value.decode()
    elif tag == USER_AGENT:
        items["user_agent"] = value.decode()
    elif tag == DNS_QUERY:
        items["dns_query"] = value.decode()
    elif tag == DNS_QUERY_TYPE:
        items["dns_query_type"] = number
    elif tag == DNS_RESPONSE_CODE:
        items["dns_response_code"] = number
    elif tag == SSH_CLIENT:
        items["ssh_client"] = value.decode()
    elif tag == SSH_SERVER:
        items["ssh_server"] = value.decode()
    elif tag == DHCP_HOSTNAME:
        items["dhcp_hostname"] = value.decode()
    elif tag == DHCP_VENDOR:
        items["dhcp_vendor"] = value.decode()
    elif tag == DNS_ANSWER:
        items.setdefault("dns_answers", []).append(_answer(value))
    else:
        raise ValueError(f"no tag is {tag}")


def _answer(value: bytes) -> Answer:
    address = value[:16]
    is_ipv4 = address[:12] == bytes(10) + b"\xff\xff"
    shown = socket.inet_ntop(socket.AF_INET, address[12:]) if is_ipv4 else socket.inet_ntop(socket.AF_INET6, address)
    return Answer(address=shown, ttl_s=int.from_bytes(value[16:20], "big"), name=value[20:].decode())
