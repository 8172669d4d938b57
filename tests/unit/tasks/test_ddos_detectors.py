"""Detectors that learn from attacks: what they see, how they are taught, kept and asked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import flowlore
from floodsmade import STEP, attacked, rates_of, usual
from flowlore.errors import BundleError, InputError, TaskError
from flowlore.features.rates.rates import Rates
from flowlore.models.settings import TrainingSettings
from flowlore.tasks.bundle import load_bundle
from flowlore.tasks.ddos import DETECTORS
from flowlore.tasks.ddos.attacks import QUIET, UNTOLD, Attack, codes_of, read_attacks
from flowlore.tasks.ddos.bundles import FloodDetector, Tail, taught
from flowlore.tasks.ddos.decoder import DecoderDetector, fresh_on_signs
from flowlore.tasks.ddos.detector import CONTEXT, Lesson, drawn_windows, joined, judged_windows
from flowlore.tasks.ddos.settings import DetectionSettings
from flowlore.tasks.ddos.signs import SIGNS, Signs, signs_of
from flowlore.tasks.ddos.teaching import taught_and_examined
from flowlore.tasks.ddos.trees import BoostedDetector
from ratesmade import DAWN, Flow, S, batch_of, host

SETTINGS = DetectionSettings()
SHORT = TrainingSettings(epochs=1, least_steps=40, batch_rows=32, learning_rate=3e-3)


@pytest.fixture(scope="module")
def town() -> tuple[Rates, list[Attack]]:
    flows, attacks = attacked()
    return rates_of(flows), attacks


@pytest.fixture(scope="module")
def signs(town: tuple[Rates, list[Attack]]) -> Signs:
    return signs_of(town[0], SETTINGS, names=tuple(host(server) for server in range(6)))


@pytest.fixture(scope="module")
def detector(town: tuple[Rates, list[Attack]]) -> FloodDetector:
    return taught([town], rng=np.random.default_rng(0), training=SHORT, encoder=_small(town[0]))


def _small(rates: Rates) -> object:
    return fresh_on_signs([signs_of(rates, SETTINGS)], np.random.default_rng(1))


def test_signs_are_alike_for_a_small_and_a_large_host_and_know_no_future() -> None:
    flows = usual(np.random.default_rng(3), 120, servers=2)
    signs = signs_of(rates_of(flows), SETTINGS, names=(host(0), host(1)))
    rise = SIGNS.index("in_packets against its mean")
    small, large = (np.median(signs.values[place, rise, 30:]) for place in (1, 0))
    assert 0.7 < small < 1.4 and 0.7 < large < 1.4
    assert np.median(signs.values[0, SIGNS.index("in_packets itself")]) > 5 * np.median(
        signs.values[1, SIGNS.index("in_packets itself")]
    )
    more = [*flows, Flow(start=110 * STEP, src=host(5), dst=host(1), packets=(9_000, 0))]
    later = signs_of(rates_of(sorted(more, key=lambda one: one.start)), SETTINGS, names=signs.names)
    np.testing.assert_array_equal(later.values[:, :, :110], signs.values[:, :, :110])
    assert later.values[1, rise, 110] > 20


def test_a_gap_is_unknown_in_every_sign() -> None:
    flows = [one for one in usual(np.random.default_rng(0), 120) if not 50 * STEP <= one.start < 90 * STEP]
    signs = signs_of(rates_of(flows), SETTINGS)
    assert np.isnan(signs.values[:, :, 50:90]).all() and np.isfinite(signs.values[:, :, :50]).all()


def test_codes_tell_attacks_quiet_steps_and_those_that_teach_nothing(signs: Signs) -> None:
    attack = Attack(victim=host(2), begin_ns=DAWN + 100 * STEP + 9 * S, end_ns=DAWN + 102 * STEP + 5 * S, kind="a")
    codes = codes_of(signs, [attack, replace(attack, victim="10.9.9.9")], ["b", "a"])
    assert codes[2, 99:104].tolist() == [QUIET, UNTOLD, 2, 2, QUIET] and (codes[[0, 1, 3, 4, 5]] == QUIET).all()
    unknown = codes_of(signs, [attack], ["b"])
    assert unknown[2, 100:103].tolist() == [UNTOLD] * 3


def test_windows_cover_every_step_once_and_half_of_those_drawn_hold_an_attack(
    town: tuple[Rates, list[Attack]], signs: Signs
) -> None:
    values, hosts, begins = judged_windows(signs)
    numbered = np.arange(CONTEXT)[None] + begins[:, None]
    np.testing.assert_array_equal(
        joined(numbered, signs, hosts, begins), np.broadcast_to(np.arange(signs.steps), (len(signs), signs.steps))
    )
    assert values.shape[1:] == (len(SIGNS), CONTEXT)
    codes = codes_of(signs, town[1], ("syn-flood", "udp-flood"))
    drawn = drawn_windows([Lesson(signs=signs, codes=codes)], 200, np.random.default_rng(0))
    with_attack = (drawn.codes > QUIET).any(axis=1)
    assert with_attack[:100].all() and with_attack[100:].mean() < 0.5
    few = signs.until(10)
    values, hosts, begins = judged_windows(few)
    assert joined(np.zeros((len(values), CONTEXT)), few, hosts, begins).shape == (len(few), 10)


@pytest.mark.parametrize("name", ["lightgbm", "gru", "flowgen", "z-score", "ewma", "percentile", "static"])
def test_attacks_score_above_quiet_steps_on_hosts_that_taught_nothing(name: str, signs: Signs) -> None:
    flows, attacks = attacked(seed=5)
    asked = signs_of(rates_of(flows), SETTINGS, names=signs.names)
    _, known = attacked()
    kinds = ("syn-flood", "udp-flood")
    lesson = Lesson(signs=signs, codes=codes_of(signs, known, kinds))
    made = DETECTORS.load(name)()
    if name == "flowgen":
        made = DecoderDetector(fresh_on_signs([signs], np.random.default_rng(0)), training=SHORT)
    made.fit([lesson], kinds, np.random.default_rng(0))
    scores, codes = made.scores(asked, 40), codes_of(asked, attacks, kinds)
    judged = np.isfinite(scores)
    assert judged[:, 20:].all()
    chosen = judged & (np.arange(asked.steps) >= 40)
    chosen[0] = False  # always busier than an attack elsewhere, which a static threshold cannot know
    attack, quiet = scores[chosen & (codes > QUIET)], scores[chosen & (codes == QUIET)]
    assert np.median(attack) > np.quantile(quiet, 0.98)
    assert (attack[:, None] > quiet[None]).mean() > (0.97 if made.learns else 0.9)


def test_trees_are_taught_what_silence_is(signs: Signs, town: tuple[Rates, list[Attack]]) -> None:
    silent = np.zeros_like(signs.values)
    hushed = replace(signs, values=silent, packets=np.zeros_like(signs.packets))
    kinds = tuple(sorted({one.kind for one in town[1]}))
    codes = codes_of(signs, town[1], kinds)
    half = signs.values.copy()
    half[:3][np.broadcast_to((codes[:3] == QUIET)[:, None], half[:3].shape)] = 0.0
    packets = np.where((codes == QUIET) & (np.arange(len(signs)) < 3)[:, None], 0.0, signs.packets)
    detector = BoostedDetector()
    lesson = Lesson(signs=replace(signs, values=half, packets=packets), codes=codes)
    detector.fit([lesson], kinds, np.random.default_rng(0))
    of_attacks = detector.scores(signs, 0)[codes > QUIET]
    assert detector.scores(hushed, 0).max() < np.median(of_attacks) - 2


def test_entropy_needs_flows_and_tells_one_source_from_many(signs: Signs) -> None:
    from flowlore.tasks.ddos.entropy import with_entropy

    flows, attacks = attacked()
    told = with_entropy(signs, [batch_of(flows)])
    assert told.entropy is not None
    assert np.nanmax(told.entropy[0]) < 2.5  # never more than three clients in a step
    first, last = (attacks[0].begin_ns - DAWN) // STEP, (attacks[0].end_ns - DAWN) // STEP
    assert (told.entropy[1, first:last] > 3.5).all()  # twenty sources
    scores = DETECTORS.load("entropy")().scores(told, 0)
    assert np.nanmin(scores[1, first : first + 2]) > np.nanquantile(scores[1, 20:first], 0.95)
    assert np.isnan(DETECTORS.load("entropy")().scores(signs, 0)).all()


def test_a_taught_bundle_says_the_same_after_it_was_kept(
    detector: FloodDetector, town: tuple[Rates, list[Attack]], tmp_path: Path
) -> None:
    detector.save(tmp_path / "floods")
    again = flowlore.load(tmp_path / "floods")
    assert isinstance(again, FloodDetector)
    before, after = detector.probabilities(town[0]), again.probabilities(town[0])
    assert before.equals(after) and before.num_rows > 2_000
    chances = before["probability"].to_numpy()
    assert ((chances >= 0) & (chances <= 1)).all()
    assert "floods of 2 classes" in (tmp_path / "floods" / "card.md").read_text()
    with pytest.raises(BundleError, match="knows rates of hosts"):
        from flowlore.tasks.predictor import load

        load(tmp_path / "floods")


def test_alarms_with_and_without_a_quiet_time(detector: FloodDetector) -> None:
    flows, attacks = attacked(seed=8)
    half, flooding = 200 * STEP, {host(70_000 + source) for source in range(20)}
    calm_first = [one for one in flows if one.start >= half or one.src not in flooding]
    later = [one for one in attacks if one.begin_ns > DAWN + half]
    for learn, shown, expected in ((0.5, calm_first, later), (0.0, flows, attacks)):
        found = detector.detect(rates_of(shown), learn=learn, false_alarms_a_day=2_000)  # it was hardly taught
        hits = [
            alarm
            for one in expected
            for alarm in found.alarms
            if alarm.host == one.victim and abs(alarm.begin_ns - one.begin_ns) <= STEP
        ]
        assert len(hits) >= len(expected) - 1
        assert all(alarm.probability is not None and 0 <= alarm.probability <= 1 for alarm in hits)
        assert {alarm.learnt_kind for alarm in found.alarms} <= {"syn-flood", "udp-flood"}
    strict = detector.detect(rates_of(flows), learn=0.0, false_alarms_a_day=0.01)
    assert strict.threshold > found.threshold and len(strict.alarms) <= len(found.alarms)
    nearly_silent = [
        Flow(start=STEP, src=host(7), dst=host(90_000 + one), packets=(1, 0), bytes=(60, 0)) for one in range(50)
    ]
    among = detector.detect(rates_of(sorted([*flows, *nearly_silent], key=_start)), learn=0, false_alarms_a_day=0.01)
    assert among.hosts >= strict.hosts + 50 and among.threshold == strict.threshold
    with pytest.raises(BundleError, match="steps of 10s"):
        detector.detect(flowlore.rates([batch_of(flows)], step="1m"))


def test_step_by_step_says_what_all_at_once_does(detector: FloodDetector) -> None:
    from flowlore.tasks.ddos.alerts import AlarmBook
    from flowlore.tasks.ddos.watch import FloodWatch

    flows, _ = attacked(seed=9, steps=170)
    late = Flow(start=90 * STEP, src=host(7), dst=host(55), packets=(3_000, 0), bytes=(300_000, 0))
    rates = rates_of(sorted([one for one in [*flows, late] if not 110 * STEP <= one.start < 150 * STEP], key=_start))
    assert len(rates.gaps) == 1
    watch = FloodWatch(detector)
    parts = list(watch.add(rates.table))
    live = {(row["entity"], row["step"]): row for part in parts for row in part.to_pylist()}
    every = {(row["entity"], row["step"]): row for row in detector.probabilities(rates).to_pylist()}
    assert len(live) > 200 and set(live) <= set(every) and any(name == host(55) for name, _ in live)
    apart = [abs(row["probability"] - every[key]["probability"]) for key, row in live.items()]
    assert max(apart) < 1e-3
    assert np.mean([row["kind"] == every[key]["kind"] for key, row in live.items()]) > 0.99
    assert len(parts) == 130 and watch.memory_bytes > 0
    whole = detector.detect(rates, learn=0.0, false_alarms_a_day=2_000.0)
    book = AlarmBook(FloodWatch(detector), lambda hosts: whole.threshold)
    events = [*book.add(rates.table), *book.finish()]
    ended = sorted((one.alarm for one in events if one.what == "ends"), key=lambda one: (one.begin_ns, one.host))
    same = [replace(one, score=0.0, probability=None) for one in whole.alarms]
    assert len(same) > 2 and [replace(one, score=0.0, probability=None) for one in ended] == same
    assert [one.probability for one in ended] == pytest.approx([one.probability for one in whole.alarms], abs=1e-3)
    forgetful = FloodWatch(detector, most_bytes=0)
    assert forgetful.memory_bytes < watch.memory_bytes
    for part, other in zip(parts, forgetful.add(rates.table), strict=True):
        assert part["entity"].equals(other["entity"])
        np.testing.assert_allclose(part["probability"].to_numpy(), other["probability"].to_numpy(), atol=1e-3)


def test_earlier_steps_are_remembered_as_they_were(detector: FloodDetector) -> None:
    from flowlore.models.flowgen.network import Cache
    from flowlore.tasks.ddos.remembered import HOSTS_AT_ONCE, Remembered

    rng, rows = np.random.default_rng(0), np.array([3, 5, HOSTS_AT_ONCE - 1])
    values = rng.random((3, len(SIGNS), 20)).astype(np.float32)
    memory, whole = Remembered(), detector.detector.said_last(values)
    memory.grow(HOSTS_AT_ONCE)
    for step in range(20):
        known = memory.has(rows, 100, 100 + step)
        assert known.all() == (step > 0) == known.any()
        cache = memory.cache(rows, step) if step else Cache()
        said = detector.detector.said_last(values[:, :, : step + 1], cache)
        memory.keep(rows, cache, 100, 100 + step)
    np.testing.assert_allclose(said, whole, atol=5e-3)
    assert not memory.has(rows, 100, 121).any() and not memory.has(rows, 101, 120).any()
    assert memory.has(np.array([4]), 100, 120).tolist() == [False]


def _start(flow: Flow) -> int:
    return flow.start


def test_the_examination_asks_later_attacks_only_and_says_who_is_best(town: tuple[Rates, list[Attack]]) -> None:
    made, report = taught_and_examined(
        *town, rng=np.random.default_rng(0), encoder=_small(town[0]), training=SHORT, beside=("z-score", "static")
    )
    assert (report["taught"], report["asked"]) == (4, 4)
    assert set(report["scores"]) == {"flowgen", "z-score", "static"} and report["best"] in report["scores"]
    assert report["scores"]["z-score"]["strata"]["all"]["pr_auc"] > 0.8
    assert json.dumps(report)
    assert made.data["kinds"] == ["syn-flood", "udp-flood"]
    with pytest.raises(TaskError, match="0 begin after it"):
        taught_and_examined(town[0], town[1][:2], rng=np.random.default_rng(0))


def test_a_tail_asks_more_of_more_hosts_and_of_fewer_false_alarms() -> None:
    tail = Tail.of(np.random.default_rng(0).exponential(size=20_000), 10.0)
    assert tail.threshold(1, 100) > tail.threshold(1, 10) > tail.threshold(10, 10)
    expected = np.log(10 * 8_640)  # one in so many steps of ten hosts
    assert abs(tail.threshold(1, 10) - expected) < 1.0
    with pytest.raises(TaskError, match="too few"):
        Tail.of(np.zeros(3), 10.0)


def test_trees_survive_being_kept(signs: Signs) -> None:
    kinds = ("syn-flood", "udp-flood")
    made = BoostedDetector()
    made.fit([Lesson(signs=signs, codes=codes_of(signs, attacked()[1], kinds))], kinds, np.random.default_rng(0))
    again = BoostedDetector.from_state(*made.state())
    np.testing.assert_array_equal(again.scores(signs, 0), made.scores(signs, 0))


def test_what_cannot_teach_is_told(signs: Signs, town: tuple[Rates, list[Attack]]) -> None:
    quiet = Lesson(signs=signs, codes=np.zeros((len(signs), signs.steps), np.int16))
    with pytest.raises(TaskError, match="no labelled attack meets"):
        drawn_windows([quiet], 10, np.random.default_rng(0))
    full = Lesson(signs=signs, codes=np.ones((len(signs), signs.steps), np.int16))
    with pytest.raises(TaskError, match="no step is without an attack"):
        drawn_windows([full], 10, np.random.default_rng(0))
    other = flowlore.rates([batch_of(usual(np.random.default_rng(0), 60))], step="1m")
    with pytest.raises(TaskError, match="2 lengths of a step"):
        drawn_windows([quiet, replace(quiet, signs=signs_of(other, SETTINGS))], 10, np.random.default_rng(0))
    with pytest.raises(TaskError, match="steps are too few to learn from"):
        DecoderDetector().fit(
            [Lesson(signs=signs.until(50), codes=codes_of(signs, town[1], ("syn-flood", "udp-flood"))[:, :50])],
            ("syn-flood", "udp-flood"),
            np.random.default_rng(0),
        )


ATTACK = '{"victim": "10.0.0.3", "from": "2023-11-15T00:10:00Z", "to": "2023-11-15T00:12:00", "kind": "syn-flood"}'


def test_attacks_are_read_from_tables_and_from_laboratory_runs(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        ATTACK
        + '\n\n{"application": "udp-flood", "from_ns": 1700006400000000000, "to_ns": 1700006410000000000,'
        + ' "victims": {"::ffff:10.0.0.1": 3, "2001:DB8::1": 1}}\n'
    )
    found = read_attacks(tmp_path / "a.jsonl")
    assert [(one.victim, one.kind) for one in found] == [
        ("10.0.0.1", "udp-flood"), ("2001:db8::1", "udp-flood"), ("10.0.0.3", "syn-flood"),
    ]  # fmt: skip
    assert found[2].begin_ns - found[0].begin_ns == 600 * S and found[2].end_ns - found[2].begin_ns == 120 * S
    (tmp_path / "a.csv").write_text("victim,from,to,kind\nAS 786,1700006400000000000,1700006410000000000,x\n")
    assert read_attacks(tmp_path / "a.csv")[0].victim == "AS 786"
    row = json.loads(ATTACK) | {"victims": "10.0.0.1", "from": "2023-11-15T02:10:00.000001+02:00"}
    (tmp_path / "b.jsonl").write_text(json.dumps(row))
    (one,) = read_attacks(tmp_path / "b.jsonl")
    assert one.victim == "10.0.0.1" and one.begin_ns == found[2].begin_ns + 1_000


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "host,from,to\n", "no column `victim`"),
        ("a.csv", "victim,from,to,kind\n", "names no attack"),
        ("a.csv", "victim,from,to,kind\n10.0.0.1,noon,1700006410000000000,x\n", "`noon` at .*a.csv:2 is no time"),
        ("a.csv", "victim,from,to,kind\n,1,2,x\n", "has no victim"),
        ("a.csv", "victim,from,to,kind\na,1700006400,1700006410,x\n", "`1700006400` at .* is no time between 1980 and"),
        ("a.jsonl", ATTACK.replace("2023-11-15T00:10:00Z", "9999-01-01"), "is no time between 1980 and 2262"),
        ("a.jsonl", ATTACK.replace("}", ', "times_usual": "high"}'), "`times_usual` of the attack .* is no number"),
        ("a.jsonl", ATTACK.replace('"10.0.0.3"', "7"), "has no victim"),
        ("a.jsonl", "{", "line 1 of .* is no JSON"),
        ("a.jsonl", "[1]", "no JSON object"),
        ("a.jsonl", ATTACK.replace("00:12", "00:09"), "ends before it begins"),
        ("a.jsonl", ATTACK.replace('"syn-flood"', '""'), "has no kind"),
        ("missing.jsonl", None, "cannot be read"),
    ],
)
def test_attacks_that_are_no_attacks(name: str, text: str | None, message: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_attacks(tmp_path / name)


def test_a_damaged_bundle_is_told(detector: FloodDetector, tmp_path: Path) -> None:
    detector.save(tmp_path / "floods")
    bundle = load_bundle(tmp_path / "floods")
    heads = {name: array for name, array in bundle.arrays["detector"].items() if name != "wide.weight"}
    heads["deep.bias"] = np.zeros(9, np.float32)
    with pytest.raises(BundleError, match="detector"):
        FloodDetector.from_bundle(replace(bundle, arrays={**bundle.arrays, "detector": heads}))
    states = {**bundle.states, "detector": {"kinds": ["a"]}}
    with pytest.raises(BundleError, match="detector"):
        FloodDetector.from_bundle(replace(bundle, states=states))
