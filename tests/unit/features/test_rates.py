"""Flows → rates: what a step gets of a flow, whom it is counted for, and what is late, ahead, rare or silent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import flowlore
from flowlore.errors import InputError, QueryError, SettingError, UnknownName
from flowlore.features.rates.builder import RateBuilder
from flowlore.features.rates.columns import rates_columns
from flowlore.features.rates.layout import NOTES
from flowlore.features.rates.notes import NOTE_MEANINGS
from flowlore.features.rates.rates import Rates, rates
from flowlore.features.rates.settings import RateSettings, step_ns
from ratesmade import DAWN, MINUTE, Flow, S, batch_of, counted_slowly, host


def rows_of(table: pa.Table) -> dict[tuple[int, str], dict[str, object]]:
    steps = table["step"].cast(pa.int64()).to_pylist()
    return {(step, row["entity"]): row for step, row in zip(steps, table.to_pylist(), strict=True)}


def only(made: Rates, entity: str) -> list[dict[str, object]]:
    return [row for row in made.table.to_pylist() if row["entity"] == entity]


def test_a_flow_is_spread_over_the_steps_that_it_lasts() -> None:
    made = rates(batch_of([Flow(start=30 * S, duration=120 * S, packets=(8, 4), bytes=(1000, 400))]), "host")
    mine = only(made, "10.0.0.1")
    assert [row["out_bytes"] for row in mine] == [250, 500, 250]
    assert [row["out_packets"] for row in mine] == [2, 4, 2]
    assert [row["in_bytes"] for row in mine] == [100, 200, 100]
    assert [row["out_flows"] for row in mine] == [1, 0, 0]
    assert [row["out_active_flows"] for row in mine] == [1, 1, 1]
    assert [row["in_flows"] for row in only(made, "10.0.0.2")] == [1, 0, 0]


def test_a_flow_that_ends_as_a_step_begins_is_not_in_it() -> None:
    made = rates([batch_of([Flow(start=0, duration=MINUTE, packets=(3, 0), bytes=(7, 0))])])
    assert [row["out_packets"] for row in only(made, "10.0.0.1")] == [3]


def test_whole_numbers_add_up_however_long_a_flow_is() -> None:
    made = rates([batch_of([Flow(start=7, duration=3_333 * S + 1, packets=(7, 0), bytes=(10_007, 0))])], step="10s")
    mine = only(made, "10.0.0.1")
    assert len(mine) == 334
    assert (sum(row["out_packets"] for row in mine), sum(row["out_bytes"] for row in mine)) == (7, 10_007)
    assert min(row["out_bytes"] for row in mine) >= 0


def test_the_fast_way_counts_as_the_slow_way() -> None:
    rng = np.random.default_rng(5)
    flows = [
        Flow(
            start=int(rng.integers(-10 * MINUTE, 10 * MINUTE)),
            duration=int(rng.choice([0, 1, 5 * S, MINUTE, 11 * MINUTE])),
            src=None if rng.random() < 0.05 else host(int(rng.integers(4))),
            dst=host(4 + int(rng.integers(6))),
            protocol=int(rng.choice([6, 17, 1])),
            dst_port=int(rng.choice([0, 53, 80, 443])),
            packets=(int(rng.integers(0, 9)), int(rng.integers(0, 9))),
            bytes=(int(rng.integers(0, 9_000)), int(rng.integers(0, 9_000))),
            flags=(int(rng.integers(0, 64)), int(rng.integers(0, 64))),
            part=int(rng.integers(0, 2)),
        )
        for _ in range(400)
    ]
    found = rows_of(rates([batch_of(flows)], step="1m").table)
    slow = counted_slowly(flows, MINUTE)
    assert {key for key, row in found.items() if row["in_active_flows"] or row["out_active_flows"]} == set(slow)
    for key, wanted in slow.items():
        for name, count in wanted.items():
            assert found[key][name] == count, (key, name)


def test_shares_and_means_are_of_what_was_seen() -> None:
    flows = [
        Flow(protocol=17, dst_port=53, packets=(1, 0), bytes=(60, 0), flags=(0, 0)),
        Flow(protocol=6, dst_port=443, packets=(3, 0), bytes=(180, 0), flags=(2, 0)),
    ]
    (mine,) = only(rates([batch_of(flows)]), "10.0.0.1")
    assert (mine["out_udp_share"], mine["out_tcp_share"], mine["out_dns_share"], mine["out_web_share"]) == (
        *(0.25, 0.75),
        *(0.25, 0.75),
    )
    assert mine["out_mean_packet_bytes"] == 60.0
    assert (mine["out_syn_packets"], mine["out_half_open_flows"]) == (1, 1)
    assert mine["in_mean_packet_bytes"] is None and mine["in_udp_share"] is None


def test_answers_that_come_unasked_are_of_the_port_that_they_come_from() -> None:
    flood = [
        Flow(src=host(9 + one), src_port=123, dst_port=5_000 + one, protocol=17, packets=(9, 0), bytes=(4_000, 0))
        for one in range(5)
    ]
    (victim,) = only(rates([batch_of(flood)]), "10.0.0.2")
    assert (victim["in_reflected_share"], victim["in_peers"], victim["in_ports"]) == (1.0, 5, 5)


@pytest.mark.parametrize("count", [256, 257, 3_000])
def test_many_peers_are_exact_up_to_the_bound_and_close_beyond_it(count: int) -> None:
    flows = [Flow(src=host(1000 + one), packets=(1, 0), bytes=(60, 0)) for one in range(count)]
    (mine,) = only(rates([batch_of(flows)]), "10.0.0.2")
    assert abs(mine["in_peers"] - count) <= (0 if count <= 256 else 0.08 * count)
    turned = rates([batch_of(flows[::-1][count // 2 :]), batch_of(flows[::-1][: count // 2])])
    assert only(turned, "10.0.0.2") == [mine]
    assert abs(mine["in_new_peers"] - count) <= (0 if count <= 256 else 0.08 * count)


def test_new_peers_are_those_not_met_in_an_earlier_step() -> None:
    flows = [
        Flow(start=0, dst=host(50)),
        Flow(start=MINUTE, dst=host(50)),
        Flow(start=MINUTE, dst=host(51)),
        Flow(start=2 * MINUTE, dst=host(52)),
        Flow(start=2 * MINUTE, dst=host(51)),
    ]
    assert [row["out_new_peers"] for row in only(rates([batch_of(flows)]), "10.0.0.1")] == [1, 1, 1]
    assert [row["out_peers"] for row in only(rates([batch_of(flows)]), "10.0.0.1")] == [1, 2, 2]


def test_new_peers_are_forgotten_in_bounded_memory() -> None:
    settings = RateSettings(remembered_pairs=1024)
    flows = [
        Flow(start=step * MINUTE, dst=host(5_000 * (step % 8) + peer)) for step in range(16) for peer in range(200)
    ]
    made = rates([batch_of(flows)], settings=settings)
    assert [row["out_new_peers"] for row in only(made, "10.0.0.1")] == [200] * 16
    assert sum(row["out_new_peers"] for row in only(rates([batch_of(flows)]), "10.0.0.1")) == 1600


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("prefix", {"10.0.0.0/24", "10.1.2.0/24"}),
        ("link", {"10.0.0.1 > 10.1.2.3"}),
        ("as", {"AS64500", "AS64501"}),
        ("exporter", {"192.0.2.1/0"}),
        ("interface", {"192.0.2.1/0#3", "192.0.2.1/0#4"}),
        ("application", {"tls"}),
    ],
)
def test_every_kind_of_entity(by: str, names: set[str]) -> None:
    batch = batch_of(
        [Flow(src="10.1.2.3", dst="10.0.0.1", packets=(2, 5), bytes=(200, 5000))],
        src_as=[64500],
        dst_as=[64501],
        exporter=["192.0.2.1/0"],
        input_interface=[3],
        output_interface=[4],
        app_protocol=["tls"],
    )
    made = rates([batch], by)
    rows = {row["entity"]: row for row in made.table.to_pylist()}
    assert set(rows) == names
    wanted = {
        "prefix": ("10.1.2.0/24", 200, 5000),
        "link": ("10.0.0.1 > 10.1.2.3", 5000, 200),
        "as": ("AS64500", 200, 5000),
        "exporter": ("192.0.2.1/0", 200, 5000),
        "interface": ("192.0.2.1/0#4", 200, 5000),
        "application": ("tls", 200, 5000),
    }[by]
    assert (wanted[0], rows[wanted[0]]["out_bytes"], rows[wanted[0]]["in_bytes"]) == wanted


def test_ipv6_prefixes_and_ports_without_a_name() -> None:
    batch = batch_of([Flow(src="2001:db8:1:2::5", dst="2001:db8:9::1", protocol=17, dst_port=9999)])
    assert set(rates([batch], "prefix").table["entity"].to_pylist()) == {"2001:db8:1::/48", "2001:db8:9::/48"}
    assert rates([batch], "application").table["entity"].to_pylist() == ["udp/9999"]


def test_names_stand_for_addresses_that_are_not_given() -> None:
    batch = batch_of([Flow(src=None, dst=None)], src_name=["AS786"], dst_name=["AS15169"])
    rows = {row["entity"]: row for row in rates([batch]).table.to_pylist()}
    assert set(rows) == {"AS786", "AS15169"}
    assert rows["AS786"]["out_peers"] == 1


def test_flows_without_time_or_entity_are_counted() -> None:
    batch = batch_of([Flow(), Flow(src=None, dst=None), Flow(duration=-5)])
    nothing = batch.set_column(
        0, batch.schema.field(0), pa.array([None, *batch["start"].to_pylist()[1:]], batch.schema.field(0).type)
    )
    made = rates([nothing])
    assert made.notes == {"flows-without-entity": 1, "flows-without-time": 1, "negative-durations": 1}


def test_late_flows_are_counted_and_the_rest_is_as_in_one_go() -> None:
    settings = RateSettings(lateness_s=60.0)
    builder = RateBuilder("host", "1m", settings)
    closed = builder.add(batch_of([Flow(start=0), Flow(start=2 * MINUTE), Flow(start=4 * MINUTE)]))
    assert [row["step"].minute for part in closed for row in part.to_pylist()] == [0, 0, 2, 2]
    closed += builder.add(batch_of([Flow(start=MINUTE), Flow(start=2 * MINUTE, duration=2 * MINUTE + S)]))
    assert builder.notes == {"flows-late": 1, "flows-partly-late": 1}
    closed += builder.finish()
    table = pa.Table.from_batches(closed)
    mine = [row for row in table.to_pylist() if row["entity"] == "10.0.0.1"]
    assert [row["step"].minute for row in mine] == [0, 2, 3, 4]
    assert mine[2]["out_active_flows"] == 1 and mine[3]["out_active_flows"] == 2


def test_a_clock_that_jumps_is_believed_when_it_stays() -> None:
    settings = RateSettings(lateness_s=60.0, furthest_ahead_s=600.0)
    once = RateBuilder("host", "1m", settings)
    once.add(batch_of([Flow(start=0), Flow(start=9 * 3600 * S), Flow(start=S)]))
    assert once.notes == {"flows-ahead": 1}
    stays = RateBuilder("host", "1m", settings)
    stays.add(batch_of([Flow(start=0)] + [Flow(start=9 * 3600 * S)] * 120))
    assert stays.notes == {"clock-steps": 1, "flows-ahead": 99}


def test_what_a_live_builder_holds_does_not_grow_with_time() -> None:
    builder = RateBuilder("host", "1m", RateSettings(lateness_s=0.0))
    held = []
    for first in (0, 200):
        for minute in range(first, first + 200):
            builder.add(batch_of([Flow(start=minute * MINUTE)]))
        held.append({name: len(one) for name, one in vars(builder).items() if isinstance(one, list | dict)})
    assert held[0] == held[1] and builder.gaps() == []
    builder.add(batch_of([Flow(start=410 * MINUTE), Flow(start=413 * MINUTE)]))
    builder.finish()
    assert builder.steps == 402
    assert builder.gaps() == [(DAWN + 400 * MINUTE, DAWN + 410 * MINUTE)]


def test_a_gap_is_told_from_zeros() -> None:
    flows = [Flow(start=0), Flow(start=2 * MINUTE), Flow(start=20 * MINUTE), Flow(start=20 * MINUTE, src=host(77))]
    made = rates([batch_of(flows)])
    assert made.gaps == ((DAWN + 3 * MINUTE, DAWN + 20 * MINUTE),)
    series = made.series("out_bytes").of(["10.0.0.1"])
    assert series.values[0, :3].tolist() == [100, 0, 100]
    assert np.isnan(series.values[0, 3:20]).all() and series.values[0, 20] == 100
    assert series.flags["10.0.0.1"] == ("gap-of-17m",)


def test_of_a_single_step_the_rarest_entities_are_put_together() -> None:
    settings = RateSettings(most_cells=1 << 16)
    count = 70_000
    flows = [Flow(src=host(100 + one), dst="192.0.2.1", packets=(1, 0), bytes=(60, 0)) for one in range(count)]
    busy = [Flow(src=host(3), dst="192.0.2.1", packets=(900, 0), bytes=(90_000, 0))]
    builder = RateBuilder("host", "1h", settings)
    builder.add(batch_of(flows[: count // 2]))
    builder.add(batch_of(busy + flows[count // 2 :]))
    table = pa.Table.from_batches(builder.finish())
    assert builder.notes["entities-put-together"] > 0
    assert len(table) <= 1 << 16
    rows = {row["entity"]: row for row in table.select(["entity", "out_bytes", "in_bytes", "in_peers"]).to_pylist()}
    assert sum(row["out_bytes"] for row in rows.values()) == 60 * count + 90_000
    assert rows[host(3)]["out_bytes"] == 90_000 and rows["(others)"]["out_bytes"] > 0
    assert rows["192.0.2.1"]["in_bytes"] == 60 * count + 90_000
    assert abs(rows["192.0.2.1"]["in_peers"] - count) < 0.08 * count


def test_when_memory_is_full_the_oldest_steps_are_closed() -> None:
    builder = RateBuilder("host", "1m", RateSettings(most_cells=1 << 16))
    closed = []
    for minute in range(8):
        flows = [Flow(start=minute * MINUTE, src=host(100 + one), dst="192.0.2.1") for one in range(20_000)]
        closed += builder.add(batch_of(flows))
    assert builder.notes["steps-closed-early"] >= 4
    assert builder.memory_bytes < 200_000_000
    table = pa.Table.from_batches(closed + builder.finish())
    assert len(table) == 8 * 20_001


def test_builders_merge_to_what_one_would_have_counted() -> None:
    flows = [
        Flow(start=int(minute) * MINUTE, duration=90 * S, src=host(minute % 3), dst=host(100 + peer), dst_port=peer)
        for minute in range(5)
        for peer in range(400)
    ]
    one, other = RateBuilder(), RateBuilder()
    one.add(batch_of(flows[::2]))
    other.add(batch_of(flows[1::2]))
    one.merge(other)
    whole = rates([batch_of(flows)])
    assert pa.Table.from_batches(one.finish()).equals(whole.table)
    with pytest.raises(ValueError, match="closed"):
        one.merge(other)
    with pytest.raises(ValueError, match="kind"):
        RateBuilder("as").merge(other)


def test_rates_are_written_and_come_back(tmp_path: Path) -> None:
    from flowlore.sources.plainseries import read_plain_table

    made = rates([batch_of([Flow(), Flow(start=20 * MINUTE)])], "prefix", "10s")
    path = tmp_path / "rates.parquet"
    made.write(path)
    again = Rates.from_table(read_plain_table(path))
    assert again.table.equals(made.table) and (again.by, again.step_ns, again.gaps) == ("prefix", 10 * S, made.gaps)
    made.write(tmp_path / "rates.csv")
    assert len((tmp_path / "rates.csv").read_text().splitlines()) == 1 + len(made)


def test_the_front_door_takes_flows() -> None:
    made = flowlore.rates(flowlore.Flows(batch_of([Flow()])), by="host", step="5m", settings={"gap_after_s": 0})
    assert len(made) == 2 and "by host and 5m" in repr(made) and made.to_polars().height == 2


def test_no_flows_are_no_rates() -> None:
    made = rates([])
    assert len(made) == 0 and made.series().values.shape == (0, 0) and made.gaps == ()


def test_mistakes_are_named() -> None:
    with pytest.raises(UnknownName, match=r"no kind of entity is called `hots`.*\n\nhint: did you mean `host`"):
        rates([], by="hots")
    for step in ("7m", "0s", "x", "1w"):
        with pytest.raises(SettingError, match="divides a day"):
            step_ns(step)
    with pytest.raises(QueryError, match="did you mean `in_bytes`"):
        rates([batch_of([Flow()])]).series("in_bites")
    with pytest.raises(QueryError, match="no entity"):
        rates([batch_of([Flow()])]).series().of(["10.0.0.9"])


def test_every_column_has_a_meaning() -> None:
    names = [name for name, _, _, _ in rates_columns()]
    assert len(names) == len(set(names)) == 2 + 2 * (11 + 1 + 3 + 6)
    assert all(meaning for _, _, _, meaning in rates_columns())


def test_every_note_has_a_meaning() -> None:
    assert set(NOTES) <= set(NOTE_MEANINGS)


def test_several_columns_of_some_entities_are_those_of_their_series() -> None:
    flows = [Flow(start=step * 60 * S, src=host(step % 3), dst=host(7), packets=(step + 1, 1)) for step in range(9)]
    made = rates([batch_of([*flows, Flow(start=3_000 * S, src=host(1), dst=host(7))])], step="1m")
    assert made.gaps and made.steps == 51
    names = made.largest("in_packets", most=2)
    assert names[0] == host(7) and names == made.series("in_packets", entities=2).names
    start_ns, held = made.matrices(("in_packets", "in_tcp_share"), names)
    for feature, values in held.items():
        series = made.series(feature).of(names)
        assert series.start_ns == start_ns
        np.testing.assert_array_equal(values, series.values)


def test_a_file_of_rates_that_nobody_wrote_is_told() -> None:
    made = rates([batch_of([Flow()])], step="1m")
    table = made.table.replace_schema_metadata({b"flowlore.rates": b'{"by":"host","step_ns":1,"gaps":[],"notes":{}}'})
    assert len(Rates.from_table(table)) == 2
    place = table.column_names.index("in_bytes")
    negative = table.set_column(place, "in_bytes", pa.array([-5] * 2, pa.int64()))
    with pytest.raises(InputError, match=r"`in_bytes` of .* is negative"):
        Rates.from_table(negative)
    with pytest.raises(InputError, match="has no column `in_bytes`"):
        Rates.from_table(table.drop_columns(["in_bytes"]))
