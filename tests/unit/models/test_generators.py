"""Generators: words of packets go there and back, classes differ, and captures are what tshark takes for sound."""

import json
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from flowlore.errors import ModelError
from flowlore.features.augment.packets import PacketSeries
from flowlore.models.generators import GENERATORS
from flowlore.models.generators.captures import TCP, UDP, Ends, capture_bytes, with_headers
from flowlore.models.generators.diffusion import DiffusionGenerator
from flowlore.models.generators.packet_bits import bits_of, series_of_bits
from flowlore.models.generators.packet_words import large_sizes, series_of, words_of
from flowlore.models.generators.settings import DiffusionSettings, TransformerSettings, WganSettings
from flowlore.models.generators.transformer import TransformerGenerator
from flowlore.models.training import TrainingSettings

NAMES = sorted(GENERATORS.names())
QUICK = TrainingSettings(epochs=30, batch_rows=64, learning_rate=4e-3)
ROUNDS = {
    "transformer": QUICK,
    "diffusion": QUICK,
    "wgan": TrainingSettings(epochs=120, batch_rows=64, learning_rate=2e-3, weight_decay=0.0, largest_gradient=100.0),
}
SMALL = {
    "transformer": TransformerSettings(packets=8, width=32, layers=2, heads=2),
    "diffusion": DiffusionSettings(packets=8, width=32, layers=2, heads=2, steps=8),
    "wgan": WganSettings(packets=8, width=32, blocks=1, noise=16),
}


def small(name: str, **changed: Any) -> Any:
    return GENERATORS.load(name)(replace(SMALL[name], **changed))


def two_kinds(flows: int, seed: int = 0) -> tuple[PacketSeries, np.ndarray]:
    """Kind 0: a question and an answer; kind 1: a longer talk with large packets."""
    rng = np.random.default_rng(seed)
    codes = np.arange(flows) % 2
    lengths = np.where(codes == 0, 2, rng.integers(5, 8, flows))
    is_packet = np.arange(8) < lengths[:, None]
    direction = np.where(np.arange(8) % 2 == 0, 1, -1) * is_packet
    payload = np.where(codes[:, None] == 0, rng.choice([33, 40], (flows, 8)), rng.choice([700, 1400, 2896], (flows, 8)))
    gaps = np.where(codes[:, None] == 0, 20_000_000, 1_000_000) * rng.integers(1, 3, (flows, 8))
    gaps[:, 0] = 0
    header = np.where(codes[:, None] == 0, 28, 52) * is_packet
    return PacketSeries(
        direction=direction.astype(np.int32),
        size=((payload + header) * is_packet).astype(np.int32),
        header=header.astype(np.int32),
        gap_ns=gaps * is_packet,
        flags=(np.where(codes[:, None] == 0, 0, 24) * is_packet).astype(np.int32),
        window=np.zeros((flows, 8), np.int32),
        hidden=np.zeros((flows, 8), np.bool_),
    ), codes.astype(np.int64)


def test_words_go_there_and_back() -> None:
    series, _ = two_kinds(50)
    back = series_of(words_of(series, 8), np.random.default_rng(0), large_sizes(series))
    exact = series.size <= 1500
    assert np.array_equal(back.size[exact], series.size[exact])
    assert set(back.size[~exact].tolist()) == {2948}
    assert np.array_equal(back.direction, series.direction) and np.array_equal(back.flags, series.flags)
    assert np.array_equal(back.header, series.header)
    waits = series.gap_ns > 0
    assert np.abs(np.log2(back.gap_ns[waits] / series.gap_ns[waits])).max() <= 1 / 8 + 1e-3
    assert (back.gap_ns[~waits] == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_made_up_flows_are_like_their_class(name: str) -> None:
    series, codes = two_kinds(400)
    generator = small(name)
    before = torch.get_rng_state()
    generator.fit(series, codes, 2, np.random.default_rng(0), training=ROUNDS[name])
    assert torch.equal(before, torch.get_rng_state())
    asked = np.repeat([0, 1], 100)
    made = generator.sample(asked, np.random.default_rng(1))
    assert len(made) == 200 and (made.lengths > 0).all() and (made.direction[:, 0] == 1).all()
    assert (made.gap_ns >= 0).all() and (made.gap_ns[:, 0] == 0).all() and (made.size >= made.header).all()
    short, long = made.lengths[asked == 0], made.lengths[asked == 1]
    assert abs(short.mean() - 2) < 0.7 and abs(long.mean() - 6) < 1.2
    small_, large = (np.median(made.payload[asked == one][made.is_packet[asked == one]]) for one in (0, 1))
    assert small_ < 100 < 500 < large
    assert np.array_equal(generator.sample(asked, np.random.default_rng(1)).size, made.size)


@pytest.mark.parametrize("name", NAMES)
def test_state_comes_back_and_damage_is_told(name: str) -> None:
    series, codes = two_kinds(40)
    generator = small(name)
    with pytest.raises(ModelError, match="not trained yet"):
        generator.sample(codes, np.random.default_rng(0))
    generator.fit(series, codes, 2, np.random.default_rng(0), training=TrainingSettings(epochs=1))
    arrays, values = generator.state()
    again = type(generator).from_state(arrays, json.loads(json.dumps(values)))
    left, right = (one.sample(codes, np.random.default_rng(3)) for one in (generator, again))
    assert np.array_equal(left.size, right.size) and np.array_equal(left.gap_ns, right.gap_ns)
    with pytest.raises(ModelError, match="format 7"):
        type(generator).from_state(arrays, {**values, "format": 7})
    arrays.popitem()
    arrays.popitem()
    with pytest.raises(ModelError, match="damaged"):
        type(generator).from_state(arrays, values)
    with pytest.raises(ModelError, match="knows classes 0 to 1"):
        generator.sample(np.array([2]), np.random.default_rng(0))


@pytest.mark.parametrize("name", NAMES)
def test_size_and_weight(name: str) -> None:
    generator = GENERATORS.load(name)()
    generator.classes = 53
    assert 1e6 < sum(weight.numel() for weight in generator.fresh_network().parameters()) < 2e6


@pytest.mark.parametrize("name", ["diffusion", "transformer"])
def test_a_latent_vector_says_which_flow_of_a_class_is_meant(name: str) -> None:
    """One class with short and long flows: which is meant stands in the vector only."""
    series, kinds = two_kinds(400)
    latents = np.stack([kinds, 1 - kinds], 1).astype(np.float32) * 2 - 1
    generator = small(name, latent=2)
    rng = np.random.default_rng(0)
    generator.fit(series, np.zeros(400, np.int64), 1, rng, training=ROUNDS[name], latents=latents)
    asked = np.zeros(100, np.int64)
    short, long = (
        generator.sample(asked, rng, latents=np.tile(latents[row], (100, 1))).lengths.mean() for row in (0, 1)
    )
    assert short + 1.5 < long
    assert short - 0.5 < generator.sample(asked, rng).lengths.mean() < long + 0.5
    with pytest.raises(ModelError, match=r"latent vectors of shape \(100, 3\) .* takes 2 numbers of each"):
        generator.sample(asked, rng, latents=np.zeros((100, 3), np.float32))


def test_a_classifier_learns_with_the_maker() -> None:
    series, codes = two_kinds(200)
    generator = small("wgan", joint=1.0)
    quick = replace(ROUNDS["wgan"], epochs=20)
    generator.fit(series, codes, 2, np.random.default_rng(0), training=quick)
    asked, truth = two_kinds(100, seed=9)
    assert (generator.classify(asked).argmax(1) == truth).mean() > 0.95
    arrays, values = generator.state()
    again = type(generator).from_state(arrays, values)
    assert np.allclose(again.classify(asked), generator.classify(asked))
    alone = small("wgan")
    alone.fit(series, codes, 2, np.random.default_rng(0), training=replace(quick, epochs=1, least_steps=1))
    with pytest.raises(ModelError, match="trained without a classifier"):
        alone.classify(asked)


def test_bits_go_there_and_back() -> None:
    series, _ = two_kinds(50)
    back = series_of_bits(bits_of(series, 8), np.random.default_rng(0), large_sizes(series))
    exact = series.size <= 1500
    assert np.array_equal(back.size[exact], series.size[exact]) and np.array_equal(back.direction, series.direction)
    assert np.array_equal(back.flags, series.flags) and np.array_equal(back.header, series.header)
    waits = series.gap_ns > 0
    assert np.abs(np.log2(back.gap_ns[waits] / series.gap_ns[waits])).max() <= 1 / 8 + 1e-3


def test_heads_must_divide_the_width() -> None:
    for make, settings in ((TransformerGenerator, TransformerSettings), (DiffusionGenerator, DiffusionSettings)):
        with pytest.raises(ModelError, match="a width of 10 cannot be divided among 4 heads"):
            make(settings(width=10))


def capture(flows: int = 60) -> tuple[bytes, PacketSeries, np.ndarray]:
    series, codes = two_kinds(flows)
    protocol = np.where(codes == 0, UDP, TCP)
    ends = Ends(protocol=protocol, dst_port=np.where(codes == 0, 7, 5001), start_ns=10**18 + 10**7 * np.arange(flows))
    return capture_bytes(series, ends), series, protocol


def test_a_capture_is_read_back_as_the_flows_that_were_written(tmp_path: Path) -> None:
    import flowlore

    data, series, protocol = capture()
    path = tmp_path / "made.pcap"
    path.write_bytes(data)
    flows = flowlore.read(path)
    assert len(flows) == 60 and not flows.account.skipped
    table = flows.to_arrow()
    lists = zip(table["packet_bytes"].to_pylist(), table["packet_direction"].to_pylist(), strict=True)
    found = sorted([size * way for size, way in zip(*one, strict=True)] for one in lists)
    signed = series.direction * series.size
    wanted = sorted(row[:long].tolist() for row, long in zip(signed, series.lengths, strict=True))
    assert found == wanted
    assert sorted(table["protocol"].to_pylist()) == sorted(protocol.tolist())
    assert table["retransmitted_packets_fwd"].to_pylist().count(0) + table["retransmitted_packets_fwd"].null_count == 60


def test_messages_of_name_services_hold_their_header() -> None:
    series, _ = two_kinds(2)
    short = replace(series, size=np.where(series.is_packet, 28 + 5, 0).astype(np.int32), header=series.header)
    short = with_headers(short, np.full(2, UDP), ("packet_bytes",))
    frames = {}
    for port in (53, 7):
        data = capture_bytes(
            short, Ends(protocol=np.full(2, UDP), dst_port=np.full(2, port), start_ns=np.zeros(2, np.int64))
        )
        frames[port] = struct.unpack_from("<I", data, 24 + 8)[0]
    assert frames == {53: 14 + 28 + 12, 7: 14 + 28 + 5}


def test_packets_stand_in_order_of_time() -> None:
    data, series, _ = capture()
    offset, times = 24, []
    while offset < len(data):
        seconds, ns, kept, _ = struct.unpack_from("<IIII", data, offset)
        times.append(seconds * 10**9 + ns)
        offset += 16 + kept
    assert offset == len(data) and len(times) == series.lengths.sum() and times == sorted(times)


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_reads_it_without_complaint(tmp_path: Path) -> None:
    data, series, _ = capture()
    path = tmp_path / "made.pcap"
    path.write_bytes(data)
    checks = ["-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"]
    fields = ["-T", "fields", "-e", "ip.checksum.status", "-e", "tcp.checksum.status", "-e", "udp.checksum.status"]
    fields += ["-e", "_ws.malformed", "-e", "_ws.expert.severity", "-e", "tcp.analysis.flags"]
    words = ["tshark", "-r", str(path), *checks, *fields, "-E", "separator=,"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    rows = [line.split(",") for line in done.stdout.splitlines()]
    assert len(rows) == series.lengths.sum()
    good = "1"
    for ip, tcp, udp, malformed, severity, analysis in rows:
        assert ip == good and good in (tcp, udp) and not malformed and not analysis
        assert severity in ("", "2097152"), severity  # "chat": what every opened connection gets


def test_lengths_of_payload_get_usual_headers() -> None:
    series, _ = two_kinds(2)
    bare = PacketSeries(
        direction=series.direction,
        size=series.payload.astype(np.int32),
        header=np.zeros_like(series.header),
        gap_ns=series.gap_ns,
        flags=series.flags,
        window=series.window,
        hidden=series.hidden,
    )
    made = with_headers(bare, np.array([UDP, TCP]), ("packet_payload_bytes",))
    assert np.array_equal(made.payload, bare.size)
    assert made.header[0, 0] == 28 and made.header[1, 0] == 40 and (made.header[~made.is_packet] == 0).all()
