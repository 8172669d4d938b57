"""sFlow datagrams in, batches of the flow table out: samples of one flow within a window become one record."""

import ipaddress
from collections import Counter
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...identity import EVERYBODYS, Identity
from ...packets.headers.frames import new_fragment_table, parse_frames
from ...packets.headers.notes import NOTES
from ...packets.layout import FRAME, NO_MPLS, NO_VLAN, PACKET, REASONS
from ...packets.settings import PacketSettings
from ...source import Account
from ..directed import DIRECTED, Paired, Records, Texts, empty_records, finish_batch, know, known_bit
from ..netflow.datagrams import Datagrams
from ..netflow.sessions import Session
from ..pairing import Pairer
from .scan import BAD_HEADER, COUNTS, STATUS, UNKNOWN_VERSION, find_samples
from .settings import SflowSettings

SFLOW = 0  # the version in a session
_LINKS = {1: 1, 11: 228, 12: 229, 4: 0, 7: 9}  # sFlow header protocol → LINKTYPE; what is missing cannot be read
_MOST_SESSIONS = 4096
_KEY = (
    "session",
    "src_high",
    "src_low",
    "dst_high",
    "dst_low",
    "src_port",
    "dst_port",
    "protocol",
    "vlan",
    "inner_vlan",
)


class SflowPipeline:
    """Samples of agents to flows. Each flow sample is a record; each stands for `sampling_rate` packets."""

    def __init__(
        self, settings: SflowSettings, account: Account, *, source: str = "sflow", identity: Identity = EVERYBODYS
    ) -> None:
        self.account = account
        self._settings = settings
        self._source = source
        self._identity = identity
        self._sessions: dict[tuple[int, int, int], Session] = {}
        self._captures: list[str] = []
        self._window_ns = int(settings.window_s * 1e9)
        self._open = np.empty(0, DIRECTED)  # one record a flow and window, of windows that may still grow
        self._clock_ns = np.iinfo(np.int64).min
        self._fragments = new_fragment_table(1024)
        self._parser_notes = np.zeros(len(NOTES), np.int64)
        self._pairer = Pairer(window_s=settings.window_s, wait_s=settings.window_s, slice_gap_s=2 * settings.window_s)

    def add(self, datagrams: Datagrams, capture: str) -> Iterator[pa.RecordBatch]:
        if not self._captures or self._captures[-1] != capture:
            self._captures.append(capture)
        step = self._settings.batch_datagrams
        for first in range(0, len(datagrams), step):
            records = self._records_of(datagrams.part(first, first + step))
            self.account.records_in_flows += len(records)
            self._open = _aggregate(np.concatenate((self._open, records)), self._window_ns)
            if len(records):
                self._clock_ns = max(self._clock_ns, int(records["arrival_ns"].max()))
            yield from self._close_windows()

    def advance(self, now_ns: int) -> Iterator[pa.RecordBatch]:
        """Time goes on though no datagram came."""
        self._clock_ns = max(self._clock_ns, now_ns)
        yield from self._close_windows()
        yield from self._rows(self._pairer.advance(now_ns))

    def finish(self) -> Iterator[pa.RecordBatch]:
        yield from self._rows(self._pairer.add(self._open[np.argsort(self._open["start_ns"], kind="stable")]))
        self._open = self._open[:0]
        yield from self._rows(self._pairer.finish())
        self.account.details["exporters"] = [session.summary() for session in self._sessions.values()]

    def _close_windows(self) -> Iterator[pa.RecordBatch]:
        closed = self._open["arrival_ns"] // self._window_ns < self._clock_ns // self._window_ns
        finished, self._open = self._open[closed], self._open[~closed]
        yield from self._rows(self._pairer.add(finished[np.argsort(finished["start_ns"], kind="stable")]))

    def note(self, notes: Counter[str]) -> None:
        """Things worth knowing that happened before the decoder."""
        self.account.notes.update(notes)

    def _rows(self, paired: Paired) -> Iterator[pa.RecordBatch]:
        if len(paired):
            exporters = [session.name for session in self._sessions.values()]
            batch = finish_batch(
                paired, Texts(), exporters, self._captures, source=self._source, identity=self._identity
            )
            self.account.flows += batch.num_rows
            yield batch

    def _records_of(self, datagrams: Datagrams) -> Records:
        """A directed record for each sample that holds an IP packet, in order."""
        headers, samples, counts = find_samples(datagrams)
        self._count(headers, samples, counts)
        places = self._session_places(headers)
        samples_of = samples["datagram"]
        usable = places[samples_of] >= 0
        self._skip("too-many-domains", int((~usable).sum()))
        samples = samples[usable]
        of = samples["datagram"]
        received = datagrams.received_ns[of]
        uptime_ns = headers["uptime_ms"][of].astype(np.int64) * 1_000_000
        time_ns = np.where(received != 0, received, uptime_ns)
        if (received == 0).any():
            self.account.notes["time-since-boot"] += int((received == 0).sum())
        packets = self._packets_of(datagrams, samples, time_ns)
        reasons = packets["verdict"]
        for place, count in enumerate(np.bincount(reasons, minlength=1).tolist()):
            self._skip(REASONS[place], count if place else 0)
        good = reasons == 0
        return self._directed(packets[good], samples[good], places[of[good]])

    def _packets_of(self, datagrams: Datagrams, samples: Records, time_ns: npt.NDArray[np.int64]) -> Records:
        frames = np.zeros(len(samples), FRAME)
        frames["time_ns"] = time_ns
        frames["start"] = samples["header_start"]
        frames["captured"] = samples["header_bytes"]
        frames["wire"] = np.maximum(samples["frame_bytes"], samples["header_bytes"])
        table = np.full(1 << 16, 0xFFFF, np.uint16)
        for protocol, link in _LINKS.items():
            table[protocol] = link
        frames["link"] = table[samples["link"]]
        packets = np.zeros(len(samples), PACKET)
        parse_frames(
            datagrams.buffer, frames, packets, self._fragments, self._parser_notes, PacketSettings().max_nesting, False
        )
        for place in np.flatnonzero((samples["header_bytes"] == 0) & (samples["address_kind"] != 0)).tolist():
            _fill_from_addresses(datagrams.buffer, samples[place], packets[place])
        return packets

    def _directed(self, packets: Records, samples: Records, sessions: npt.NDArray[np.int64]) -> Records:
        records = empty_records(len(packets))
        for name in ("src_high", "src_low", "dst_high", "dst_low"):
            records[name] = packets[name]
        records["start_ns"] = records["end_ns"] = records["arrival_ns"] = packets["time_ns"]
        records["session"] = sessions
        records["capture"] = len(self._captures) - 1
        records["inner_vlan"] = packets["inner_vlan"]
        tagged = packets["vlan"] != NO_VLAN
        records["vlan"] = np.where(tagged, packets["vlan"], np.where(samples["vlan"] > 0, samples["vlan"], NO_VLAN))
        rates = np.where(samples["rate"] > 0, samples["rate"], self._settings.sampling_rate).astype(np.uint32)
        factor = np.maximum(rates, 1).astype(np.uint64) if self._settings.apply_sampling else np.uint64(1)
        records["known"] |= known_bit("duration")
        know(records, "packets", np.ones(len(records), np.uint64) * factor)
        know(records, "bytes", packets["ip_bytes"].astype(np.uint64) * factor)
        know(records, "frame_bytes", packets["frame_bytes"].astype(np.uint64) * factor, packets["frame_bytes"] > 0)
        know(records, "sampling_rate", rates, rates > 0)
        for name in ("protocol", "src_port", "dst_port", "tos"):
            know(records, name, packets[name])
        know(records, "tcp_flags", packets["tcp_flags"], packets["protocol"] == 6)
        know(records, "mpls", packets["mpls"], packets["mpls"] != NO_MPLS)
        for name in ("src_mac", "dst_mac"):
            know(records, name, packets[name], packets["has_macs"] > 0)
        known = samples["has_interfaces"] > 0
        know(records, "input_interface", samples["input"], known)
        know(records, "output_interface", samples["output"], known)
        for name in ("src_as", "dst_as"):
            know(records, name, samples[name], (samples["has_as"] > 0) & (samples[name] > 0))
        return records

    def _count(self, headers: Records, samples: Records, counts: npt.NDArray[np.int64]) -> None:
        self.account.records += len(samples)
        for name, count in zip(COUNTS, counts.tolist(), strict=True):
            if count:
                self.account.notes[name] += count
        status = np.bincount(headers["status"], minlength=len(STATUS))
        for place in range(1, len(STATUS)):
            count = int(status[place])
            self.account.records += count
            self._skip(STATUS[place], count)

    def _skip(self, reason: str, count: int) -> None:
        if count:
            self.account.skipped[reason] += count

    def _session_places(self, headers: Records) -> npt.NDArray[np.int64]:
        """The place of each datagram's agent and sub-agent; -1 for bad datagrams and agents beyond the bound."""
        places = np.full(len(headers), -1, np.int64)
        good = np.flatnonzero((headers["status"] != UNKNOWN_VERSION) & (headers["status"] != BAD_HEADER))
        if not len(good):
            return places
        keys = np.stack([headers[name][good].astype(np.uint64) for name in ("agent_high", "agent_low", "sub_agent")], 1)
        distinct, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        inverse = inverse.reshape(-1)
        for group in np.argsort(first).tolist():
            high, low, sub_agent = (int(word) for word in distinct[group])
            session = self._sessions.get((high, low, sub_agent))
            if session is None:
                if len(self._sessions) >= _MOST_SESSIONS:
                    continue
                address = ipaddress.IPv6Address(high << 64 | low)
                session = Session(str(address.ipv4_mapped or address), SFLOW, sub_agent, len(self._sessions))
                self._sessions[high, low, sub_agent] = session
            members = good[inverse == group]
            places[members] = session.place
            session.datagrams += len(members)
            ones = np.ones(len(members), np.int64)
            session.follow_sequence(headers["sequence"][members].astype(np.int64), ones, ones.astype(np.bool_))
        return places


def _aggregate(records: Records, window_ns: int) -> Records:
    """One record for each key and window: counters are summed, flags united, the first sample says the rest."""
    if len(records) < 2:
        return records
    columns = [records[name].astype(np.uint64) for name in _KEY]
    columns += [records["sampling_rate"].astype(np.uint64), (records["arrival_ns"] // window_ns).astype(np.uint64)]
    keys = np.stack(columns, axis=1)
    packed = keys.view(f"V{keys.shape[1] * 8}").reshape(-1)
    _, first, inverse = np.unique(packed, return_index=True, return_inverse=True)
    inverse = inverse.reshape(-1)
    order = np.argsort(inverse, kind="stable")
    bounds = np.searchsorted(inverse[order], np.arange(len(first)))
    together, ordered = records[first], records[order]
    for name in ("packets", "bytes", "frame_bytes"):
        together[name] = np.add.reduceat(ordered[name], bounds)
    for name in ("tcp_flags", "known"):
        together[name] = np.bitwise_or.reduceat(ordered[name], bounds)
    together["start_ns"] = np.minimum.reduceat(ordered["start_ns"], bounds)
    for name in ("end_ns", "arrival_ns"):
        together[name] = np.maximum.reduceat(ordered[name], bounds)
    return together


def _fill_from_addresses(data: npt.NDArray[np.uint8], sample: np.void, packet: np.void) -> None:
    """A sample without header but with addresses, ports and flags in fields of their own."""
    at = int(sample["address_start"])
    is_ipv4 = sample["address_kind"] == 4
    size = 4 if is_ipv4 else 16
    fields = data[at : at + 24 + 2 * size].tobytes()
    length, protocol = (int.from_bytes(fields[place : place + 4], "big") for place in (0, 4))
    prefix = bytes(10) + b"\xff\xff" if is_ipv4 else b""
    for name, place in (("src", 8), ("dst", 8 + size)):
        address = prefix + fields[place : place + size]
        packet[f"{name}_high"] = int.from_bytes(address[:8], "big")
        packet[f"{name}_low"] = int.from_bytes(address[8:], "big")
    src_port, dst_port, flags, tos = (
        int.from_bytes(fields[place : place + 4], "big") for place in range(8 + 2 * size, 24 + 2 * size, 4)
    )
    packet["ip_bytes"], packet["protocol"] = length, protocol & 0xFF
    packet["src_port"], packet["dst_port"] = src_port & 0xFFFF, dst_port & 0xFFFF
    packet["tcp_flags"], packet["tos"] = flags & 0xFF, tos & 0xFF
    packet["vlan"] = packet["inner_vlan"] = NO_VLAN
    packet["mpls"] = NO_MPLS
    packet["verdict"] = 0
