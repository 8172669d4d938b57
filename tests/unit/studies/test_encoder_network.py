"""The autoencoder's encoder taught by labels alone."""

import numpy as np

from flowlore.features.augment.packets import PacketSeries
from flowlore.features.augment.settings import AugmentSettings
from flowlore.features.words import beginning_words, packet_words
from flowlore.models.settings import TrainingSettings
from flowlore.studies.augmentation.encoder_network import EncoderClassifier, seen_by_encoder

PACKETS = 12


def made_series(rows: int, rng: np.random.Generator) -> tuple[PacketSeries, np.ndarray]:
    """Two classes: the second sends packets of 900 bytes where the first sends 90."""
    codes = np.arange(rows, dtype=np.int64) % 2
    direction = np.tile(np.resize([1, -1], PACKETS), (rows, 1)).astype(np.int32)
    size = (np.where(codes == 1, 900, 90)[:, None] + rng.integers(0, 5, (rows, PACKETS))).astype(np.int32)
    nothing = np.zeros((rows, PACKETS), np.int32)
    gaps = rng.integers(1000, 10**6, (rows, PACKETS))
    gaps[:, 0] = 0
    hidden = np.zeros((rows, PACKETS), np.bool_)
    return PacketSeries(
        direction=direction, size=size, header=nothing, gap_ns=gaps, flags=nothing, window=nothing, hidden=hidden
    ), codes


def test_it_learns_what_tells_two_classes_apart() -> None:
    series, codes = made_series(200, np.random.default_rng(0))
    asked, truth = made_series(60, np.random.default_rng(1))
    training = TrainingSettings(epochs=8, batch_rows=32, learning_rate=1e-3, least_steps=1)
    augmentation = AugmentSettings(transforms=("wrap:0.3",))
    answers = []
    for _ in range(2):
        network = EncoderClassifier(2, PACKETS)
        network.fit(series, codes, np.random.default_rng(3), augmentation=augmentation, training=training)
        answers.append(network.predict_proba(asked))
    assert (answers[0].argmax(1) == truth).mean() > 0.95
    np.testing.assert_array_equal(answers[0], answers[1])
    assert network.embed(asked).shape == (60, 64)


def test_a_hidden_packet_leaves_a_hole() -> None:
    series, _ = made_series(2, np.random.default_rng(0))
    series.hidden[0, 3] = True
    words, is_packet = packet_words(seen_by_encoder(series), PACKETS)
    assert is_packet[0].tolist() == [1, 1, 1, 0] + [1] * (PACKETS - 4) and is_packet[1].all()
    whole, _ = packet_words(seen_by_encoder(series.take([1])), PACKETS)
    np.testing.assert_array_equal(words[1], whole[0])
    told = [(row != 0).sum() for row in beginning_words(seen_by_encoder(series))]
    assert told[0] < told[1]
