"""`flowlore hosts` and `flowlore graph`: what they print and write, and how they refuse."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import flowlore
from exportsmade import free_port, netflow_v5, sending
from flowlore.cli import run
from flowlore.cli.demo import DEMO_CAPTURE
from flowlore.models.graph.settings import GraphEncoderSettings
from flowlore.tasks.pretraining import pretrain


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small bundle of the graph network, trained on the demo."""
    path = tmp_path_factory.mktemp("bundles") / "office"
    settings = GraphEncoderSettings(width=8, training_flows=64)
    pretrain("graph", flowlore.read(DEMO_CAPTURE).sort(), rng=np.random.default_rng(0), settings=settings).save(path)
    return path


def test_hosts(office: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    output = tmp_path / "hosts.parquet"
    assert run(["hosts", str(office), str(DEMO_CAPTURE), "--top", "3", "-o", str(output)]) == 0
    printed = capsys.readouterr().out
    assert "35 hosts, 198 flows in" in printed and "surprise" in printed
    table = pq.read_table(output)
    assert table.num_rows == 35
    first = table.column("host")[0].as_py()
    mapped = next(host for host in table.column("host").to_pylist() if ":" not in host)
    assert first in printed
    assert run(["hosts", str(office), str(DEMO_CAPTURE), "--host", first]) == 0
    assert "flows that decided" in capsys.readouterr().out
    assert run(["hosts", str(office), str(DEMO_CAPTURE), "--top", "2", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["hosts"] == 35 and len(report["verdicts"]) == 2
    assert len(report["verdicts"][0]["reasons"]) >= 1
    assert run(["hosts", str(office), str(DEMO_CAPTURE), "--host", "203.0.113.99"]) == 2
    assert "no flow has the host" in capsys.readouterr().err
    assert run(["hosts", str(office), str(DEMO_CAPTURE), "--host", f"::ffff:{mapped}"]) == 0
    assert capsys.readouterr().out.startswith(f"{mapped}: ")


def test_hosts_of_what_is_heard(office: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    port, output = free_port(), tmp_path / "surprise.jsonl"
    with sending(port, netflow_v5(3)):
        words = ["hosts", str(office), "--listen", f"127.0.0.1:{port}", "--duration", "1"]
        assert run([*words, "--surprise", str(output), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert report["flows"]["flows"] == len(rows) >= 3 and report["hosts"] == len(report["verdicts"]) >= 2
    judged = [row for row in rows if "surprise" in row]
    assert sum(one["flows_out"] for one in report["verdicts"]) == len(judged) >= 3
    assert len(judged) + report["flows"].get("copies", 0) == len(rows), "the same records come again and again"
    assert run(["hosts", str(office), "--listen", f"127.0.0.1:{free_port()}", "--duration", "0.2"]) == 2
    assert "hosts: there is not one flow" in capsys.readouterr().err
    assert run(["hosts", str(office)]) == 2
    assert "nothing to read was named" in capsys.readouterr().err


def test_hosts_as_a_spreadsheet(office: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    output = tmp_path / "hosts.csv"
    assert run(["hosts", str(office), str(DEMO_CAPTURE), "-o", str(output)]) == 0
    header, first, *_ = output.read_text().splitlines()
    assert header.endswith(",vector") and len(output.read_text().splitlines()) == 36
    vector = first.partition('"[')[2].removesuffix(']"').split(",")
    assert len(vector) == 16 and all(np.isfinite(float(one)) for one in vector)


def test_hosts_refuses(office: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(["hosts", str(office), str(DEMO_CAPTURE), "--ordinary", "web"]) == 2
    assert "`office` was taught no classes, so none of them is ordinary" in capsys.readouterr().err
    assert run(["hosts", str(office), str(DEMO_CAPTURE), "--where", "dst_port = 1 and dst_port = 2"]) == 2
    assert "there is no flow in" in capsys.readouterr().err


def test_surprise_of_every_flow(office: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    output = tmp_path / "strange.parquet"
    assert run(["hosts", str(office), str(DEMO_CAPTURE), "--surprise", str(output)]) == 0
    assert f"surprise of 198 flows → {output}" in capsys.readouterr().out
    table = pq.read_table(output)
    assert table.num_rows == 198 and table.column("surprise").null_count == 0
    parts = [table.column(f"{name}_surprise").to_numpy() for name in ("source", "target", "numbers")]
    most = np.max(parts, axis=0)
    assert np.corrcoef(table.column("surprise").to_numpy(), most)[0, 1] > 0.5, "the strangest side has most to say"
    assert set(table.column("flow_id").to_pylist()) == set(flowlore.read(DEMO_CAPTURE)["flow_id"].to_pylist())


def test_a_bundle_gets_used_to_another_network(office: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    new = tmp_path / "branch"
    assert run(["accustom", str(office), str(DEMO_CAPTURE), "-o", str(new)]) == 0
    assert "accustomed to 198 flows" in capsys.readouterr().out
    assert run(["hosts", str(new), str(DEMO_CAPTURE), "--top", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["hosts"] == 35
    assert run(["accustom", str(office), str(DEMO_CAPTURE), "-o", str(new)]) == 2
    assert "is already there" in capsys.readouterr().err
    assert run(["accustom", str(office), str(DEMO_CAPTURE), "-o", str(new), "--overwrite", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["flows"] == 198


def test_networks_apart(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    few = ["--set", "graph.width=8", "--set", "training.least_steps=1", "--set", "training.epochs=1"]
    made = tmp_path / "networks"
    both = [str(DEMO_CAPTURE), str(DEMO_CAPTURE)]
    assert run(["pretrain", "graph", *both, "--apart", "-o", str(made), *few, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["networks"] == 2
    assert run(["pretrain", "flowgen", *both, "--apart", "-o", str(tmp_path / "no")]) == 2
    assert "`--apart` is of `graph`" in capsys.readouterr().err
    assert run(["pretrain", "graph", both[0], "--apart", "-o", str(tmp_path / "no"), *few]) == 2
    assert "is the only one" in capsys.readouterr().err


def test_windows_are_those_of_the_bundle(office: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    asked = ["hosts", str(office), str(DEMO_CAPTURE), "--set"]
    assert run([*asked, "graph.windows.window_s=10"]) == 2
    assert "was trained with `window_s` 5.0, and 10.0 was asked for" in capsys.readouterr().err
    page = tmp_path / "page.html"
    graph = ["graph", str(DEMO_CAPTURE), "-o", str(page), "--bundle", str(office), "--set", "graph.windows.window_s=10"]
    assert run(graph) == 2
    assert "was trained with `window_s` 5.0, and 10.0 was asked for" in capsys.readouterr().err
    assert not page.exists()
    assert run([*asked, "graph.windows.window_s=5"]) == 0
    assert run([*asked, "graph.windows.wait_s=600", "--set", "graph.windows.most_waiting=1000"]) == 0
    for verb, more in (("embed", ["-o", str(tmp_path / "vectors.parquet")]), ("discover", [])):
        assert run([verb, str(office), str(DEMO_CAPTURE), *more, "--set", "graph.windows.memory_windows=2"]) == 2
        assert "was trained with `memory_windows` 5, and 2 was asked for" in capsys.readouterr().err


def test_flows_are_embedded_and_answered_by_windows(
    office: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    output = tmp_path / "vectors.parquet"
    assert run(["embed", str(office), str(DEMO_CAPTURE), "-o", str(output), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["flows"] == 198
    vectors = dict(
        zip(pq.read_table(output)["flow_id"].to_pylist(), pq.read_table(output)["vector"].to_pylist(), strict=True)
    )
    flows = flowlore.read(DEMO_CAPTURE).sort()
    whole = flowlore.load(office).embed(flows).vectors
    got = np.array([vectors[key] for key in flows["flow_id"].to_pylist()])
    np.testing.assert_allclose(got, whole, atol=1e-5)


def test_graph(office: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    page = tmp_path / "graph.html"
    assert run(["graph", str(DEMO_CAPTURE), "-o", str(page), "--host", "192.0.2.66"]) == 0
    assert "around 192.0.2.66" in capsys.readouterr().out
    assert "graph-data" in page.read_text()
    assert run(["graph", str(DEMO_CAPTURE), "-o", str(page)]) == 2
    assert "already there" in capsys.readouterr().err
    marked = ["graph", str(DEMO_CAPTURE), "--bundle", str(office), "-o", str(page), "--overwrite", "--json"]
    assert run(marked) == 0
    assert json.loads(capsys.readouterr().out)["hosts"] > 2
    assert "surprise" in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([str(DEMO_CAPTURE)], "where the page should go was not said"),
        ([str(DEMO_CAPTURE), "-o", "PAGE", "--host", "nobody"], "no flow has the host `nobody`"),
        ([str(DEMO_CAPTURE), "-o", "PAGE", "--where", "dst_port = 1 and dst_port = 2"], "there is no flow in"),
    ],
    ids=["nowhere", "nobody", "nothing"],
)
def test_graph_refuses(arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    page = tmp_path / "graph.html"
    assert run(["graph", *(str(page) if one == "PAGE" else one for one in arguments)]) == 2
    assert words in capsys.readouterr().err
    assert not any(tmp_path.iterdir())
