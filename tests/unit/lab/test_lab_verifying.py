"""Labels beside what servers logged, what payloads say, which names were asked for, and what activities wrote down."""

import json
from pathlib import Path
from typing import Any

import pytest

from flowlore.cli import run
from flowlore.errors import InputError
from flowlore.lab.verifying import verify_run
from handmade import ethernet, ipv4, tcp, write_pcap

START_S = 1_700_000_000
CLIENT, SERVER = "10.0.0.1", "10.0.0.2"


def visit(port: int, request: str, agent: str = "curl/8") -> str:
    return f'{START_S}.500 {CLIENT} {port} 80 200 5 "shop.example" "{request}" "{agent}" 1\n'


def visit_in_json(port: int, uri: str) -> str:
    """As Caddy writes it."""
    request = {
        "remote_ip": CLIENT,
        "remote_port": str(port),
        "method": "GET",
        "uri": uri,
        "headers": {"User-Agent": ["curl/8"]},
    }
    return json.dumps({"level": "info", "ts": START_S + 0.5, "msg": "handled request", "request": request}) + "\n"


def run_folder(folder: Path, labels: dict[int, str], visits: str, *, host: str = "shop.example") -> Path:
    """A run in which one client asked one web server once from each of some ports."""
    (folder / "capture").mkdir(parents=True)
    (folder / "logs").mkdir()
    frames = []
    for place, port in enumerate(labels):
        request = f"GET /page-1 HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        at_ns = START_S * 10**9 + place * 1_000_000
        frames.append((at_ns, ethernet(ipv4(tcp(request, src=port, dst=80), src=CLIENT, dst=SERVER))))
    write_pcap(folder / "capture" / "lan.pcap", frames).rename(folder / "capture" / "lan.pcapng")
    hosts: dict[str, Any] = {"desk": {"names": []}, "site": {"names": ["shop.example"]}}
    described = {
        "nodes": {"desk": {"lan": [CLIENT]}, "site": {"lan": [SERVER]}},
        "scenario": {"hosts": hosts},
        "services": [{"host": "site", "service": "web-plain", "port": 80}],
    }
    (folder / "run.json").write_text(json.dumps(described))
    rows = "".join(f"{CLIENT},{SERVER},{port},80,6,{label}\n" for port, label in labels.items() if label)
    (folder / "labels.csv").write_text("src_ip,dst_ip,src_port,dst_port,protocol,label\n" + rows)
    (folder / "logs" / "site.web-plain.access.log").write_text(visits)
    spans = {"from_ns": START_S * 10**9, "to_ns": (START_S + 5) * 10**9, "host": "desk"}
    actions = [json.dumps({**spans, "application": name}) for name in ("web", "video")]
    (folder / "actions.jsonl").write_text("\n".join(actions))
    return folder


def test_labels_that_agree_with_everything(tmp_path: Path) -> None:
    visits = visit(5001, "GET /page-1 HTTP/1.1") + visit(5002, "GET /video/low/1.ts HTTP/1.1")
    found = verify_run(run_folder(tmp_path / "run", {5001: "web", 5002: "video"}, visits))
    assert (found.flows, found.labelled, found.checked, found.wrong) == (2, 2, 2, 0)
    assert found.by_way == {"server logs": (2, 0), "payload": (0, 0), "names": (2, 0), "diary": (2, 0)}


def test_a_label_that_the_server_contradicts_is_wrong(tmp_path: Path) -> None:
    visits = visit(5001, "GET /video/low/1.ts HTTP/1.1") + visit(5002, "GET /x HTTP/1.1", "Debian APT-HTTP/1.3")
    found = verify_run(run_folder(tmp_path / "run", {5001: "web", 5002: "video"}, visits))
    assert (found.checked, found.wrong) == (2, 2)
    assert found.by_way["server logs"] == (2, 2)
    assert [example["against"] for example in found.examples] == [["server logs"], ["server logs"]]


def test_logs_in_json_have_a_word_too(tmp_path: Path) -> None:
    broken = '{"ts": 1}\n{\n{"ts": "", "request": []}\n'
    visits = broken + visit_in_json(5001, "/page-1") + visit_in_json(5002, "/films/list.m3u8")
    found = verify_run(run_folder(tmp_path / "run", {5001: "web", 5002: "web"}, visits))
    assert found.by_way["server logs"] == (2, 1)
    assert [example["src_port"] for example in found.examples] == [5002]


def test_a_label_of_what_the_host_did_not_do_is_wrong(tmp_path: Path) -> None:
    found = verify_run(run_folder(tmp_path / "run", {5001: "mail"}, ""))
    assert found.by_way["diary"] == (1, 1)


def test_a_name_that_is_not_the_servers_is_wrong(tmp_path: Path) -> None:
    found = verify_run(run_folder(tmp_path / "run", {5001: "web"}, "", host="elsewhere.example"))
    assert found.by_way["names"] == (1, 1)


def test_flows_without_a_label_are_counted_and_not_checked(tmp_path: Path) -> None:
    found = verify_run(run_folder(tmp_path / "run", {5001: "web", 5002: ""}, ""))
    assert (found.flows, found.labelled, found.checked) == (2, 1, 1)
    assert found.as_json()["labelled_share"] == 0.5


def test_people_and_programs_are_told(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folder = run_folder(tmp_path / "run", {5001: "web"}, visit(5001, "GET /video/low/1.ts HTTP/1.1"))
    assert run(["lab", "verify", str(folder)]) == 0
    assert "1 labelled, 1 checked, 1 contradicted" in capsys.readouterr().out
    assert run(["lab", "verify", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["wrong_share_of_checked"] == 1.0


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"scenario": {"hosts": []}}'])
def test_a_damaged_description_is_told(tmp_path: Path, text: str) -> None:
    folder = run_folder(tmp_path / "run", {5001: "web"}, "")
    (folder / "run.json").write_text(text)
    with pytest.raises(InputError, match=r"run\.json` is not what a run wrote"):
        verify_run(folder)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(InputError, match="no folder of a run"):
        verify_run(tmp_path)
    assert run(["lab", "verify", str(tmp_path)]) == 2
    assert "lab run SCENARIO" in capsys.readouterr().err
