"""`flowlore entities`: vectors of hosts from flows on the disk, and what is said where there are none."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from entitiesmade import Talk, flows_of, two_crowds
from flowlore.cli import run

QUICK = ["--set", "skipgram.width=16", "--set", "skipgram.window=5", "--set", "skipgram.epochs=5"]


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    path = tmp_path / "flows.parquet"
    two_crowds(talks=4_000).write(path)
    return path


@pytest.fixture
def people(flows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    path = tmp_path / "people"
    assert run(["entities", "learn", str(flows), "-o", str(path), *QUICK]) == 0
    printed = capsys.readouterr().out
    assert "4,000 flows: 80 hosts in 4 sentences" in printed
    assert "80 hosts, 4 ports, 4 names → " in printed
    return path


def test_hosts_alike(people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["entities", "similar", str(people), "10.0.0.4", "--count", "3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["is_known"], len(found["similar"])) == ("host", True, 3)
    assert all(int(one["word"].rpartition(".")[2]) % 2 == 0 for one in found["similar"])
    assert run(["entities", "similar", str(people), "10.8.0.200"]) == 0
    printed = capsys.readouterr().out
    assert "this host was never met" in printed
    assert "10.8.0." in printed


def test_later_flows(people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    later = tmp_path / "later.parquet"
    flows_of([Talk(at, f"10.9.0.{at % 4}", port=22) for at in range(200)]).write(later)
    before = (people / "bundle.json").read_bytes()
    assert run(["entities", "update", str(people), str(later), "-o", str(tmp_path / "newer"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["known"]["hosts"] == 84
    assert (people / "bundle.json").read_bytes() == before
    assert run(["entities", "update", str(people), str(later)]) == 0
    assert "84 hosts" in capsys.readouterr().out
    assert (people / "weights.safetensors").read_bytes() == (tmp_path / "newer/weights.safetensors").read_bytes()


def test_a_row_for_each_host(people: Path, flows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "hosts.parquet"
    words = ["entities", "embed", str(people), str(flows), "-o", str(output), "--where", "dst_port = 22"]
    assert run([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["parts"] == {"host": 16, "ports": 16, "names": 16}
    table = pq.read_table(output)
    assert table.num_rows == found["hosts"] == found["known"] == 40
    assert len(table.column("vector")[0]) == 48
    assert table.schema.metadata[b"flowlore.parts"] == b"host 16, ports 16, names 16"
    assert run(words) == 2
    assert "already there" in capsys.readouterr().err


def test_with_vectors_of_flows(people: Path, flows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the bundle that ships: its flows lack all that it could use, and that is said; captures have it."""
    from flowlore.cli.demo import DEMO_CAPTURE

    output = tmp_path / "hosts.jsonl"
    bundle = _packaged_bundle()
    words = ["entities", "embed", str(people), str(DEMO_CAPTURE), "-o", str(output), "--bundle", bundle]
    assert run([*words, "--json"]) == 0
    parts = json.loads(capsys.readouterr().out)["parts"]
    assert list(parts) == ["flows", "host", "ports", "names"]
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert {len(row["vector"]) for row in rows} == {sum(parts.values())}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["similar", "{people}", "192.0.2.77"], "nothing is known of the host"),
        (["similar", "{people}", "10.0.0.1", "--kind", "person"], "no kind `person` (known: host, port, name)"),
        (["similar", "nowhere", "10.0.0.1"], "no folder and no bundle called `nowhere`"),
        (["similar", "{here}", "10.0.0.1"], "is not a bundle"),
        (["update", "{people}", "missing.parquet"], "missing.parquet"),
        (["learn", "{flows}", "-o", "{people}"], "already there"),
        (["learn", "{flows}", "-o", "{here}/new", "--set", "skipgram.width=0"], "skipgram.width"),
        (["learn", "{flows}", "-o", "{here}/new", "--where", "dst_port = 1"], "no two hosts met one service"),
        (["embed", "{people}", "{flows}", "-o", "{here}/x.parquet", "--bundle", "{people}"], "vectors of entities"),
        (
            ["embed", "{people}", "{flows}", "-o", "{here}/x.parquet", "--where", "dst_port = 1"],
            "no flow says who began",
        ),
    ],
)
def test_what_is_refused(
    people: Path, flows: Path, tmp_path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"people": people, "flows": flows, "here": tmp_path}
    assert run(["entities", *(word.format(**places) for word in words)]) == 2
    printed = capsys.readouterr().err
    assert said in printed and "hint:" in printed


def _packaged_bundle() -> str:
    from flowlore.tasks.bundle_shelf import PACKAGED

    return str(next(path for path in sorted(PACKAGED.iterdir()) if path.is_dir()))
