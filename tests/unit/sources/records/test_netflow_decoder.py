"""Templates, options, data that comes too early, and headers that cannot be."""

import struct
from collections.abc import Sequence

import numpy as np
import pytest

from flowlore.sources.checks import MemoryInput
from flowlore.sources.records.netflow.datagrams import Datagrams, describe_datagram, split_datagrams
from flowlore.sources.records.netflow.decoder import Decoder, RecordTable
from flowlore.sources.records.netflow.raw import decode_raw
from flowlore.sources.records.netflow.settings import NetflowSettings
from flowlore.sources.records.netflow.source import NetflowSource

EXPORT_S = 1_700_000_000
UPTIME_MS = 5_000_000


def v9(sequence: int, *sets: bytes, domain: int = 1, export_s: int = EXPORT_S) -> bytes:
    return struct.pack(">HHIIII", 9, len(sets), UPTIME_MS, export_s, sequence, domain) + b"".join(sets)


def ipfix(sequence: int, *sets: bytes, domain: int = 1, export_s: int = EXPORT_S) -> bytes:
    body = b"".join(sets)
    return struct.pack(">HHIII", 10, 16 + len(body), export_s, sequence, domain) + body


def a_set(number: int, body: bytes) -> bytes:
    return struct.pack(">HH", number, 4 + len(body)) + body


def template(set_number: int, number: int, *fields: tuple[int, int] | tuple[int, int, int]) -> bytes:
    body = struct.pack(">HH", number, len(fields))
    for item in fields:
        body += (
            struct.pack(">HH", item[0] | 0x8000, item[1]) + struct.pack(">I", item[2])
            if len(item) == 3
            else (struct.pack(">HH", *item))
        )
    return a_set(set_number, body)


def decode(payloads: Sequence[bytes], decoder: Decoder | None = None) -> list[RecordTable]:
    return (decoder or Decoder()).decode(Datagrams.join(payloads, exporter="192.0.2.7"))


PORTS = template(0, 256, (7, 2), (11, 2))


def ports(*pairs: tuple[int, int], number: int = 256) -> bytes:
    return a_set(number, b"".join(struct.pack(">HH", *pair) for pair in pairs))


def test_sets_of_one_template_are_joined_over_datagrams() -> None:
    (table,) = decode([v9(0, PORTS), v9(1, ports((1, 2), (3, 4))), v9(2, ports((5, 6)), export_s=EXPORT_S + 9)])
    assert table.named()["sourceTransportPort"].tolist() == [1, 3, 5]
    assert table.named()["destinationTransportPort"].tolist() == [2, 4, 6]
    assert (table.export_ns // 10**9 - EXPORT_S).tolist() == [0, 0, 9]
    assert (table.exporter, table.domain) == ("192.0.2.7", 1)


def test_templates_belong_to_exporter_and_domain() -> None:
    decoder = Decoder()
    other = template(0, 256, (4, 1), (5, 1), (7, 2))
    payloads = [v9(0, PORTS), v9(0, other, domain=2), v9(1, ports((1, 2))), v9(1, ports((0x0611, 9)), domain=2)]
    first, second = decode(payloads, decoder)
    assert first.named()["sourceTransportPort"].tolist() == [1]
    assert second.named()["protocolIdentifier"].tolist() == [6]
    decode([v9(2, ports((1, 2)), domain=3)], decoder)
    decoder.finish()
    assert decoder.skipped == {"data-before-template": 1}


def test_a_changed_template_holds_for_what_comes_after_it() -> None:
    decoder = Decoder()
    swapped = template(0, 256, (11, 2), (7, 2))
    before, after = decode([v9(0, PORTS), v9(1, ports((1, 2))), v9(2, swapped), v9(3, ports((1, 2)))], decoder)
    assert before.named()["sourceTransportPort"].tolist() == [1]
    assert after.named()["sourceTransportPort"].tolist() == [2]
    assert decoder.notes["template-changed"] == 1


def test_a_repeated_template_parts_nothing() -> None:
    payloads = [v9(0, PORTS), v9(1, ports((1, 2))), v9(2, PORTS), v9(3, ports((3, 4)))]
    assert len(decode(payloads)) == 1


@pytest.mark.parametrize("number", [256, 2])
def test_ipfix_templates_are_withdrawn(number: int) -> None:
    decoder = Decoder()
    learn = ipfix(0, template(2, 256, (7, 2), (11, 2)))
    withdraw = ipfix(1, a_set(2, struct.pack(">HH", number, 0)))
    (table,) = decode([learn, ipfix(0, ports((1, 2))), withdraw, ipfix(1, ports((3, 4)))], decoder)
    assert len(table.export_ns) == 1
    decoder.finish()
    assert decoder.notes["template-withdrawn"] == 1
    assert (decoder.records, decoder.skipped) == (2, {"data-before-template": 1})


def test_data_before_its_template_is_held_and_keeps_its_time() -> None:
    decoder = Decoder()
    assert decode([v9(0, ports((1, 2), (3, 4)))], decoder) == []
    (table,) = decode([v9(1, PORTS, export_s=EXPORT_S + 60)], decoder)
    assert table.named()["sourceTransportPort"].tolist() == [1, 3]
    assert (table.export_ns == EXPORT_S * 10**9).all()
    assert (decoder.records, decoder.skipped) == (2, {})


def test_what_waits_is_bounded_in_bytes_and_age() -> None:
    decoder = Decoder(NetflowSettings(held_bytes=200, held_age_s=100.0))
    decode([v9(place, ports((1, 2))) for place in range(5)], decoder)
    assert decoder.skipped == {"data-before-template": 3}
    assert decode([v9(5, PORTS, export_s=EXPORT_S + 101)], decoder) == []
    assert decoder.skipped == {"data-before-template": 5}


def test_reduced_sizes_odd_widths_and_signs() -> None:
    fields = template(2, 256, (1, 3), (2, 5), (434, 2), (320, 4))
    data = a_set(256, bytes.fromhex("010203 0102030405 fffe 3fc00000"))
    (table,) = decode([ipfix(0, fields, data)])
    octets, packets, signed, real = (column.tolist() for column in table.columns if isinstance(column, np.ndarray))
    assert (octets, packets, signed, real) == ([0x010203], [0x0102030405], [-2], [1.5])


def test_variable_lengths_and_enterprise_fields() -> None:
    fields = template(2, 256, (96, 65535), (7, 2), (5, 65535, 4242), (8, 4))
    rows = b"\x03abc" + b"\0\1" + b"\xff\0\2xy" + b"\x0a\0\0\1" + b"\0" + b"\0\2" + b"\0" + b"\x0a\0\0\2"
    decoder = Decoder()
    records = decode_raw(decoder, Datagrams.join([ipfix(0, fields, a_set(256, rows + b"\0\0\0"))]))
    assert [dict(record.fields) for record in records] == [
        {"applicationName": "abc", "sourceTransportPort": 1, "element4242.5": b"xy", "sourceIPv4Address": "10.0.0.1"},
        {"applicationName": "", "sourceTransportPort": 2, "element4242.5": b"", "sourceIPv4Address": "10.0.0.2"},
    ]
    assert decoder.skipped == {}


def test_a_variable_record_that_reaches_over_its_set_is_counted() -> None:
    decoder = Decoder()
    fields = template(2, 256, (96, 65535), (7, 2))
    decode([ipfix(0, fields, a_set(256, b"\x01a\0\1" + b"\xf0bcdef"))], decoder)
    assert (decoder.records, decoder.skipped) == (2, {"cut-record": 1})


def test_zero_length_fields_and_reverse_elements() -> None:
    fields = template(2, 256, (1, 4), (56, 0), (1, 4, 29305))
    records = decode_raw(Decoder(), Datagrams.join([ipfix(0, fields, a_set(256, struct.pack(">II", 7, 8)))]))
    assert records[0].fields == (("octetDeltaCount", 7), ("sourceMacAddress", b""), ("reverseOctetDeltaCount", 8))


def test_a_template_of_nothing_but_zero_lengths_is_refused() -> None:
    decoder = Decoder()
    decode([ipfix(0, template(2, 256, (1, 0), (2, 0)), a_set(256, bytes(64)))], decoder)
    assert decoder.notes["bad-template"] == 1
    assert decoder.notes["held-set"] == 1


def test_options_are_learned_and_are_no_flow_records() -> None:
    scope_and_fields = struct.pack(">HHH", 300, 4, 12) + struct.pack(">HHHHHHHH", 2, 4, 48, 1, 50, 4, 82, 4)
    options = a_set(1, scope_and_fields)
    data = a_set(300, struct.pack(">IBI4s", 9, 3, 1000, b"eth9"))
    decoder = Decoder()
    assert decode([v9(0, options), v9(1, data)], decoder) == []
    (session,) = decoder.sessions.values()
    assert session.known("rate") == {3: 1000}
    assert session.known("interface") == {9: "eth9"}
    assert (decoder.records, decoder.notes["options-record"]) == (0, 1)


def test_gaps_in_the_sequence_are_counted_in_the_protocols_own_unit() -> None:
    decoder = Decoder()
    decode([v9(0, PORTS), v9(1, ports((1, 2))), v9(5, ports((1, 2)))], decoder)
    learn = template(2, 256, (7, 2), (11, 2))
    decode([ipfix(0, learn, ports((1, 2), (3, 4))), ipfix(2, ports((1, 2))), ipfix(10, ports((1, 2)))], decoder)
    by_version = {session.version: session for session in decoder.sessions.values()}
    assert (by_version[9].sequence_gaps, by_version[9].missing) == (1, 3)
    assert (by_version[10].sequence_gaps, by_version[10].missing) == (1, 7)


def test_datagrams_out_of_order_are_not_missing() -> None:
    decoder = Decoder()
    decode([v9(0, PORTS), v9(2, ports((1, 2))), v9(1, ports((1, 2))), v9(3, ports((1, 2)))], decoder)
    assert next(iter(decoder.sessions.values())).missing == 0


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "bad-header"),
        (b"\0\x08" + bytes(40), "unknown-version"),
        (b"\0\5\0\1" + bytes(10), "bad-header"),
        (struct.pack(">HHIII", 10, 3, 0, 0, 0), "bad-header"),
        (v9(0, struct.pack(">HH", 256, 2)), "bad-set-length"),
        (v9(0, struct.pack(">HH", 0, 900) + bytes(8)), "bad-set-length"),
        (struct.pack(">HHIII", 10, 900, EXPORT_S, 0, 0) + bytes(4), "cut-datagram"),
    ],
)
def test_a_datagram_that_cannot_be_read_counts_as_one_record(payload: bytes, reason: str) -> None:
    decoder = Decoder()
    assert decode([payload], decoder) == []
    assert (decoder.records, dict(decoder.skipped)) == (1, {reason: 1})


def test_a_cut_v5_datagram_gives_the_records_that_are_there() -> None:
    header = struct.pack(">HHIIIIBBH", 5, 3, UPTIME_MS, EXPORT_S, 0, 0, 0, 0, 0)
    decoder = Decoder()
    (table,) = decode([header + bytes(48) + bytes(20)], decoder)
    assert len(table.export_ns) == 1
    assert (decoder.records, decoder.skipped) == (3, {"cut-datagram": 2})


def test_domains_are_bounded() -> None:
    decoder = Decoder(NetflowSettings(max_domains=2))
    decode([v9(0, PORTS, domain=domain) for domain in range(5)], decoder)
    assert len(decoder.sessions) == 2
    assert decoder.skipped == {"too-many-domains": 3}


def test_files_of_datagrams_back_to_back_are_split() -> None:
    pieces = [v9(0, PORTS), v9(1, ports((1, 2))), ipfix(0, template(2, 256, (7, 2))), b"\xff" * 7]
    data = b"".join(pieces)
    assert [data[start : start + length] for start, length in split_datagrams(data)] == pieces
    assert describe_datagram(data) == "NetFlow v9"
    assert describe_datagram(b"\0\x09" + bytes(100)) is None


@pytest.mark.parametrize("element", [21, 22, 150, 151, 154, 158, 160, 161])
def test_a_time_of_a_length_that_no_number_has_is_no_time(element: int) -> None:
    """Found by fuzzing: eleven bytes under a time's element are bytes, and the record has the time of its export."""
    fields = struct.pack(">HH", element, 11) + struct.pack(">HHHHHH", 8, 4, 12, 4, 2, 4)
    template = struct.pack(">HHHH", 0, 4 + 4 + len(fields), 256, 4) + fields
    data = bytes(range(11)) + bytes([10, 0, 0, 1, 10, 0, 0, 2]) + struct.pack(">I", 7)
    records = struct.pack(">HH", 256, 4 + len(data) + 1) + data + b"\0"
    datagram = struct.pack(">HHIIII", 9, 2, 100_000, 1_700_000_000, 0, 0) + template + records
    source = NetflowSource([MemoryInput(datagram)])
    rows = [row for batch in source.batches() for row in batch.to_pylist()]
    assert [row["packets_fwd"] for row in rows] == [7]
    assert rows[0]["start"].value == 1_700_000_000 * 10**9


def test_a_boot_time_beyond_all_clocks_is_not_taken_up() -> None:
    """Found by fuzzing: systemInitTimeMilliseconds of eight bytes of 0xFF, and a record that counts from it."""
    options = struct.pack(">HHHHHHHHH", 3, 18, 256, 2, 1, 149, 4, 160, 8)
    option_data = struct.pack(">HHIQ", 256, 16, 0, 2**64 - 1)
    template = struct.pack(">HHHH", 2, 28, 257, 5) + struct.pack(">10H", 8, 4, 12, 4, 2, 4, 22, 4, 21, 4)
    record = struct.pack(">HH4s4sIII", 257, 24, b"\x0a\0\0\1", b"\x0a\0\0\2", 7, 1000, 2000)
    body = options + option_data + template + record
    datagram = struct.pack(">HHIII", 10, 16 + len(body), 1_700_000_000, 0, 0) + body
    source = NetflowSource([MemoryInput(datagram)])
    assert [row["packets_fwd"] for batch in source.batches() for row in batch.to_pylist()] == [7]
