"""Export datagrams inside capture files: the UDP payloads of its packets, found by the header parser's kernel."""

import ipaddress
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from ...packets.captures.chunk import Chunk
from ...packets.captures.reader import CaptureReader
from ...packets.headers.frames import new_fragment_table, parse_frames
from ...packets.headers.notes import NOTES
from ...packets.layout import PACKET
from ...packets.settings import PacketSettings
from .datagrams import Datagrams

UDP = 17
SFLOW_VERSION, SFLOW_WORD = 0, 5
_FRAGMENT_TABLE = 1024
_MOST_FRAGMENTED = 256  # datagrams that are put together at once

_Place = tuple[int, bytes]
_Whole = tuple[int, int, int]  # start in the buffer, length, packet


def datagrams_from_capture(
    stream: IO[bytes], name: str, notes: Counter[str], versions: Sequence[int] = (5, 7, 9, 10)
) -> Iterator[Datagrams]:
    """Every UDP payload that begins with one of these versions, a batch for each chunk of the capture.

    `SFLOW_VERSION` stands for sFlow, whose version is a word of four bytes.

    Exporters are the source addresses of the packets. Datagrams in fragments are put together; what is cut by the
    snap length, never completed, or no export at all is counted in `notes`.
    """
    reader = CaptureReader(stream, name)
    fragments = new_fragment_table(_FRAGMENT_TABLE)
    joiner = _FragmentJoiner()
    parser_notes = np.zeros(len(NOTES), np.int64)
    nesting = PacketSettings().max_nesting
    names: dict[tuple[int, int], int] = {}
    exporter_names: list[str] = []
    for chunk in reader:
        packets = np.zeros(len(chunk.frames), PACKET)
        parse_frames(chunk.data, chunk.frames, packets, fragments, parser_notes, nesting, True)
        notes["capture-packets"] += len(packets)
        found = _exports_of(chunk, packets, joiner, versions, notes)
        if found is None:
            continue
        buffer, starts, lengths, members = found
        exporters = np.empty(len(members), np.int32)
        for place, member in enumerate(members.tolist()):
            key = (int(packets["src_high"][member]), int(packets["src_low"][member]))
            if key not in names:
                names[key] = len(exporter_names)
                exporter_names.append(_address_text(*key))
            exporters[place] = names[key]
        yield Datagrams(buffer, starts, lengths, exporters, packets["time_ns"][members], exporter_names)
    notes.update({f"capture-{reason}": count for reason, count in reader.skipped.items()})
    notes["fragmented-export-incomplete"] += joiner.waiting()
    for reason in [reason for reason, count in notes.items() if not count]:
        del notes[reason]


def share_of_exports(data: bytes, name: str, describe: Callable[[bytes], str | None]) -> float:
    """How many of the UDP and TCP packets at the beginning of a capture are datagrams that `describe` knows, 0 to 1."""
    import io

    payloads = _transport_payloads(CaptureReader(io.BytesIO(data), name))
    verdicts = [is_udp and describe(payload) is not None for is_udp, payload in payloads]
    return sum(verdicts) / len(verdicts) if verdicts else 0.0


def _transport_payloads(reader: CaptureReader, most: int = 512) -> list[tuple[bool, bytes]]:
    fragments = new_fragment_table(_FRAGMENT_TABLE)
    notes = np.zeros(len(NOTES), np.int64)
    found: list[tuple[bool, bytes]] = []
    for chunk in reader:
        packets = np.zeros(len(chunk.frames), PACKET)
        parse_frames(chunk.data, chunk.frames, packets, fragments, notes, PacketSettings().max_nesting, True)
        for packet in packets[(packets["verdict"] == 0) & (packets["payload_captured"] > 0)]:
            start = int(packet["payload_start"])
            payload = chunk.data[start : start + int(packet["payload_captured"])].tobytes()
            found.append((packet["protocol"] == UDP, payload))
        if len(found) >= most:
            break
    return found


def _exports_of(
    chunk: Chunk, packets: npt.NDArray[np.void], joiner: "_FragmentJoiner", versions: Sequence[int], notes: Counter[str]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]] | None:
    """(buffer, starts, lengths, packets) of the datagrams in one chunk, in order of the capture."""
    is_udp = (packets["verdict"] == 0) & (packets["protocol"] == UDP)
    starts, lengths = packets["payload_start"], packets["payload_captured"].astype(np.int64)
    data = chunk.data
    header = starts - 8
    readable = is_udp & (header >= 0) & (starts + lengths <= len(data)) & (lengths >= 0)
    at = np.where(readable, header, 0)
    ports_agree = (_u16(data, at) == packets["src_port"]) & (_u16(data, at + 2) == packets["dst_port"])
    whole = readable & ports_agree & (_u16(data, at + 4).astype(np.int64) == packets["payload_bytes"] + 8)
    snapped = whole & (lengths < packets["payload_bytes"])
    version, first_word = _u16(data, np.where(readable, starts, 0)), _u32(data, np.where(readable, starts, 0))
    long_enough = lengths >= 16
    is_export = long_enough & np.where(first_word == SFLOW_WORD, SFLOW_VERSION in versions, np.isin(version, versions))
    notes["cut-by-snap-length"] += int((snapped & is_export).sum())
    complete = [
        (int(starts[member]), int(lengths[member]), member)
        for member in np.flatnonzero(whole & is_export & ~snapped).tolist()
    ]
    joined: list[tuple[int, bytes]] = []
    for member in np.flatnonzero(is_udp & ~whole).tolist():
        payload = joiner.add(data, packets[member])
        if payload is not None and _version_of(payload) in versions:
            joined.append((member, payload))
    notes["not-an-export"] += len(packets) - len(complete) - len(joined) - int((snapped & is_export).sum())
    if not complete and not joined:
        return None
    # The chunk's buffer is used again by the reader, so the datagrams get their own.
    pieces = [(member, data[start : start + length].tobytes()) for start, length, member in complete] + joined
    pieces.sort(key=lambda piece: piece[0])
    together = Datagrams.join([payload for _, payload in pieces])
    return together.buffer, together.starts, together.lengths, np.array([member for member, _ in pieces], np.int64)


class _FragmentJoiner:
    """Puts UDP datagrams in IP fragments together: IPv4 without options, IPv6 with only the fragment header."""

    def __init__(self) -> None:
        self._parts: dict[Any, dict[int, bytes]] = {}
        self._ends: dict[Any, int] = {}

    def waiting(self) -> int:
        return len(self._parts)

    def add(self, data: npt.NDArray[np.uint8], packet: np.void) -> bytes | None:
        """The UDP payload, once its last missing fragment came."""
        start = int(packet["payload_start"])
        length = int(packet["payload_captured"])
        for before in (0, 8):  # the UDP header is in front of the payload of a first fragment
            found = _fragment_place(data, start - before, packet)
            if found is None:
                continue
            key, offset, more = found
            if key not in self._parts and len(self._parts) >= _MOST_FRAGMENTED:
                oldest = next(iter(self._parts))
                del self._parts[oldest]
                self._ends.pop(oldest, None)
            parts = self._parts.setdefault(key, {})
            parts[offset] = data[start - before : start + length].tobytes()
            if not more:
                self._ends[key] = offset + before + length
            return self._take(key)
        return None

    def _take(self, key: Any) -> bytes | None:
        end, parts = self._ends.get(key), self._parts[key]
        if end is None:
            return None
        payload = b""
        while len(payload) < end and len(payload) in parts and parts[len(payload)]:
            payload += parts[len(payload)]
        if len(payload) != end or end <= 8:
            return None
        del self._parts[key], self._ends[key]
        return payload[8:]


def _fragment_place(data: npt.NDArray[np.uint8], at: int, packet: np.void) -> tuple[Any, int, bool] | None:
    """(datagram, offset in it, whether more follow) where an IP header with a fragment ends at `at`."""
    ends = tuple(int(packet[name]) for name in ("src_high", "src_low", "dst_high", "dst_low"))
    if 20 <= at <= len(data):
        header = data[at - 20 : at].tobytes()
        word = int.from_bytes(header[6:8], "big")
        if header[0] == 0x45 and header[9] == UDP and word & 0x3FFF and ends[1] & 0xFFFFFFFF == _word(header, 12):
            return (ends, int.from_bytes(header[4:6], "big")), (word & 0x1FFF) * 8, bool(word & 0x2000)
    if 48 <= at <= len(data):
        header = data[at - 48 : at].tobytes()
        if header[0] >> 4 == 6 and header[6] == 44 and header[40] == UDP:
            word = int.from_bytes(header[42:44], "big")
            return (ends, _word(header, 44)), word & 0xFFF8, bool(word & 1)
    return None


def _version_of(payload: bytes) -> int:
    return SFLOW_VERSION if payload[:4] == b"\0\0\0\5" else int.from_bytes(payload[:2], "big")


def _address_text(high: int, low: int) -> str:
    address = ipaddress.IPv6Address(high << 64 | low)
    return str(address.ipv4_mapped or address)


def _u16(data: npt.NDArray[np.uint8], at: npt.NDArray[np.int64]) -> npt.NDArray[np.uint16]:
    last = max(len(data) - 2, 0)
    place = np.clip(at, 0, last)
    return (data[place].astype(np.uint16) << np.uint16(8)) | data[place + 1]


def _u32(data: npt.NDArray[np.uint8], at: npt.NDArray[np.int64]) -> npt.NDArray[np.uint32]:
    high = _u16(data, at).astype(np.uint32)
    return (high << np.uint32(16)) | _u16(data, at + 2)


def _word(header: bytes, at: int) -> int:
    return int(struct.unpack_from(">I", header, at)[0])
