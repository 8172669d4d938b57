"""Splits: whole groups on one side, time in order, twins out of training, and proofs that fail when they should."""

import numpy as np
import pyarrow as pa
import pytest

from flowlore.errors import LeakError, TaskError
from flowlore.flows.schema import flow_batch
from flowlore.tasks.splits import (
    Split,
    networks,
    novel,
    prove_disjoint,
    prove_no_twin,
    prove_order,
    split_at_random_which_leaks,
    split_by_capture,
    split_by_group,
    split_by_host,
    split_by_network,
    split_by_time,
    twin_keys,
    without_twins,
)

EMPTY = np.zeros(0, np.int64)


def a_split(train: list[int], test: list[int]) -> Split:
    return Split(by="capture", train=np.array(train), test=np.array(test), validation=EMPTY)


def test_time_puts_the_last_share_in_the_test() -> None:
    start = np.array([50, 10, 40, 20, 30], np.int64)
    split = split_by_time(start, test_share=0.4)
    assert split.train.tolist() == [1, 3, 4]
    assert split.test.tolist() == [0, 2]
    assert len(split.validation) == 0


def test_a_flow_over_the_boundary_is_left_out() -> None:
    start = np.arange(10, dtype=np.int64) * 10
    end = start + 5
    end[3] = 85  # still runs in the test
    split = split_by_time(start, end_ns=end, test_share=0.2, validation_share=0.2)
    assert 3 not in np.concatenate([split.train, split.validation, split.test])
    assert split.left_out == 1
    assert split.validation.tolist() == [6, 7]


def test_flows_of_one_instant_stay_together() -> None:
    split = split_by_time(np.array([1, 2, 2, 2, 2], np.int64), test_share=0.2)
    assert split.train.tolist() == [0]
    assert len(split.test) == 4


def test_flows_of_one_instant_only_cannot_be_split() -> None:
    with pytest.raises(TaskError, match="the train side of the split by time is empty"):
        split_by_time(np.full(5, 7, np.int64))


def test_captures_are_split_by_class_in_order_of_time() -> None:
    captures = np.repeat([f"{app}{number}" for app in "ab" for number in range(10)], 3)
    classes = np.repeat(["a", "b"], 30)
    start = np.tile(np.arange(30, dtype=np.int64), 2)
    split = split_by_capture(captures, start, classes=classes, test_share=0.2, validation_share=0.1)
    assert sorted(set(captures[split.test])) == ["a8", "a9", "b8", "b9"]
    assert sorted(set(captures[split.validation])) == ["a7", "b7"]
    assert len(split.train) + len(split.validation) + len(split.test) == 60


def test_a_class_of_one_capture_teaches() -> None:
    captures = np.array(["a1", "a2", "b1"])
    split = split_by_capture(captures, np.arange(3), classes=np.array(["a", "a", "b"]))
    assert split.train.tolist() == [0, 2]
    assert split.test.tolist() == [1]


def test_rows_of_no_known_group_are_on_no_side() -> None:
    groups = np.array(["x", None, "y", ""], dtype=object)
    split = split_by_group(groups, by="capture", start_ns=np.arange(4))
    assert (split.train.tolist(), split.test.tolist(), split.left_out) == ([0], [2], 2)


def test_one_group_cannot_be_split() -> None:
    with pytest.raises(TaskError, match="a split by capture needs two"):
        split_by_capture(np.array(["one", "one"]), np.arange(2))


@pytest.mark.parametrize("shares", [(0.0, 0.0), (1.0, 0.0), (0.5, 0.5), (0.5, -0.1)])
def test_impossible_shares(shares: tuple[float, float]) -> None:
    with pytest.raises(TaskError, match="leave no training"):
        split_by_time(np.arange(9), test_share=shares[0], validation_share=shares[1])


def test_groups_need_one_order() -> None:
    with pytest.raises(TypeError):
        split_by_group(np.array(["a", "b"]), by="capture")


@pytest.mark.parametrize("seed", range(5))
def test_hosts_and_networks_stay_whole(seed: int) -> None:
    rng = np.random.default_rng(seed)
    addresses = np.array(
        [bytes(10) + b"\xff\xff" + bytes([10, 0, int(net), int(host)]) for net, host in rng.integers(0, 9, (200, 2))],
        dtype=object,
    )
    by_host = split_by_host(addresses, rng=rng)
    assert not set(addresses[by_host.train]) & set(addresses[by_host.test])
    by_network = split_by_network(addresses, rng=rng, validation_share=0.1)
    nets = networks(addresses)
    assert not set(nets[by_network.train]) & set(nets[by_network.test])
    assert len(by_network.validation)


def test_networks_of_both_families() -> None:
    v6 = bytes.fromhex("20010db8000100020003000400050006")
    v4 = bytes(10) + b"\xff\xff" + bytes([192, 0, 2, 7])
    assert networks(np.array([v6, v4.hex(), None], dtype=object)).tolist() == [v6[:6].hex(), v4[:15].hex(), None]


def test_the_random_split_is_one_and_says_so() -> None:
    split = split_at_random_which_leaks(100, rng=np.random.default_rng(1), test_share=0.2, validation_share=0.1)
    assert sorted(np.concatenate([split.train, split.validation, split.test])) == list(range(100))
    assert "leaks" in split.as_json()["by"]


def test_the_proof_of_groups_names_the_group() -> None:
    with pytest.raises(LeakError, match="capture `b` stands on the training side and on the test side"):
        prove_disjoint(np.array(["a", "b", "b"]), a_split([0, 1], [2]), what="capture")
    prove_disjoint(np.array(["a", "a", "b"]), a_split([0, 1], [2]), what="capture")


def test_the_proof_of_time_names_the_times() -> None:
    with pytest.raises(LeakError, match=r"1970-01-01T00:00:00\.000000009"):
        prove_order(np.array([9], np.int64), np.array([9], np.int64))
    prove_order(np.array([8], np.int64), np.array([9], np.int64))


def flows_of(sizes: list[list[int] | None], packets: list[int]) -> pa.RecordBatch:
    return flow_batch(
        {
            "packet_bytes": [None if row is None else [abs(one) for one in row] for row in sizes],
            "packet_direction": [None if row is None else [1 if one > 0 else -1 for one in row] for row in sizes],
            "packets_fwd": packets,
        },
        len(sizes),
    )


def test_twins_are_told_by_their_first_signed_sizes() -> None:
    sizes = [[60, -60, 52], [60, -60, 52], [60, 60, 52], None, None, [60, -60, 52, 9]]
    keys = twin_keys(flows_of(sizes, [3, 9, 3, 7, 7, 4]), packets=3)
    assert keys[0] == keys[1] == keys[5]
    assert keys[2] != keys[0]
    assert keys[3] == keys[4]  # without a series the counters tell
    assert keys[3] not in (keys[0], keys[2])


def test_a_flow_of_which_nothing_is_known_is_no_twin() -> None:
    assert twin_keys(flow_batch({"start": [1, 2]}, 2)).tolist() == [-1, -1]


def test_twins_leave_training_only() -> None:
    keys = np.array([1, 2, 3, -1, 1, -1], np.int64)
    split = a_split([0, 1, 2, 3], [4, 5])
    assert novel(split, keys).tolist() == [False, True]
    with pytest.raises(LeakError, match="test flow 4 has a twin in training: flow 0"):
        prove_no_twin(split, keys)
    cleaned = without_twins(split, keys)
    assert cleaned.train.tolist() == [1, 2, 3]
    assert cleaned.test.tolist() == [4, 5]
    assert cleaned.twins_removed == 1
    assert novel(cleaned, keys).all()
