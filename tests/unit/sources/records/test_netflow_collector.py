"""The collector on the loopback interface: every datagram sent becomes rows."""

import socket
import struct
from typing import Any

import pytest
from test_netflow_decoder import a_set, v9
from test_netflow_flows import LEARN, flow
from test_sflow import EXAMPLES

from flowlore.errors import InputError
from flowlore.sources.records.netflow import collector as collecting
from flowlore.sources.records.netflow.collector import UdpCollector
from flowlore.sources.records.netflow.receiving import DatagramSocket
from flowlore.sources.records.netflow.settings import NetflowSettings


def send(port: int, payloads: list[bytes]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for payload in payloads:
            sender.sendto(payload, ("127.0.0.1", port))


def v5_of(record: bytes, sequence: int) -> bytes:
    return struct.pack(">HHIIIIBBH", 5, 1, 1000, 1_700_000_000, 0, sequence, 0, 0, 0) + record


def test_every_protocol_comes_in_by_one_socket() -> None:
    collector = UdpCollector(port=0, settings=NetflowSettings(batch_wait_s=0.05))
    v5 = struct.pack(">HHIIIIBBH", 5, 1, 1000, 1_700_000_000, 0, 0, 0, 0, 0) + bytes([10, 0, 0, 1]) + bytes(44)
    payloads = [LEARN, v9(1, a_set(256, flow())), v5, EXAMPLES[0], b"\xff" * 20]
    send(collector.port, payloads)
    rows = [
        row for batch in collector.batches(most_datagrams=len(payloads), duration_s=20.0) for row in batch.to_pylist()
    ]
    account = collector.account
    assert sorted(row["source"] for row in rows) == ["netflow", "netflow", "sflow"]
    assert {row["exporter"] for row in rows} == {"127.0.0.1/1", "127.0.0.1/0", "192.0.2.9/0"}
    assert account.details["datagrams"] == 5
    assert account.skipped == {"unknown-version": 1}
    assert account.records == account.records_in_flows + account.skipped.total() == 5
    assert {row["capture"] for row in rows} == {f"udp 127.0.0.1:{collector.port}"}
    assert len(account.details["exporters"]) == 3


def test_it_stops_when_told() -> None:
    collector = UdpCollector(port=0)
    assert list(collector.batches(stop=lambda: True)) == []
    assert list(UdpCollector(port=0).batches(duration_s=0.1)) == []


def test_what_goes_wrong_while_receiving_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: DatagramSocket) -> int:
        raise OSError("the network is gone")

    monkeypatch.setattr(DatagramSocket, "receive", fail)
    with pytest.raises(OSError, match="the network is gone"):
        list(UdpCollector(port=0).batches(duration_s=20.0))


def test_exporters_that_are_made_up_take_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "MOST_EXPORTERS", 2)
    collector = UdpCollector(port=0, settings=NetflowSettings(batch_wait_s=0.05))
    for last in range(1, 5):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind((f"127.0.0.{last}", 0))
            sender.sendto(LEARN, ("127.0.0.1", collector.port))
    list(collector.batches(most_datagrams=4, duration_s=20.0))
    exporters = {row["exporter"]: row["datagrams"] for row in collector.account.details["exporters"]}
    assert exporters == {"127.0.0.1": 1, "127.0.0.2": 1, "": 2}
    assert collector.account.notes["too-many-exporters"] == 2


@pytest.mark.parametrize("end", [{"stop": lambda: True}, {"duration_s": 0.0}])
def test_what_waits_in_the_socket_is_read_before_it_ends(end: dict[str, Any]) -> None:
    collector = UdpCollector(port=0)
    record = bytes([10, 0, 0, 1]) + bytes(44)
    send(collector.port, [v5_of(record, number) for number in range(600)])  # more than one call of the system takes
    rows = sum(batch.num_rows for batch in collector.batches(**end))
    assert collector.account.details["datagrams"] == 600
    assert collector.account.records == collector.account.records_in_flows == rows == 600
    assert collector.account.notes == {}


def test_a_count_ends_it_although_more_wait() -> None:
    collector = UdpCollector(port=0)
    send(collector.port, [bytes([255, number % 256]) for number in range(1100)])
    assert list(collector.batches(most_datagrams=1, stop=lambda: True)) == []
    assert collector.account.details["datagrams"] == 512  # as one call took them


def test_exporters_that_go_on_sending_do_not_keep_it() -> None:
    collector = UdpCollector(port=0)
    receive = collector._socket.receive

    def forever() -> int:
        send(collector.port, [b""] * 100)
        return receive()

    collector._socket.receive = forever  # type: ignore[method-assign]
    collector._socket.buffer_bytes = lambda: 1 << 20  # type: ignore[method-assign]
    assert list(collector.batches(stop=lambda: True)) == []
    assert 4000 <= collector.account.details["datagrams"] <= 4200


def test_a_port_in_use_is_an_error_with_a_hint() -> None:
    first = UdpCollector(port=0)
    try:
        with pytest.raises(InputError, match=r"cannot listen on 127\.0\.0\.1"):
            UdpCollector(port=first.port)
    finally:
        list(first.batches(stop=lambda: True))


@pytest.mark.parametrize("singly", [False, True])
def test_many_datagrams_are_received_with_their_senders(singly: bool) -> None:
    receiver = DatagramSocket("127.0.0.1", 0, 1 << 20)
    try:
        if singly:
            receiver._call = None
        send(receiver.port, [bytes([place]) * (place + 1) for place in range(5)])
        assert receiver.receive() == 5
        assert receiver.lengths[:5].tolist() == [1, 2, 3, 4, 5]
        assert receiver.slots[4, :5].tolist() == [4] * 5
        assert receiver.addresses(5)[:, 1].tolist() == [0x7F000001] * 5
        assert receiver.dropped() == 0
    finally:
        receiver.close()
