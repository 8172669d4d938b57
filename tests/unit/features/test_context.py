"""Which flows count as related: one client, one capture, one slice of time."""

import numpy as np
import pyarrow as pa

from flowlore.features.context import context_keys
from flowlore.features.extract import extract
from flowlore.features.settings import FeatureSettings
from flowlore.flows.schema import flow_batch


def keys(within_s: float = 60.0, **columns: object) -> list[int]:
    rows = len(next(iter(columns.values())))  # type: ignore[arg-type]
    return context_keys(flow_batch(columns, rows), within_s).tolist()


def at(*seconds: float) -> pa.Array:
    return pa.array([int(one * 1e9) for one in seconds], pa.timestamp("ns", "UTC"))


def test_a_client_a_minute() -> None:
    ends = [bytes(15) + bytes([number]) for number in (1, 1, 1, 2)]
    same, again, later, other = keys(src_ip=ends, start=at(1, 59, 61, 1))
    assert same == again != later
    assert other not in (same, later)
    assert keys(600.0, src_ip=ends[:3], start=at(1, 59, 61)) == 3 * keys(600.0, src_ip=ends[:1], start=at(1))


def test_a_service_whoever_asks_and_whenever() -> None:
    servers = [bytes(15) + bytes([number]) for number in (9, 9, 9, 8)]
    clients = [bytes(15) + bytes([number]) for number in (1, 2, 1, 1)]
    columns = {"dst_ip": servers, "src_ip": clients, "protocol": np.array([6, 6, 6, 6], np.uint8)}
    rows = flow_batch({**columns, "dst_port": np.array([443, 443, 80, 443], np.uint16), "start": at(1, 9999, 1, 1)}, 4)
    first, again, port, server = context_keys(rows, 60.0, "service").tolist()
    assert first == again and len({first, port, server}) == 3 and 0 not in (first, port, server)
    by_client = context_keys(rows, 60.0, "client").tolist()
    assert by_client[0] == by_client[2] == by_client[3] != by_client[1]


def test_a_flow_without_a_server_goes_by_its_client() -> None:
    ends = [bytes(15) + bytes([1])] * 2
    rows = flow_batch({"src_ip": ends, "dst_ip": [bytes(16), None], "start": at(1, 2)}, 2)
    assert context_keys(rows, 60.0, "service").tolist() == context_keys(rows, 60.0, "client").tolist()


def test_one_client_in_two_captures_is_two() -> None:
    first, second = keys(src_ip=[bytes(16)] * 2, capture=["a", "b"], start=at(1, 1))
    assert first != second


def test_the_capture_stands_for_a_client_that_is_not_known() -> None:
    first, again, other = keys(capture=["a", "a", "b"], start=at(1, 2, 1))
    assert first == again != other


def test_a_flow_of_nobody_is_unknown() -> None:
    assert keys(capture=["a", None], start=at(1, 1))[1] == 0
    assert keys(packets_fwd=[1, 2]) == [0, 0]


def test_it_is_a_channel_that_no_modality_holds() -> None:
    rows = flow_batch({"capture": ["a", "a"], "packets_fwd": np.array([1, 2], np.uint64)}, 2)
    batch = extract(rows)
    assert batch.channels["context"][0] == batch.channels["context"][1] != 0
    assert "context" not in batch.present
    assert "context" not in extract(rows, FeatureSettings(context_s=0)).channels


def test_what_does_not_train_is_not_told_which_flows_belong_together() -> None:
    rows = flow_batch({"capture": ["a", "a"], "packets_fwd": np.array([1, 2], np.uint64)}, 2)
    settings = FeatureSettings(context_by="client")
    assert "context" in extract(rows, settings).channels
    assert "context" not in extract(rows, settings.without_context()).channels
