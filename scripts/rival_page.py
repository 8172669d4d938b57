"""docs/correctness.md from the results of `scripts/compare_rivals --full`."""

from typing import Any

WORDS = {
    "ndpi": "nDPI's test captures",
    "iot_sentinel": "IoT Sentinel",
    "malicious_pcap": "attacks and C&C",
    "hostile": "broken and rare captures of Zeek, tcpdump, Arkime",
}
EXAMPLES = 10

HEAD = """# What is compared with what

Written by `scripts/compare_rivals --full`; `tests/conformance` repeats a sample of it in every run.

Rules: flows are added up by their ends, with VLAN and tunnel left out; timeouts are so long that a conversation is one
flow; a packet in a tunnel belongs to its inner addresses; a later fragment belongs to the flow of the first.
"""
ACCOUNT = """## Every packet is in a flow, or counted by reason

Packets in = packets in flows + packets counted, exactly, for every capture.
"""
SECOND = """## Every quantity equals a second computation

`tests/second_meter.py` computes quantities, series, times and ends again in plain Python, from lists, as
[the page on flows](concepts/flow.md) states them. Whole numbers are equal; means and deviations within 10⁻⁹.
"""
CONVERSATIONS = """## Packets and frame bytes of each conversation equal those of tshark

`tshark -z conv,tcp -z conv,udp`, which rounds large numbers of bytes down; it is told not to put fragments together.
"""
NAMES = """## Names equal those of tshark

SNI (TLS and QUIC), ALPN and DNS question of each conversation, through the whole pipeline. We read DNS on its own
ports; tshark also tries it on others, such as DNSCrypt on 443.
"""
NFSTREAM = """## Flows beside those of NFStream 6.6

With its timeouts (idle 120 s, active 1,800 s), counted for each pair of ends. A difference is put into the first
category that fits:

- *tunnel*: ours came in a tunnel. *only ours*, *only NFStream*: the other has no flow between these ends.
- *ICMP by type and code*: ours have type and code in the place of ports, NFStream's have none.
- *TCP end or ports used again*: ours end at both FINs or a RST and begin anew at a SYN, no more often than they differ.
- *VLAN*: one pair of ends in several VLANs. *timeouts counted otherwise*: a timeout ended one of ours.
- *unexplained*: none of these.
"""


def page(results: dict[str, Any]) -> str:
    """The whole page."""
    sets = {name: results[name] for name in WORDS if name in results}
    return "\n".join([_accounts(sets), _second(sets), _conversations(sets), _names(sets), _nfstream(sets)])


def _accounts(sets: dict[str, Any]) -> str:
    lines = [HEAD, ACCOUNT, "| captures of | captures | packets | in flows | counted by reason | not adding up |"]
    lines.append("|---|--:|--:|--:|---|--:|")
    for name, found in sets.items():
        ordered = sorted(found["skipped"].items(), key=lambda item: -item[1])
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in ordered) or "none"
        counts = " | ".join(f"{found[column]:,}" for column in ("captures", "packets", "packets_in_flows"))
        lines.append(f"| {WORDS[name]} | {counts} | {reasons} | {len(found['account_wrong'])} |")
    return "\n".join([*lines, ""])


def _second(sets: dict[str, Any]) -> str:
    lines = [SECOND, "| captures of | captures | flows | captures with a difference |", "|---|--:|--:|--:|"]
    for name, found in sets.items():
        counts = f"{found['second_captures']:,} | {found['second_flows']:,} | {len(found['second_wrong'])}"
        lines.append(f"| {WORDS[name]} | {counts} |")
    return "\n".join([*lines, ""])


def _conversations(sets: dict[str, Any]) -> str:
    lines = [CONVERSATIONS, *_categories(sets, "conversations"), "", *_examples(sets, "conversation_examples")]
    return "\n".join([*lines, ""])


def _names(sets: dict[str, Any]) -> str:
    return "\n".join([NAMES, *_categories(sets, "names"), "", *_examples(sets, "name_examples"), ""])


def _nfstream(sets: dict[str, Any]) -> str:
    compared = {name: found for name, found in sets.items() if found["nfstream"]}
    return "\n".join([NFSTREAM, *_categories(compared, "nfstream"), ""])


def _categories(sets: dict[str, Any], column: str) -> list[str]:
    every = sorted({category for found in sets.values() for category in found[column]})
    lines = ["| | " + " | ".join(WORDS[name] for name in sets) + " |", "|---|" + "--:|" * len(sets)]
    for category in every:
        counts = " | ".join(f"{found[column].get(category, 0):,}" for found in sets.values())
        lines.append(f"| {category} | {counts} |")
    return lines


def _examples(sets: dict[str, Any], column: str) -> list[str]:
    """The first of each set, one for each capture."""
    lines = ["Examples of what differs, one for each capture:", ""]
    for found in sets.values():
        of_capture = {example.split(": ")[0]: example for example in reversed(found[column])}
        lines += [f"- `{of_capture[capture]}`" for capture in sorted(of_capture)[:EXAMPLES]]
    return lines
