"""What is remembered of one observation domain: templates, options, sequence numbers, data that waits."""

import math
import struct
from collections import Counter, deque
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from .elements import IANA_PEN
from .templates import V9_SCOPE_PEN, VARIABLE, Template, fixed_template

MOST_OPTIONS = 65_536  # names or rates kept of one sort
VERSION_NAMES = {0: "sFlow v5", 5: "NetFlow v5", 7: "NetFlow v7", 9: "NetFlow v9", 10: "IPFIX"}
NEAR = 1 << 20  # a sequence number that jumps further is a restart, not a gap

_LATEST_BOOT_MS = 1 << 42  # in the year 2109; what claims more is no time


@dataclass(frozen=True, slots=True)
class HeldSet:
    """A data set that came before its template, and what its datagram's header said."""

    payload: bytes
    export_ns: int
    boot_ns: int
    received_ns: int


@dataclass(frozen=True, slots=True)
class Option:
    """One thing that an options record says: what (`rate`, `vrf` …), about which, and the value."""

    what: str
    which: object
    value: object


@dataclass(slots=True)
class Session:
    """State of one exporter's observation domain in one protocol version."""

    exporter: str
    version: int
    domain: int
    place: int  # ordinal among all sessions
    templates: dict[int, Template] = field(default_factory=dict)
    template_seen_ns: dict[int, int] = field(default_factory=dict)
    options: dict[str, dict[object, object]] = field(default_factory=dict)
    seen_template_sets: dict[bytes, list[Template]] = field(default_factory=dict)
    held: deque[tuple[int, HeldSet]] = field(default_factory=deque)
    held_bytes: int = 0
    datagrams: int = 0
    records: int = 0
    options_records: int = 0
    template_changes: int = 0
    sequence_gaps: int = 0
    sequence_restarts: int = 0
    missing: int = 0  # datagrams (v9) or records (v5, IPFIX) that the sequence numbers miss
    next_sequence: int | None = None
    last_export_ns: int = 0
    sampling: Counter[tuple[str, int]] = field(default_factory=Counter)  # (record, header, options, setting; rate)

    def __post_init__(self) -> None:
        if self.version in (5, 7):
            self.templates[self.version] = fixed_template(self.version)

    @property
    def name(self) -> str:
        """The exporter's address and its domain, as the column `exporter` shows them.

        >>> Session("192.0.2.7", 9, 300, 0).name
        '192.0.2.7/300'
        """
        return f"{self.exporter}/{self.domain}"

    def known(self, what: str) -> dict[object, object]:
        return self.options.get(what, {})

    def would_change(self, options: list[Option]) -> bool:
        return any(self.known(item.what).get(item.which) != item.value for item in options)

    def learn(self, options: list[Option]) -> None:
        for item in options:
            table = self.options.setdefault(item.what, {})
            if item.which in table or len(table) < MOST_OPTIONS:
                table[item.which] = item.value

    def option_rate(self) -> int | None:
        """The one rate that holds for the whole domain, where options give one."""
        whole = self.known("rate").get(None)
        if whole is not None:
            return int(str(whole))
        rates = set(self.known("rate").values())
        return int(str(rates.pop())) if len(rates) == 1 else None

    def follow_sequence(
        self, sequences: npt.NDArray[np.int64], steps: npt.NDArray[np.int64], certain: npt.NDArray[np.bool_]
    ) -> None:
        """Compare each sequence number with the one before plus what that datagram held (`steps`, where `certain`)."""
        expected = (sequences + steps) & 0xFFFFFFFF
        before = np.concatenate(([-1 if self.next_sequence is None else self.next_sequence], expected[:-1]))
        before[1:][~certain[:-1]] = -1
        jumps = (sequences - before) & 0xFFFFFFFF
        jumps = np.where(jumps >= 1 << 31, jumps - (1 << 32), jumps)[before >= 0]
        near = jumps[np.abs(jumps) <= NEAR]
        self.sequence_gaps += int((near > 0).sum())
        self.sequence_restarts += len(jumps) - len(near)
        self.missing = max(0, self.missing + int(near.sum()))
        self.next_sequence = int(expected[-1]) if certain[-1] else None

    def summary(self) -> dict[str, object]:
        """What `inspect exporters` shows of this domain."""
        return {
            "exporter": self.exporter,
            "version": VERSION_NAMES[self.version],
            "domain": self.domain,
            "datagrams": self.datagrams,
            "records": self.records,
            "options_records": self.options_records,
            "sequence_gaps": self.sequence_gaps,
            "sequence_restarts": self.sequence_restarts,
            "missing": self.missing,
            "missing_unit": "datagrams" if self.version in (0, 9) else "records",
            "template_changes": self.template_changes,
            "templates": [
                {
                    "id": item.number,
                    "fields": list(item.names),
                    "options": item.is_options,
                    "age_s": self._template_age_s(item.number),
                }
                for item in self.templates.values()
            ],
            "held_sets": len(self.held),
            "interfaces": {str(key): value for key, value in self.known("interface").items()},
            "vrfs": {str(key): value for key, value in self.known("vrf").items()},
            "applications": len(self.known("application")),
            "sampling": [
                {"from": source, "rate": rate, "records": count} for (source, rate), count in self.sampling.items()
            ],
        }

    def _template_age_s(self, number: int) -> float | None:
        """Seconds of the exporter's clock since the template last came; None for those that are ours."""
        seen_ns = self.template_seen_ns.get(number)
        return None if seen_ns is None else (self.last_export_ns - seen_ns) / 1e9


def read_options(payload: bytes, template: Template) -> tuple[int, list[Option]]:
    """(records, what they say) of one set of options records."""
    count = 0
    options: list[Option] = []
    place = 0
    while len(payload) - place >= template.record_bytes:
        values, place = _read_record(payload, place, template)
        if place < 0:
            break
        count += 1
        options += _interpret(values)
    return count, options


Values = dict[tuple[int, int], bytes]


def _read_record(payload: bytes, place: int, template: Template) -> tuple[Values, int]:
    values: Values = {}
    for item in template.fields:
        length = item.length
        if length == VARIABLE:
            if place >= len(payload):
                return values, -1
            length = payload[place]
            place += 1
            if length == 255:
                length = int.from_bytes(payload[place : place + 2], "big")
                place += 2
        if place + length > len(payload):
            return values, -1
        values.setdefault((item.element.pen, item.element.number), payload[place : place + length])
        place += length
    return values, place


def _interpret(values: Values) -> list[Option]:
    """Sampling rates, start of the exporter's uptime, and names of interfaces, VRFs and applications."""

    def number(item: int, pen: int = IANA_PEN) -> int | None:
        data = values.get((pen, item))
        return None if data is None or len(data) > 8 else int.from_bytes(data, "big")

    found: list[Option] = []
    rate = _sampling_rate(values)
    if rate:
        sampler = number(48) if number(48) is not None else number(302)
        found.append(Option("rate", sampler, rate))
    interface = next((found for found in (number(2, V9_SCOPE_PEN), number(10), number(14)) if found is not None), None)
    name = _text(values.get((IANA_PEN, 82), b"")) or _text(values.get((IANA_PEN, 83), b""))
    if interface is not None and name:
        found.append(Option("interface", interface, name))
    vrf_name = _text(values.get((IANA_PEN, 236), b""))
    if vrf_name:
        found += [Option("vrf", vrf, vrf_name) for vrf in {number(234), number(235)} - {None}]
    application = values.get((IANA_PEN, 95))
    application_name = _text(values.get((IANA_PEN, 96), b""))
    if application and application_name:
        found.append(Option("application", application, application_name))
    boot_ms = number(160)
    if boot_ms and boot_ms < _LATEST_BOOT_MS:
        found.append(Option("boot_ns", None, boot_ms * 1_000_000))
    return found


def _sampling_rate(values: Values) -> int | None:
    def number(item: int) -> int:
        data = values.get((IANA_PEN, item), b"")
        return int.from_bytes(data, "big") if len(data) <= 8 else 0

    if number(305):
        return max(1, round((number(305) + number(306)) / number(305)))
    if number(309) and number(310):
        return max(1, round(number(310) / number(309)))
    probability = values.get((IANA_PEN, 311), b"")
    if len(probability) in (4, 8):
        chance: float = struct.unpack(">f" if len(probability) == 4 else ">d", probability)[0]
        if math.isfinite(chance) and 1e-9 < chance <= 1.0:
            return max(1, round(1 / chance))
    return number(50) or number(34) or None


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode("utf-8", "replace").strip()
