"""A sample of real captures: every packet accounted for, every conversation as tshark counts it, every quantity as the
second computation has it. `scripts/compare_rivals --full` does it for all of them, and writes docs/correctness.md."""

import random
import shutil
from pathlib import Path

import pytest
from rivals import is_equal, key_of_row, our_conversations, tshark_says

from comparing import assert_rows_equal, rows_of, second_rows, settings
from flowlore.sources.reading import read

pytestmark = pytest.mark.shared_data

ENDLESS = {"idle_timeout_s": 86_400, "active_timeout_s": 604_800, "tcp_linger_s": 86_400}
FOLDERS = {"ndpi/pcap": 7, "iot_sentinel": 7, "hostile": 6}
ALWAYS = ("malicious_pcap/test8-malicious.pcap", "ndpi/pcap/KakaoTalk_chat.pcap", "ndpi/pcap/teredo.pcap")
LARGEST_BYTES = 150_000


@pytest.fixture(scope="module")
def sample(shared_data: Path) -> list[Path]:
    """The same few captures of each folder in each run, none of them large."""
    chosen = [shared_data / name for name in ALWAYS]
    for folder, count in FOLDERS.items():
        files = sorted(path for path in (shared_data / folder).rglob("*") if path.is_file() and path.suffix != ".gz")
        small = [path for path in files if path.stat().st_size <= LARGEST_BYTES]
        chosen += random.Random(2).sample(small, count)
    return chosen


def test_every_packet_is_in_a_flow_or_counted_by_reason(sample: list[Path]) -> None:
    for capture in sample:
        flows = read(capture, settings=settings())
        account, rows = flows.account, rows_of(flows)
        in_rows = sum(row["packets_fwd"] + row["packets_rev"] for row in rows)
        assert in_rows == account.packets_in_flows, capture.name
        assert in_rows + account.skipped.total() == account.packets, capture.name


def test_every_quantity_equals_the_second_computation(sample: list[Path]) -> None:
    for capture in sample:
        chosen = settings(idle_timeout_s=20, active_timeout_s=100, window_s=15)
        rows = rows_of(read(capture, settings=chosen))
        assert_rows_equal(rows, second_rows(capture.read_bytes(), chosen.meter))


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_conversations_are_those_of_tshark(sample: list[Path]) -> None:
    """Where no fragment and no tunnel is: tshark counts those in other places (see docs/correctness.md)."""
    compared = 0
    for capture in sample[::2]:
        flows = read(capture, settings=settings(**ENDLESS))
        rows, says = rows_of(flows), tshark_says(capture)
        if says.later_fragments or any(row["tunnel"] for row in rows):
            continue
        ours = our_conversations(rows)
        for key in ours.keys() | says.conversations.keys():
            one, other = ours.get(key), says.conversations.get(key)
            assert one is not None and other is not None and is_equal(one, other), (capture.name, key, one, other)
            compared += 1
        assert {key_of_row(row) for row in rows if row["server_name_from"] == "tls"} <= set(says.server_names)
    assert compared > 50
