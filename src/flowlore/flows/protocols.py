"""Names of IP protocols, as people and queries use them."""

PROTOCOL_NAMES = {
    0: "hopopt",
    1: "icmp",
    2: "igmp",
    4: "ipip",
    6: "tcp",
    8: "egp",
    17: "udp",
    33: "dccp",
    41: "ipv6",
    46: "rsvp",
    47: "gre",
    50: "esp",
    51: "ah",
    58: "icmpv6",
    88: "eigrp",
    89: "ospf",
    94: "ipip",
    97: "etherip",
    103: "pim",
    112: "vrrp",
    115: "l2tp",
    132: "sctp",
    136: "udplite",
    137: "mpls",
}
WITH_PORTS = (6, 17, 33, 132, 136)


def protocol_name(number: int | None) -> str:
    """`tcp` for 6; a number without a name here is `protocol 99`.

    >>> protocol_name(6), protocol_name(99)
    ('tcp', 'protocol 99')
    """
    return "unknown" if number is None else PROTOCOL_NAMES.get(number, f"protocol {number}")


def service_words(protocol: int, port: int) -> str:
    """A protocol with its destination port, where it has ports.

    >>> service_words(6, 443), service_words(1, 3), service_words(99, 0)
    ('tcp/443', 'icmp', 'protocol 99')
    """
    return f"{protocol_name(protocol)}/{port}" if protocol in WITH_PORTS else protocol_name(protocol)
