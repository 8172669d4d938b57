"""Verdicts on hosts: who is first, why, and how a bundle that cannot tell refuses."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from scanned_network import SCANNER, address, network

from flowlore.errors import BundleError, InputError, TaskError
from flowlore.features.graphs.settings import GraphSettings
from flowlore.features.settings import FeatureSettings
from flowlore.flows.table import Flows
from flowlore.models.graph.settings import GraphEncoderSettings
from flowlore.tasks.few_shot import prepare, teach
from flowlore.tasks.hosts import HostWatch, host_verdicts, kept_flows, memory, surprise_table
from flowlore.tasks.predictor import Predictor
from flowlore.tasks.pretraining import pretrain
from flowlore.tasks.windows import in_windows


@cache
def calm() -> Predictor:
    """Trained on a network without a scan."""
    settings = GraphEncoderSettings(width=16, training_flows=64)
    return pretrain("graph", network(scans=0, seed=3), rng=np.random.default_rng(0), settings=settings)


@cache
def taught() -> Predictor:
    rng = np.random.default_rng(0)
    lesson = prepare(calm(), network(seed=4), by="time", rng=rng)
    return teach(calm(), lesson, shots=12, rng=rng)[0]


def test_without_a_label_the_strangest_host_is_first() -> None:
    report = host_verdicts(calm(), network())
    first = report.verdicts[0]
    assert first.host == "10.0.0.66"
    assert first.label is None and first.confidence is None
    assert first.surprise > 1.5
    assert (first.flows_out, first.flows_in) == (40, 0)
    assert first.surprise > max(one.surprise for one in report.verdicts if one.host.startswith("10.0.0.1"))


def test_a_taught_bundle_names_hosts_and_says_why() -> None:
    report = host_verdicts(taught(), network())
    first = report.verdicts[0]
    assert (first.host, first.label) == ("10.0.0.66", "scan")
    assert first.confidence is not None and first.confidence > 0.5
    assert [one.host for one in report.verdicts if one.label == "scan" and one.role == "source"] == ["10.0.0.66"]
    assert len(first.reasons) == 3
    scan = {one["flow_id"].hex() for one in network().to_arrow().to_pylist() if one["src_ip"] == address(SCANNER)}
    for reason in first.reasons:
        assert reason.flow_id in scan
        assert reason.role == "source" and reason.service == "tcp/23" and reason.partner.startswith("10.0.0.1")
        assert reason.alone is not None and 0 <= reason.alone <= 1
    assert sum(first.deciding_partners.values()) >= 3
    assert first.deciding_windows
    server = next(one for one in report.verdicts if one.host == "10.0.0.1")
    assert (server.label, server.role, server.flows_out, server.partners) == ("benign", "target", 0, 10)


def test_an_ordinary_host_shows_the_flows_nearest_to_another_class() -> None:
    report = host_verdicts(taught(), network(), explained=200)
    ordinary = next(one for one in report.verdicts if one.host == "10.0.0.12")
    assert (ordinary.label, ordinary.nearly) == ("benign", "scan")
    assert ordinary.confidence is not None
    mean = sum(one.score for one in ordinary.reasons) / 3
    assert mean == pytest.approx(1 - ordinary.confidence, abs=1e-3), "how sure it is, is what they leave"
    assert all(one.nearly is None for one in report.verdicts if one.label == "scan")


def test_only_as_many_as_asked_are_explained() -> None:
    report = host_verdicts(taught(), network(), explained=1)
    assert [bool(one.reasons) for one in report.verdicts[:3]] == [True, False, False]


def test_without_an_ordinary_class_every_flow_votes() -> None:
    report = host_verdicts(taught(), network(), ordinary=[])
    labels = {one.host: one.label for one in report.verdicts}
    assert labels["10.0.0.66"] == "scan" and labels["10.0.0.12"] == "benign"
    with pytest.raises(TaskError, match="knows no class `botnet`"):
        host_verdicts(taught(), network(), ordinary=["botnet"])


def test_a_table_of_all_hosts() -> None:
    report = host_verdicts(taught(), network())
    table = report.to_arrow()
    assert table.num_rows == len(report.verdicts) == len({one.host for one in report.verdicts})
    assert table.column("vector").type.list_size == 32
    assert np.isfinite(report.vectors).all() and report.vectors.any(axis=1).all()
    assert report.counts["flows"] == 400


def slices(flows: Flows, rows: int) -> Iterator[pa.Table]:
    table = flows.to_arrow().combine_chunks()
    return (table.slice(first, rows) for first in range(0, table.num_rows, rows))


@pytest.mark.parametrize("bundle", [calm, taught])
@pytest.mark.parametrize("rows", [7, 130])
def test_a_stream_has_the_verdicts_of_the_whole(bundle: Callable[[], Predictor], rows: int) -> None:
    whole = host_verdicts(bundle(), network(), explained=200)
    streamed = host_verdicts(bundle(), slices(network(), rows), explained=200)
    known = {one.host: one for one in whole.verdicts}
    assert len(streamed.verdicts) == len(known)
    for one in streamed.verdicts:
        other = known[one.host]
        close = {
            "confidence": pytest.approx(other.confidence, abs=2e-3),
            "surprise": pytest.approx(other.surprise, abs=2e-3),
            "reasons": one.reasons,
        }
        assert one == replace(other, **close)
        assert [why.flow_id for why in one.reasons] == [why.flow_id for why in other.reasons]
    assert streamed.verdicts[0].host == whole.verdicts[0].host


def test_a_watch_holds_what_hosts_need_and_not_their_flows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_flows, "LEAST_KEPT", 16)
    flows = network(12_000)
    settings = GraphEncoderSettings(width=8, training_flows=64, windows=GraphSettings(window_s=5, wait_s=10))
    predictor = pretrain("graph", network(400), rng=np.random.default_rng(0), settings=settings)
    watch = HostWatch(predictor)
    most_kept, most_waiting, taken, given = 0, 0, 0, 0
    for batch in slices(flows, 100):
        taken += 100
        given += sum(len(surprise) for _, surprise in watch.add(batch))
        most_kept, most_waiting = max(most_kept, watch.kept_flows), max(most_waiting, taken - given)
    given += sum(len(surprise) for _, surprise in watch.finish())
    assert given == 12_000
    assert most_waiting <= 300, "windows close 10 s after their end, and a batch is 25 s"
    assert 30 < most_kept <= 300, "three flows of each of some 110 hosts at most, and as many not yet let go of"
    reasons = {one.host: [why.flow_id for why in one.reasons] for one in watch.report(explained=200).verdicts}
    whole = host_verdicts(predictor, flows, explained=200).verdicts
    assert reasons == {one.host: [why.flow_id for why in one.reasons] for one in whole}
    assert watch.report().counts["flows"] == 12_000


def test_surprise_of_each_flow_comes_with_its_batch() -> None:
    tables = [surprise_table(batch, surprise) for batch, surprise in HostWatch(calm()).through(slices(network(), 50))]
    whole = next(HostWatch(calm()).through([network()]))[1]
    together = pa.concat_tables(tables)
    assert together.column("flow_id").to_pylist() == network()["flow_id"].to_pylist()
    np.testing.assert_allclose(together.column("surprise").to_numpy(), whole[:, 0], atol=2e-3)


def test_a_head_that_looks_at_numbers_too() -> None:
    rng = np.random.default_rng(0)
    lesson = prepare(calm(), network(seed=4), by="time", rng=rng)
    trees = teach(calm(), lesson, shots=12, rng=rng, head="forest")[0]
    first = host_verdicts(trees, network().to_arrow().to_batches()).verdicts[0]
    assert (first.host, first.label) == ("10.0.0.66", "scan")
    assert all(why.alone is not None for why in first.reasons)


def test_no_flow_has_to_speak_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where none surprises enough, partners and windows are those of the loudest."""
    monkeypatch.setattr(memory, "SURPRISING_ENOUGH", 100.0)
    for one in host_verdicts(calm(), network(), explained=200).verdicts:
        assert sum(one.deciding_partners.values()) == sum(one.deciding_windows.values()) == len(one.reasons)


def test_how_long_late_flows_are_waited_for() -> None:
    own = GraphSettings(window_s=5, wait_s=300)
    bundle = replace(calm(), encoder=calm().encoder.waiting(own))
    told = in_windows(bundle, GraphSettings(most_waiting=1000)).encoder.settings.windows
    assert (told.wait_s, told.most_waiting, told.window_s) == (300, 1000, 5.0)
    assert in_windows(bundle, GraphSettings(wait_s=600)).encoder.settings.windows.wait_s == 600
    assert in_windows(bundle, GraphSettings()) is bundle
    table = network().to_arrow()
    backwards = [table.slice(200, 200), table.slice(0, 200)]
    late = {}
    for wait_s in (0.0, 600.0):
        watch = HostWatch(in_windows(calm(), GraphSettings(wait_s=wait_s)))
        list(watch.through(backwards))
        late[wait_s] = watch.report().counts["late"]
    assert late == {0.0: 200, 600.0: 0}
    assert host_verdicts(calm(), backwards).counts["late"] < 200, "of files they are waited for"


def test_hosts_beyond_the_most_are_counted() -> None:
    whole = network().to_arrow()
    watch = HostWatch(calm(), most_hosts=20)
    list(watch.through([whole.slice(0, 200), whole.slice(200, 200)]))
    report = watch.report()
    assert len(report.verdicts) == 20 and report.counts["unjudged"] > 0
    assert sum(one.flows_out for one in report.verdicts) + report.counts["unjudged"] == 400


@pytest.mark.parametrize("bundle", [calm, taught])
def test_a_report_in_between(bundle: Callable[[], Predictor]) -> None:
    watch = HostWatch(bundle())
    assert watch.report().verdicts == []
    for batch in slices(network(), 360):
        assert list(watch.add(batch)) == [], "some window is open yet"
    assert 0 < watch.hosts < 45
    assert 0 < sum(one.flows_out for one in watch.report().verdicts) < 400


def test_a_watch_without_a_flow() -> None:
    with pytest.raises(TaskError, match="there is not one flow"):
        list(HostWatch(calm()).finish())


def test_hosts_without_addresses_have_their_pseudonyms() -> None:
    table = network().to_arrow()
    names = [f"host {value[-1]}" for value in table.column("src_ip").to_pylist()]
    others = [f"host {value[-1]}" for value in table.column("dst_ip").to_pylist()]
    for column, values in (("src_name", names), ("dst_name", others), ("src_ip", None), ("dst_ip", None)):
        field = table.schema.field(column)
        array = pa.nulls(400, field.type) if values is None else pa.array(values, field.type)
        table = table.set_column(table.schema.get_field_index(column), field, array)
    assert host_verdicts(calm(), Flows(table)).verdicts[0].host == "host 66"


def test_who_cannot_tell(pretrained: Predictor) -> None:
    with pytest.raises(BundleError, match="embeds flows only; it knows no hosts") as error:
        host_verdicts(pretrained, network())
    assert "pretrain graph" in (error.value.hint or "")


def test_who_cannot_be_told() -> None:
    bare = network().to_arrow().drop_columns(["src_ip", "dst_ip"])
    with pytest.raises(InputError, match="neither addresses nor pseudonyms"):
        host_verdicts(calm(), Flows(bare))
    timeless = network().to_arrow().drop_columns(["start"])
    with pytest.raises(InputError, match="these flows have no times"):
        host_verdicts(calm(), timeless)
    assert len(host_verdicts(calm(), [timeless, network().to_arrow()]).verdicts) == 43, "one such batch ends no stream"
    with pytest.raises(InputError, match="no address or pseudonym of their target"):
        host_verdicts(calm(), Flows(network().to_arrow().drop_columns(["dst_ip"])))
    one = [address(1)] * 400
    table = network().to_arrow()
    for name in ("src_ip", "dst_ip"):
        field = table.schema.field(name)
        table = table.set_column(table.schema.get_field_index(name), field, pa.array(one, field.type))
    with pytest.raises(InputError, match="all 400 flows have the same host at both ends"):
        host_verdicts(calm(), Flows(table))


def test_a_batch_without_addresses_does_not_end_a_stream() -> None:
    table = network().to_arrow().combine_chunks()
    nameless = table.slice(100, 100)
    for name in ("src_ip", "dst_ip"):
        field = table.schema.field(name)
        nameless = nameless.set_column(table.schema.get_field_index(name), field, pa.nulls(100, field.type))
    parts = [table.slice(0, 100), nameless, table.slice(200, 200)]
    found = list(calm().embed_batches(iter(parts)))
    assert [len(one.vectors) for _, one in found] == [100, 100, 200]
    assert found[1][1].vectors.any(axis=1).all(), "a flow without hosts is embedded by its own numbers"
    with pytest.raises(InputError, match="neither addresses nor pseudonyms"):
        list(calm().embed_batches(iter([nameless])))


@pytest.mark.parametrize("cuts", [1, 3, 40])
def test_batches_have_the_vectors_of_the_whole(cuts: int) -> None:
    """However the input is cut, each flow has the neighbours that it has in one table."""
    flows = network()
    whole = calm().embed(flows).vectors
    sizes = [len(part) for part in np.array_split(np.arange(400), cuts)]
    batches = [
        flows.to_arrow().combine_chunks().slice(sum(sizes[:place]), size).to_batches()[0]
        for place, size in enumerate(sizes)
    ]
    found = list(calm().embed_batches(iter(batches)))
    assert [batch.num_rows for batch, _ in found] == sizes
    np.testing.assert_allclose(np.concatenate([one.vectors for _, one in found]), whole, atol=1e-5)


def test_unlabelled_flows_are_neighbours_of_labelled_ones() -> None:
    flows = network()
    rows = np.array([value is not None for value in flows["label"].to_pylist()])
    lesson = prepare(calm(), flows, by="time", rng=np.random.default_rng(0))
    np.testing.assert_array_equal(lesson.embedding.vectors, calm().embed(flows).vectors[rows])
    assert not np.array_equal(lesson.embedding.vectors, calm().embed(flows[rows]).vectors)


def test_a_saved_bundle_gives_the_same_verdicts(tmp_path) -> None:
    from flowlore.tasks.predictor import load

    taught().save(tmp_path / "campus")
    again = load(tmp_path / "campus")
    assert again.features.graph
    verdicts = host_verdicts(again, network()).verdicts
    assert [replace(one, reasons=()) for one in verdicts] == [
        replace(one, reasons=()) for one in host_verdicts(taught(), network()).verdicts
    ]


def test_the_graph_is_seen_whatever_features_are_asked_for() -> None:
    settings = GraphEncoderSettings(width=8, training_flows=64)
    made = pretrain(
        "graph", network(60), rng=np.random.default_rng(0), features=FeatureSettings(series=False), settings=settings
    )
    assert made.features.graph and not made.features.series
