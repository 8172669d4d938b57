"""Two sets of flows, told apart or not."""

import numpy as np
import pyarrow as pa
import pytest

from flowlore.errors import QueryError, TaskError
from flowlore.flows.schema import flow_batch
from flowlore.flows.table import Flows
from flowlore.tasks import comparison
from flowlore.tasks.comparison import compare


def made(seed: int, *, flows: int = 400, clients: int = 8, scale: float = 1.0, labels: bool = False) -> Flows:
    """Flows of some clients whose bytes follow one distribution, times `scale`."""
    rng = np.random.default_rng(seed)
    start = np.sort(rng.integers(0, 600_000_000_000, flows)) + 1_700_000_000_000_000_000
    addresses = [bytes(10) + b"\xff\xff\x0a\x00" + bytes([seed % 250, one]) for one in range(clients)]
    known = {
        "start": pa.array(start, pa.timestamp("ns", "UTC")),
        "duration_ns": pa.array(rng.integers(1, 10**9, flows)),
        "src_ip": pa.array([addresses[one] for one in rng.integers(0, clients, flows)], pa.binary(16)),
        "packets_fwd": pa.array(rng.integers(1, 20, flows).astype(np.uint64)),
        "bytes_fwd": pa.array((scale * rng.lognormal(7, 1, flows)).astype(np.uint64)),
        "capture": pa.array(["one.pcap"] * flows),
    }
    if labels:
        known["label"] = pa.array(["web" if one % 4 else "mail" for one in range(flows)])
    return Flows.from_batches([flow_batch(known, flows)])


def test_flows_of_one_kind_cannot_be_told_apart() -> None:
    found = compare(made(1), made(2), rng=np.random.default_rng(0))
    assert abs(found.apart.auc - 0.5) < 0.08
    assert found.within_first is not None and abs(found.within_first.auc - 0.5) < 0.12
    assert all(one.distance < 0.15 for one in found.differences if one.name == "bytes_fwd")


def test_what_differs_is_found_and_leads() -> None:
    found = compare(made(1), made(2, scale=30.0), rng=np.random.default_rng(0))
    assert found.apart.auc > 0.9
    worst = {one.name for one in found.differences[:3]}
    assert "bytes_fwd" in worst
    [bytes_fwd] = [one for one in found.differences if one.name == "bytes_fwd"]
    assert bytes_fwd.first[50] * 15 < bytes_fwd.second[50]
    assert bytes_fwd.shift > 1
    assert found.families["sizes"].auc > 0.9 > 0.6 > found.families["times"].auc


def test_what_is_known_of_one_client_does_not_help_with_another() -> None:
    """Each client has a size of its own, which tells flows apart by heart; clients that are asked about have others."""
    sets = []
    for seed in (3, 4):
        flows = made(seed, clients=40, flows=1200).to_arrow()
        last = np.frombuffer(b"".join(flows.column("src_ip").to_pylist()), np.uint8).reshape(-1, 16)[:, 15]
        own = np.random.default_rng(seed).integers(500, 100_000, 40)[last]
        sets.append(Flows(flows.set_column(flows.schema.get_field_index("bytes_fwd"), "bytes_fwd", pa.array(own))))
    found = compare(*sets, rng=np.random.default_rng(0))
    assert abs(found.apart.auc - 0.5) < 0.2


def test_flows_beside_themselves_cannot_be_told_apart() -> None:
    found = compare(made(1), made(1), rng=np.random.default_rng(0))
    assert abs(found.apart.auc - 0.5) < 0.01


def test_what_is_known_of_a_host_in_one_set_does_not_mislead_in_the_other() -> None:
    """The same hosts, each with a size of its own, in two captures."""
    sets = []
    for name in ("spring.pcap", "autumn.pcap"):
        flows = made(3, clients=40, flows=1200).to_arrow()
        last = np.frombuffer(b"".join(flows.column("src_ip").to_pylist()), np.uint8).reshape(-1, 16)[:, 15]
        own = {"bytes_fwd": pa.array(np.random.default_rng(3).integers(500, 100_000, 40)[last])}
        own["capture"] = pa.array([name] * len(flows))
        for column, values in own.items():
            flows = flows.set_column(flows.schema.get_field_index(column), column, values)
        sets.append(Flows(flows))
    assert abs(compare(*sets, rng=np.random.default_rng(0)).apart.auc - 0.5) < 0.05


def test_one_host_in_several_captures_is_held_out_by_captures() -> None:
    sets = []
    for season, scale in (("spring", 1.0), ("autumn", 30.0)):
        flows = made(3, clients=1, scale=scale).to_arrow()
        names = pa.array([f"{season}-{row % 4}.pcap" for row in range(len(flows))])
        sets.append(Flows(flows.set_column(flows.schema.get_field_index("capture"), "capture", names)))
    assert compare(*sets, rng=np.random.default_rng(0)).apart.auc > 0.9


def test_the_pace_of_clients_is_that_of_all_their_flows(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = compare(made(1), made(2), rng=np.random.default_rng(0))
    monkeypatch.setattr(comparison, "MOST_FLOWS", 100)
    drawn = compare(made(1), made(2), rng=np.random.default_rng(0))
    medians = [
        one.first[50] for found in (whole, drawn) for one in found.differences if one.name == "client_flows_per_min"
    ]
    assert medians[1] >= medians[0] - 1 >= 3


def test_groups_of_both_sets_are_compared_by_themselves() -> None:
    found = compare(made(1, labels=True), made(2, labels=True), by="label", rng=np.random.default_rng(0))
    assert set(found.groups) == {"mail", "web"}
    assert found.as_json()["groups"]["web"]["first_flows"] == 300


def test_what_only_one_set_knows_is_named_and_not_compared() -> None:
    rest = made(2).to_arrow().drop_columns(["bytes_fwd"])
    found = compare(made(1), Flows(rest), rng=np.random.default_rng(0))
    assert "bytes_fwd" in found.only_first
    assert "bytes_fwd" not in {one.name for one in found.differences}


def test_the_same_seed_gives_the_same_answer() -> None:
    first, second = (compare(made(1), made(2), rng=np.random.default_rng(5)).as_json() for _ in range(2))
    assert first == second


def test_of_many_flows_some_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "MOST_FLOWS", 200)
    found = compare(made(1), made(2), rng=np.random.default_rng(0))
    assert (found.first_flows, found.apart.first_flows, found.apart.second_flows) == (400, 200, 200)


@pytest.mark.parametrize(
    ("first", "second", "by", "error", "words"),
    [
        (made(1, flows=10), made(2), "", TaskError, "first set has 10 flows"),
        (made(1), made(2, clients=1), "", TaskError, "single client"),
        (made(1), made(2), "lable", QueryError, "no column `lable`"),
        (made(1, labels=True), made(2), "label", TaskError, "second set has nothing in the column `label`"),
    ],
)
def test_what_cannot_be_compared_is_said(
    first: Flows, second: Flows, by: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        compare(first, second, by=by, rng=np.random.default_rng(0))
