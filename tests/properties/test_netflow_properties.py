"""Whatever comes over the wire: nothing is raised, nothing is lost, and the cut into batches changes nothing."""

import io
import itertools
import struct
from collections import Counter
from collections.abc import Sequence

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowlore.sources.records.netflow.captures import datagrams_from_capture
from flowlore.sources.records.netflow.datagrams import Datagrams, describe_datagram, split_datagrams
from flowlore.sources.records.netflow.decoder import Decoder
from flowlore.sources.records.netflow.pipeline import NetflowPipeline
from flowlore.sources.records.netflow.raw import decode_raw
from flowlore.sources.records.netflow.settings import NetflowSettings
from flowlore.sources.records.sflow.pipeline import SflowPipeline
from flowlore.sources.records.sflow.settings import SflowSettings
from flowlore.sources.records.sflow.source import describe_sflow, split_sflow
from flowlore.sources.source import Account

EXPORT_S, UPTIME_MS = 1_700_000_000, 9_000_000
SLOW = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])

# Elements with widths that exporters use, and some that they should not.
FIELDS = st.lists(
    st.tuples(
        st.sampled_from(
            [8, 12, 27, 28, 7, 11, 4, 6, 1, 2, 22, 21, 152, 153, 34, 48, 95, 96, 136, 58, 70, 56, 233, 5000]
        ),
        st.sampled_from([0, 1, 2, 3, 4, 6, 8, 16, 65_535]),
    ),
    min_size=1,
    max_size=8,
)


@st.composite
def messages(draw: st.DrawFn, domains: Sequence[int] = (1, 2)) -> bytes:
    """A v9 or IPFIX message of templates, options templates, withdrawals and data that may fit them or not."""
    version = draw(st.sampled_from([9, 10]))
    body = b""
    for kind in draw(
        st.lists(st.sampled_from(["template", "options", "data", "data", "noise"]), min_size=1, max_size=4)
    ):
        number = draw(st.integers(256, 258))
        if kind in ("template", "options"):
            fields = draw(FIELDS)
            specifiers = b"".join(struct.pack(">HH", *field) for field in fields)
            if kind == "template":
                content = struct.pack(">HH", number, len(fields)) + specifiers
            elif version == 9:
                content = struct.pack(">HHH", number, 4, 4 * (len(fields) - 1)) + specifiers
            else:
                content = struct.pack(">HHH", number, len(fields), 1) + specifiers
            set_number = (0 if version == 9 else 2) + (kind == "options")
        else:
            content = draw(st.binary(max_size=80))
            set_number = number if kind == "data" else draw(st.integers(0, 300))
        body += struct.pack(">HH", set_number, len(content) + 4) + content
    export_s = EXPORT_S + draw(st.integers(0, 200))
    sequence, domain = draw(st.integers(0, 50)), draw(st.sampled_from(domains))
    if version == 9:
        return struct.pack(">HHIIII", 9, 1, UPTIME_MS, export_s, sequence, domain) + body
    return struct.pack(">HHIII", 10, 16 + len(body), export_s, sequence, domain) + body


def rows_of(payloads: Sequence[bytes], cuts: Sequence[int] = (), exporters: Sequence[int] | None = None) -> list[str]:
    """Rows as text, from payloads cut into batches at `cuts`; the account must add up."""
    account = Account()
    pipeline = NetflowPipeline(NetflowSettings(held_bytes=400, pairing_wait_s=20.0), account)
    bounds = [0, *sorted(min(cut, len(payloads)) for cut in cuts), len(payloads)]
    names = ["192.0.2.1", "192.0.2.2"]
    ordinals = np.array([0] * len(payloads) if exporters is None else exporters, np.int32)
    batches = []
    for first, last in itertools.pairwise(bounds):
        part = Datagrams.join(payloads[first:last], exporters=ordinals[first:last], exporter_names=names)
        batches += list(pipeline.add(part, "x"))
    batches += list(pipeline.finish())
    assert account.records == account.records_in_flows + account.skipped.total()
    rows = [row for batch in batches for row in batch.to_pylist()]
    assert account.flows == len(rows) <= account.records_in_flows
    return sorted(map(repr, rows))


@given(st.lists(st.one_of(st.binary(max_size=120), messages()), max_size=8))
@SLOW
def test_any_bytes_are_decoded_or_counted(payloads: list[bytes]) -> None:
    decoder = Decoder(NetflowSettings(held_bytes=300))
    records = decode_raw(decoder, Datagrams.join(payloads))
    decoder.finish()
    flows = sum(not record.is_options for record in records)
    assert decoder.records == flows + decoder.skipped.total()
    rows_of(payloads)


@given(st.lists(messages(), min_size=1, max_size=8), st.lists(st.integers(0, 8), max_size=5))
@SLOW
def test_the_cut_into_batches_changes_nothing(payloads: list[bytes], cuts: list[int]) -> None:
    assert rows_of(payloads, cuts) == rows_of(payloads)


@given(st.lists(messages(), max_size=5), st.lists(messages(), max_size=5), st.randoms(use_true_random=False))
@SLOW
def test_exporters_do_not_touch_each_other(one: list[bytes], other: list[bytes], chance: object) -> None:
    queues = [list(one), list(other)]
    mixed: list[tuple[int, bytes]] = []
    while any(queues):
        turn = chance.choice([place for place in (0, 1) if queues[place]])  # type: ignore[attr-defined]
        mixed.append((turn, queues[turn].pop(0)))
    apart = sorted(rows_of(one) + rows_of(other, exporters=[1] * len(other)))
    assert rows_of([payload for _, payload in mixed], exporters=[place for place, _ in mixed]) == apart


@given(st.binary(max_size=300))
@SLOW
def test_files_are_split_without_a_byte_missing(data: bytes) -> None:
    for split in (split_datagrams, split_sflow):
        pieces = [data[start : start + length] for start, length in split(data)]
        assert b"".join(pieces) == data
    describe_datagram(data)
    describe_sflow(data)


SFLOW_HEADER = struct.pack(">II4sIIII", 5, 1, bytes([192, 0, 2, 9]), 0, 1, 1, 2)


@given(st.lists(st.binary(max_size=200), max_size=4), st.binary(max_size=200))
@SLOW
def test_any_sflow_is_decoded_or_counted(payloads: list[bytes], samples: bytes) -> None:
    account = Account()
    pipeline = SflowPipeline(SflowSettings(), account)
    flow_sample = struct.pack(">II", 1, len(samples)) + samples
    batches = [*pipeline.add(Datagrams.join([*payloads, SFLOW_HEADER + flow_sample]), "x"), *pipeline.finish()]
    assert account.records == account.records_in_flows + account.skipped.total()
    assert account.flows == sum(batch.num_rows for batch in batches)


@given(st.lists(st.binary(max_size=120), max_size=5))
@SLOW
def test_captures_of_anything_give_datagrams_or_notes(frames: list[bytes]) -> None:
    capture = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 101)
    for frame in frames:
        udp = struct.pack(">HHHH", 5000, 2055, 8 + len(frame), 0) + frame
        ip = (
            struct.pack(">BBHHHBBH8s", 0x45, 0, 20 + len(udp), 7, 0, 64, 17, 0, bytes([10, 0, 0, 1, 10, 0, 0, 2])) + udp
        )
        capture += struct.pack("<IIII", EXPORT_S, 0, len(ip), len(ip)) + ip
    notes = Counter[str]()
    found = [batch for batch in datagrams_from_capture(io.BytesIO(capture), "x", notes)]
    assert sum(map(len, found)) + notes["not-an-export"] == len(frames)
