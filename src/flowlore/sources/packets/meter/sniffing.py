"""Show the first payload of a flow to the sniffer, and keep what it read."""

import numpy as np

from ....flows.compiled import kernel
from ..layout import Bytes, Number, Record
from ..names.notes import MEMORY_USED, PAYLOAD_CUT
from ..names.sniff import sniff
from ..names.tags import DNS_ANSWER, MORE
from .chains import append_items, take_block
from .layout import (
    ANSWERS_BYTES,
    ASSEMBLY_BYTES,
    ASSEMBLY_FREE,
    ASSEMBLY_NOTES,
    ASSEMBLY_USED,
    LOST_ANSWERS,
    LOST_ASSEMBLY,
    MAX_SNIFFED,
    NO_BLOCK,
    STATE_SNIFFED,
    Tables,
)

ANSWER_HEAD = 30  # length (2), packet (4), time (8), client (16); then the item's own address, TTL and name


@kernel
def sniff_payload(
    tables: Tables, slot: Number, packet: Record, packet_place: Number, forward: bool, data: Bytes
) -> None:
    """Read names from the payload of one packet, the next in order of its direction."""
    flow = tables.flows[slot]
    entry = np.int64(flow.assembly)
    if entry == NO_BLOCK:
        entry = np.int64(0)
        for note in range(ASSEMBLY_NOTES):
            tables.assembly_notes[note] = 0
    flow.sniffed += np.uint8(1)
    tables.assembly_notes[entry * ASSEMBLY_NOTES + PAYLOAD_CUT] = packet.payload_captured < packet.payload_bytes
    verdict, written = sniff(
        data,
        packet.payload_start,
        packet.payload_start + np.int64(packet.payload_captured),
        packet.protocol,
        packet.src_port,
        packet.dst_port,
        forward,
        tables.assembly[entry * ASSEMBLY_BYTES : (entry + 1) * ASSEMBLY_BYTES],
        tables.assembly_notes[entry * ASSEMBLY_NOTES : (entry + 1) * ASSEMBLY_NOTES],
        tables.items,
    )
    if written > 0:
        _keep_items(tables, flow, packet, packet_place, written)
    if verdict == MORE and flow.sniffed < MAX_SNIFFED:
        if entry == 0:
            _keep_assembly(tables, flow)
    else:
        stop_sniffing(tables, flow)


@kernel
def stop_sniffing(tables: Tables, flow: Record) -> None:
    """Ask no more about a flow: all was read, or bytes are missing, and nothing is guessed across a hole."""
    flow.state |= STATE_SNIFFED
    free_assembly(tables, flow)


@kernel
def free_assembly(tables: Tables, flow: Record) -> None:
    """Give back what the sniffer kept for a flow."""
    entry = flow.assembly
    if entry != NO_BLOCK:
        tables.assembly_next[entry] = tables.numbers[ASSEMBLY_FREE]
        tables.numbers[ASSEMBLY_FREE] = entry
        flow.assembly = NO_BLOCK


@kernel
def _keep_assembly(tables: Tables, flow: Record) -> None:
    """Give the flow an entry of its own and move the scratch into it."""
    entry = take_block(tables.assembly_next, tables.numbers, ASSEMBLY_USED, ASSEMBLY_FREE)
    if entry == NO_BLOCK:
        tables.numbers[LOST_ASSEMBLY] += 1
        flow.state |= STATE_SNIFFED
        return
    flow.assembly = entry
    for byte in range(min(tables.assembly_notes[MEMORY_USED], ASSEMBLY_BYTES)):
        tables.assembly[entry * ASSEMBLY_BYTES + byte] = tables.assembly[byte]
    for note in range(ASSEMBLY_NOTES):
        tables.assembly_notes[entry * ASSEMBLY_NOTES + note] = tables.assembly_notes[note]


@kernel
def _keep_items(tables: Tables, flow: Record, packet: Record, packet_place: Number, written: Number) -> None:
    """Names go to the flow; DNS answers go to the list that is learned after the chunk."""
    items = tables.items
    place: Number = 0
    run: Number = 0
    while place + 3 <= written:
        stop = place + 3 + np.int64(items[place + 1]) + (np.int64(items[place + 2]) << 8)
        if items[place] == DNS_ANSWER:
            if place > run:
                append_items(tables, flow, run, place)
            _note_answer(tables, packet, packet_place, place + 3, stop)
            run = stop
        place = stop
    if min(place, written) > run:
        append_items(tables, flow, run, min(place, written))


@kernel
def _note_answer(tables: Tables, packet: Record, packet_place: Number, start: Number, stop: Number) -> None:
    """Remember who was told what, when; the client is the receiver of the answer."""
    cursor = tables.numbers[ANSWERS_BYTES]
    length = ANSWER_HEAD + stop - start
    if cursor + length > len(tables.answers):
        tables.numbers[LOST_ANSWERS] += 1
        return
    out = tables.answers
    out[cursor] = length & 0xFF
    out[cursor + 1] = length >> 8
    for byte in range(4):
        out[cursor + 2 + byte] = np.uint8((packet_place >> (8 * byte)) & 0xFF)
    for byte in range(8):
        out[cursor + 6 + byte] = np.uint8((packet.time_ns >> (8 * byte)) & 0xFF)
        shift = np.uint64(8 * byte)
        out[cursor + 14 + byte] = np.uint8((packet.dst_high >> shift) & np.uint64(0xFF))
        out[cursor + 22 + byte] = np.uint8((packet.dst_low >> shift) & np.uint64(0xFF))
    for byte in range(stop - start):
        out[cursor + ANSWER_HEAD + byte] = tables.items[start + byte]
    tables.numbers[ANSWERS_BYTES] = cursor + length
