"""What `fit --task ddos`, `detect --bundle` and `pretrain flowgen --task ddos` refuse before any work."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowlore.cli import run

ATTACK = '{"victim": "10.0.0.1", "from": 1700006400000000000, "to": 1700006410000000000, "kind": "syn-flood"}\n'


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fit", "none", "IN", "--task", "ddoss", "-o", "NEW"], "did you mean `ddos`"),
        (["fit", "none", "IN", "--task", "ddos", "-o", "NEW"], "no file of them is given"),
        (["fit", "none", "IN", "--attacks", "ATTACKS", "-o", "NEW"], "add `--task ddos`"),
        (["detect", "IN", "--learn", "0"], "nothing says what is usual"),
        (["pretrain", "flowgen", "IN", "--task", "dos", "-o", "NEW"], "no task is called `dos`"),
        (["pretrain", "autoencoder", "IN", "--task", "ddos", "-o", "NEW"], "is of flowgen"),
        (["pretrain", "flowgen", "IN", "--augment", "drop-packets", "-o", "NEW"], "learns from rates"),
    ],
)
def test_mistakes_are_told(words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "attacks.jsonl").write_text(ATTACK)
    places = {"IN": tmp_path / "in.parquet", "ATTACKS": tmp_path / "attacks.jsonl", "NEW": tmp_path / "new"}
    assert run([str(places.get(word, word)) for word in words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
