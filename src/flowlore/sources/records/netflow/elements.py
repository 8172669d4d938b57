"""Information elements: what a field of a template is called and how its bytes are read."""

from dataclasses import dataclass
from functools import cache
from typing import Literal, cast

from .iana import IANA

Kind = Literal[
    "unsigned",
    "signed",
    "float",
    "boolean",
    "seconds",
    "milliseconds",
    "microseconds",  # NTP format: seconds since 1900 and a 32-bit fraction
    "nanoseconds",  # NTP format
    "ipv4",
    "ipv6",
    "mac",
    "octets",
    "string",
    "list",  # basicList, subTemplateList, subTemplateMultiList: kept as bytes
]

IANA_PEN = 0
CISCO_PEN = 9
CESNET_PEN = 8057
PALO_ALTO_PEN = 25461
REVERSE_PEN = 29305  # RFC 5103: the IANA element of the same number, in the reverse direction
NTOP_PEN = 35632
FLOWMON_PEN = 39499

NTOP_FIRST_V9 = 57_472  # nProbe's enterprise elements as v9 field types start here
NTOP_LAST_V9 = 58_500

# Elements of vendors that we read by name. Others keep their number and their bytes.
VENDORS: dict[int, tuple[str, dict[Kind, str]]] = {
    CISCO_PEN: ("cisco", {"octets": "12235:subApplicationValue"}),
    CESNET_PEN: ("cesnet", {"string": "2:DNSName 808:TLSSNI 890:quicSNI", "unsigned": "1:DNSRCode 3:DNSQType"}),
    PALO_ALTO_PEN: ("paloalto", {"string": "56701:appId 56702:userId"}),
    NTOP_PEN: (
        "ntop",
        {
            "string": "119:l7ProtocolName 180:httpUrl 183:httpUserAgent 187:httpHost 188:tlsServerName 205:dnsQuery",
            "unsigned": "118:l7Protocol 181:httpReturnCode 207:dnsQueryType 208:dnsReturnCode",
        },
    ),
    FLOWMON_PEN: ("flowmon", {"string": "1:httpHost 2:httpUrl 20:httpUserAgent 121:dnsQname"}),
}

# Field types of NetFlow v9 that IANA does not know, or knows otherwise.
V9_ONLY: dict[Kind, str] = {
    "octets": "33000:ingressAclId 33001:egressAclId 45003:subApplicationValue",
    "unsigned": "33002:firewallExtendedEvent 40003:xlateSourcePort 40004:xlateDestinationPort 40005:firewallEvent",
    "ipv4": "40001:xlateSourceIPv4Address 40002:xlateDestinationIPv4Address",
    "string": "40000:userName 56701:paloaltoAppId 56702:paloaltoUserId",
    "milliseconds": "",
}


@dataclass(frozen=True, slots=True)
class Element:
    """One information element. `pen` is 0 for those of IANA and for the field types of NetFlow v9."""

    number: int
    pen: int
    name: str
    kind: Kind


def element(number: int, pen: int = IANA_PEN, *, version: int = 10) -> Element:
    """The element of a field specifier; one that nobody told us of is called `element<PEN>.<number>`.

    >>> element(1).name, element(1, 29305).name, element(7, 4242).name
    ('octetDeltaCount', 'reverseOctetDeltaCount', 'element4242.7')
    """
    if version != 10 and number > 32_767:
        if number in _v9_only():
            return _v9_only()[number]
        if NTOP_FIRST_V9 <= number < NTOP_LAST_V9:
            return element(number - NTOP_FIRST_V9, NTOP_PEN)
        return Element(number, IANA_PEN, f"element0.{number}", "octets")
    if pen == REVERSE_PEN and number in _iana():
        forward = _iana()[number]
        return Element(number, pen, f"reverse{forward.name[0].upper()}{forward.name[1:]}", forward.kind)
    known = _iana() if pen == IANA_PEN else _vendor(pen)
    return known.get(number) or Element(number, pen, f"element{pen}.{number}", "octets")


@cache
def _iana() -> dict[int, Element]:
    return {item.number: item for kind, text in IANA.items() for item in _parse(IANA_PEN, cast(Kind, kind), text, "")}


@cache
def _vendor(pen: int) -> dict[int, Element]:
    if pen not in VENDORS:
        return {}
    vendor, kinds = VENDORS[pen]
    return {item.number: item for kind, text in kinds.items() for item in _parse(pen, kind, text, f"{vendor}.")}


@cache
def _v9_only() -> dict[int, Element]:
    return {item.number: item for kind, text in V9_ONLY.items() for item in _parse(IANA_PEN, kind, text, "")}


def _parse(pen: int, kind: Kind, text: str, prefix: str) -> list[Element]:
    pairs = (word.split(":") for word in text.split())
    return [Element(int(number), pen, prefix + name, kind) for number, name in pairs]
