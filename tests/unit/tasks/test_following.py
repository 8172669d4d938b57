"""Made-up flows that follow rates: how near their own rates come, and what cannot be followed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import flowlore
from flowlore.errors import InputError, TaskError
from flowlore.features.augment.packets import PacketSeries
from flowlore.features.rates.rates import Rates
from flowlore.flows.table import Flows
from flowlore.tasks.following.asked import MADE_METADATA, asked_by, made_metadata
from flowlore.tasks.following.ends import NOBODY, Rows, rows_for
from flowlore.tasks.following.follow import closeness, follow
from flowlore.tasks.following.lengthening import TCP_HEADER, Beyond, gone_on
from flowlore.tasks.following.placing import sides
from flowlore.tasks.generation import Imitator, Kind
from ratesmade import DAWN, Flow, S, batch_of

STEP = 10 * S
MADE = made_metadata("host", STEP)


class Urn:
    """A generator that knows a few flows: questions and answers, downloads, and probes that nobody answers."""

    settings = None

    def sample(self, codes: np.ndarray, rng: np.random.Generator) -> PacketSeries:
        rows, width = len(codes), 12
        lengths = np.where(codes == 2, 1, rng.integers(2, width + 1, rows))
        is_packet = np.arange(width) < lengths[:, None]
        turns = np.where(np.arange(width) % 2 == 0, 1, -1)
        large = np.where(codes == 1, 1400, 120)[:, None]
        size = np.where(turns < 0, large, 60) + rng.integers(0, 20, (rows, width))
        ends = np.where(np.arange(width) == lengths[:, None] - 1, 0x11, 0x10) * (codes != 0)[:, None]
        flags = np.where(np.arange(width) == 0, np.where(codes != 0, 2, 0)[:, None], ends)
        gaps = np.where(np.arange(width) > 0, rng.integers(1, 2 * S, (rows, width)), 0)
        numbers = {"direction": turns, "size": size, "header": 40, "flags": flags, "window": 0}
        return PacketSeries(
            gap_ns=np.where(is_packet, gaps, 0),
            hidden=np.zeros((rows, width), np.bool_),
            **{name: np.where(is_packet, values, 0).astype(np.int32) for name, values in numbers.items()},
        )


@pytest.fixture(scope="module")
def urn() -> Imitator:
    kinds = (
        Kind(label="names", protocol=17, flows=3, ports=((53, 1),)),
        Kind(label="web", protocol=6, flows=3, ports=((443, 1),)),
        Kind(label="probes", protocol=6, flows=1, ports=((22, 1),)),
    )
    knows = ("packet_direction", "packet_bytes", "packet_payload_bytes", "packet_gap_ns", "packet_tcp_flags")
    return Imitator(model="urn", generator=Urn(), kinds=kinds, knows=knows)  # type: ignore[arg-type]  # four words of it


@pytest.fixture(scope="module")
def town() -> Rates:
    """Six hosts and two servers, small and large flows, some over several steps, for six steps."""
    rng = np.random.default_rng(0)
    flows = []
    for _ in range(150):
        large = rng.random() < 0.2
        packets = (int(rng.integers(2, 30)), int(rng.integers(2, 200 if large else 30)))
        flows.append(
            Flow(
                start=int(rng.integers(0, 50 * S)), duration=int(rng.integers(0, 25 * S if large else S)),
                src=f"10.0.0.{rng.integers(1, 7)}", dst=f"10.0.1.{rng.integers(1, 3)}", packets=packets,
                bytes=(packets[0] * 70, packets[1] * (1200 if large else 100)),
            )
        )  # fmt: skip
    return flowlore.rates([batch_of(sorted(flows, key=lambda one: one.start))], step="10s")


def wape(made: Rates, asked: Rates, feature: str) -> float:
    names = asked.largest(feature)
    first, wanted = asked.matrices([feature], names)
    begin, had = made.matrices([feature], names)
    assert begin == first and had[feature].shape == wanted[feature].shape
    return float(np.abs(np.nan_to_num(had[feature]) - wanted[feature]).sum() / wanted[feature].sum())


def test_rates_of_the_made_table_are_those_that_were_asked(urn: Imitator, town: Rates) -> None:
    made = urn.follow(town, np.random.default_rng(0))
    again = flowlore.rates(Flows(made.table), step="10s")
    limits = {"flows": 0.0, "active_flows": 0.1, "packets": 0.1, "bytes": 0.1, "peers": 0.3}
    for name, limit in limits.items():
        for side in ("in", "out"):
            found = wape(again, town, f"{side}_{name}")
            assert found <= limit, (side, name)
            assert made.report["closeness"][f"{side}_{name}"]["wape"] == pytest.approx(found, abs=1e-6)
    assert made.report["flows"] == len(set(made.table["flow_id"].to_pylist()))
    asked = asked_by(town)
    nothing = closeness(replace(asked, exact={"bytes": np.zeros((len(asked), 2))}), made.table)
    assert nothing["in_bytes"]["asked"] == 0 and nothing["in_bytes"]["wape"] is None
    assert set(made.table["label"].to_pylist()) <= {"names", "web", "probes"}
    assert (np.diff(made.table["start"].cast(pa.int64()).to_numpy()) >= 0).all()


def test_a_capture_has_the_same_hosts_and_sizes(urn: Imitator, town: Rates, tmp_path: Path) -> None:
    made = follow(urn, town, np.random.default_rng(0), label="web", capture=True)
    assert made.capture is not None and all(
        made.report["closeness"][f"{side}_bytes"]["wape"] < 0.1 for side in ("in", "out")
    )
    path = tmp_path / "made.pcap"
    path.write_bytes(made.capture)
    again = flowlore.rates(flowlore.read(path), step="10s")
    assert set(again.largest()) >= set(town.largest())
    assert wape(again, town, "in_bytes") < 0.25 and wape(again, town, "out_flows") < 0.25


def test_without_longer_flows_only_what_was_drawn_is_there(urn: Imitator, town: Rates) -> None:
    made = follow(urn, town, np.random.default_rng(0), longer=False)
    lengths = pa.compute.list_value_length(made.table["packet_direction"]).to_numpy()
    packets = np.add(*(np.nan_to_num(made.table[f"packets_{side}"].to_numpy()) for side in ("fwd", "rev")))
    assert (lengths == packets).all() and made.report["packets_beyond"] == 0
    assert made.report["closeness"]["out_flows"]["wape"] == 0.0


def test_made_up_rates_have_only_made_up_peers_and_one_path(urn: Imitator) -> None:
    begins = np.repeat(np.arange(3), 4) * STEP + DAWN
    table = pa.table(
        {
            "step": pa.array(begins).cast(pa.timestamp("ns", tz="UTC")),
            "entity": ["10.0.0.1", "10.0.0.1", "fe80::1", "printer"] * 3,
            "path": [0, 1, 0, 0] * 3,
            "in_active_flows": [4.2, 9.0, 2.0, 0.3] * 3,
            "in_packets": [40.0, 90.0, 30.0, 2.0] * 3,
            "in_peers": [2.0, 9.0, 1.0, 1.0] * 3,
        }
    )
    with pytest.raises(TaskError, match="have 2 paths, 0 to 1, and flows follow one"):
        urn.follow(table, np.random.default_rng(0))
    made = urn.follow(table, np.random.default_rng(0), path=0)
    assert made.report["flows"] == 3 * (4 + 2 + 1)
    again = flowlore.rates(Flows(made.table), step="10s").to_polars()
    mine = again.filter(again["entity"] == "10.0.0.1")
    assert mine["in_active_flows"].to_list() == [4, 4, 4] and mine["in_peers"].to_list() == [2, 2, 2]
    others = set(again["entity"]) - {"10.0.0.1", "fe80::1", "printer"}
    assert all(one.startswith(("198.18.", "2001:2:", "made-up-")) for one in others) and len(others) == 4


def test_flows_over_several_steps_keep_their_ends() -> None:
    long = [Flow(start=5 * S, duration=20 * S, packets=(30, 30)), Flow(start=6 * S, src="10.0.0.3", packets=(1, 1))]
    asked = asked_by(flowlore.rates([batch_of(long)], step="10s"))
    rows = rows_for(asked, np.random.default_rng(0))
    assert sorted(rows.part.tolist()) == [0, 0, 1, 2] and len(set(rows.flow.tolist())) == 2
    assert NOBODY not in rows.src and NOBODY not in rows.dst
    ends = {frozenset(asked.hosts[asked.host[end]] for end in pair) for pair in zip(rows.src, rows.dst, strict=True)}
    assert ends == {frozenset(("10.0.0.1", "10.0.0.2")), frozenset(("10.0.0.2", "10.0.0.3"))}


@pytest.mark.parametrize("name", ["198.18.0.1", "100.64.0.1", "2001:2::1", "made-up-0"])
def test_no_host_and_no_other_peer_has_the_name_of_a_peer(name: str) -> None:
    step = pa.array([DAWN, DAWN]).cast(pa.timestamp("ns", tz="UTC"))
    table = pa.table({"step": step, "entity": ["10.0.0.1", name], "in_flows": [1, 1]})
    asked = asked_by(table.append_column("path", [[0, 0]]).replace_schema_metadata({MADE_METADATA: MADE}))
    peers = 1 << 17  # more than the range for benchmarks has
    host = np.repeat([0, 1], peers // 2 + 2)
    count = len(host)
    rows = Rows(
        src=np.full(count, NOBODY), dst=host, peer=np.tile(np.arange(peers // 2 + 2), 2), flow=np.arange(count),
        part=np.zeros(count, np.int64), is_free=np.zeros(count, np.bool_),
    )  # fmt: skip
    src, dst = sides(asked, rows)
    made = {(one.tobytes(), word) for one, word in zip(src.address, src.name, strict=True)}
    assert len(made) == count and not made & {(dst.address[at].tobytes(), dst.name[at]) for at in (0, -1)}


def test_a_flow_goes_on_before_it_ends() -> None:
    series = replace(
        Urn().sample(np.array([1]), np.random.default_rng(0)).cut(3),
        flags=np.array([[2, 16, 17]], np.int32),
        direction=np.array([[1, -1, 1]], np.int32),
    )
    more = Beyond(packets=np.array([[2, 4]]), bytes=np.array([[201, 4000]]))
    longer = gone_on(series, more, np.array([7]), np.array([TCP_HEADER]), 100)
    assert longer.lengths.tolist() == [9] and longer.flags[0, -1] == 17 and longer.flags[0, 2:8].tolist() == [16] * 6
    inner = longer.size[0, 2:8], longer.direction[0, 2:8]
    assert inner[0][inner[1] > 0].tolist() == [101, 100] and inner[0][inner[1] < 0].tolist() == [1000] * 4
    assert gone_on(series, more, np.array([7]), np.array([TCP_HEADER]), 4).lengths.tolist() == [4]


def test_rates_that_cannot_be_followed(urn: Imitator, town: Rates) -> None:
    def changed(**columns: object) -> pa.Table:
        table = town.table.replace_schema_metadata(None)
        for name, values in columns.items():
            table = table.set_column(table.column_names.index(name), name, values)
        return table

    silent = town.table.select(["step", "entity", "in_bytes"]).replace_schema_metadata(None)
    nothing = town.table.slice(0, 0)
    zeros = {name: pa.array(np.zeros(len(town))) for name in town.table.column_names[2:]}
    endless = np.where(np.arange(len(town)) == 3, np.inf, 5.0)
    cases = [
        (silent, "do not say how many flows there are"),
        (replace(town, table=nothing), "have no row"),
        (changed(**zeros), "have no flow in any step"),
        (replace(town, by="prefix"), "are rates by prefix, and flows are between hosts"),
        (changed(entity=pa.array(["10.0.0.0/24"] * len(town))), "`10.0.0.0/24` is no host"),
        (changed(entity=pa.array(["a"] * len(town))), "two rows of `a`"),
        (changed(in_bytes=pa.array(np.full(len(town), -1.0))), "`in_bytes` of .* is negative"),
        (changed(in_bytes=pa.array(endless)), f"`in_bytes` of `{town.table['entity'][3]}` is negative or without end"),
        (changed(in_bytes=pa.array(["many"] * len(town))), "`in_bytes` has string where numbers are needed"),
        (pa.table({"time": [1], "value": [2]}), "no column `step`"),
        (town.table.slice(0, 1).replace_schema_metadata(None), "have one step and do not say how long"),
    ]
    for rates, said in cases:
        with pytest.raises(InputError, match=said):
            urn.follow(rates, np.random.default_rng(0))
    with pytest.raises(TaskError, match="have no paths"):
        urn.follow(town, np.random.default_rng(0), path=1)
    with pytest.raises(TaskError, match="knows no class `web2`"):
        urn.follow(town, np.random.default_rng(0), label="web2")
    ipv6 = pa.compute.replace_substring(town.table["entity"], "10.0.", "fe80::")
    with pytest.raises(TaskError, match="has no IPv4 address"):
        follow(urn, changed(entity=ipv6.combine_chunks()), np.random.default_rng(0), capture=True)
