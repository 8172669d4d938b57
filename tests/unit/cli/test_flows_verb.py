"""`flowlore flows` and `inspect` on the capture that ships with the package."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flowlore.cli import run
from flowlore.cli.demo import DEMO_CAPTURE
from flowlore.cli.live import address_of
from flowlore.errors import InputError
from handmade import ethernet, ipv4, udp, write_pcap
from mmdb import write_mmdb

CAPTURE = str(DEMO_CAPTURE)


def last_json(capsys: pytest.CaptureFixture) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_the_account_is_the_last_line_and_adds_up(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    output = tmp_path / "flows.parquet"
    assert run(["flows", CAPTURE, "-o", str(output), "--json"]) == 0
    report = last_json(capsys)
    assert {"packets", "packets_in_flows", "records", "records_in_flows", "flows", "skipped", "seconds"} <= set(report)
    assert report["packets"] == 1683
    assert report["packets"] == report["packets_in_flows"] + sum(report["skipped"].values())
    assert report["output"] == str(output)
    assert pq.read_metadata(output).num_rows == report["flows"]
    metadata = pq.read_schema(output).metadata
    assert metadata[b"flowlore.config_hash"].decode() == report["config_hash"]
    assert b"idle_timeout_s" in metadata[b"flowlore.config"]


def test_an_output_that_exists_stays(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    output = tmp_path / "flows.csv"
    output.write_text("precious")
    assert run(["flows", CAPTURE, "-o", str(output)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert output.read_text() == "precious"
    assert run(["flows", CAPTURE, "-o", str(output), "--overwrite"]) == 0
    assert output.read_text().startswith("start,")
    assert list(tmp_path.iterdir()) == [output]


def test_a_failure_leaves_nothing_behind(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(["flows", CAPTURE, "-o", str(tmp_path / "flows.parquet"), "--where", "no_such_column = 3"]) == 2
    assert "no_such_column" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_where_keeps_some_and_counts_the_others(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    all_rows, some = tmp_path / "all.parquet", tmp_path / "some.parquet"
    assert run(["flows", CAPTURE, "-o", str(all_rows), "--json"]) == 0
    whole = last_json(capsys)
    assert run(["flows", CAPTURE, "-o", str(some), "--where", "dst_port = 53", "--json"]) == 0
    report = last_json(capsys)
    assert 0 < report["flows"] < whole["flows"]
    assert report["flows"] + report["notes"]["rows-filtered"] == whole["flows"]
    assert report["packets"] == whole["packets"]


def test_flows_on_standard_output_stay_alone_there(capsys: pytest.CaptureFixture) -> None:
    assert run(["flows", CAPTURE, "-o", "-", "--where", "dst_port = 22"]) == 0
    printed = capsys.readouterr()
    assert all(json.loads(line)["dst_port"] == 22 for line in printed.out.splitlines())
    assert "1,683 packets" in printed.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "nothing to read was named"),
        (["a.pcap", "-i", "lo"], "exclude each other"),
        (["a.pcap", "--duration", "3"], "stop a live reading"),
        (["a.pcap"], "where the flows should go was not said"),
        (["absent.pcap", "-o", "x.parquet"], "`absent.pcap` does not exist"),
        ([CAPTURE, "-o", "x.xlsx"], "what to write is not known"),
        ([CAPTURE, "-o", "x.parquet", "--set", "meter.idle=3"], "did you mean `meter.idle_timeout_s`?"),
        ([CAPTURE, "-o", "no/such/folder/x.parquet"], "no/such/folder"),
        (["--listen", "here:there", "-o", "x.parquet"], "is not HOST:PORT"),
    ],
)
def test_wrong_requests_are_helped(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["flows", *arguments]) == 2
    printed = capsys.readouterr()
    assert words in printed.err
    assert "Traceback" not in printed.err
    assert list(tmp_path.iterdir()) == []


def test_networks_and_countries_come_from_databases(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    frame = ethernet(ipv4(udp(b"hello"), src="10.0.0.1", dst="8.8.8.8", protocol=17))
    capture, output = (
        str(write_pcap(tmp_path / "in.pcap", [(1_700_000_000_000_000_000, frame)])),
        tmp_path / "flows.jsonl",
    )
    asn = write_mmdb(tmp_path / "asn.mmdb", {"8.8.8.0/24": {"autonomous_system_number": 64500}})
    geo = write_mmdb(tmp_path / "geo.mmdb", {"8.8.8.0/24": {"country": {"iso_code": "IE"}}})
    databases = ["--asn", str(asn), "--geo", str(geo)]
    assert run(["flows", capture, "-o", str(output), *databases, "--where", "dst_as = 64500"]) == 0
    (row,) = map(json.loads, output.read_text().splitlines())
    assert (row["dst_as"], row["dst_country"], row.get("src_as"), row.get("src_country")) == (64500, "IE", None, None)
    capsys.readouterr()
    assert run(["inspect", capture, *databases, "--json"]) == 0
    rankings = last_json(capsys)["rankings"]
    assert rankings["networks"]["top"][0]["dst_as"] == 64500
    assert rankings["countries"]["top"][0]["dst_country"] == "IE"


@pytest.mark.parametrize("option", ["--asn", "--geo"])
@pytest.mark.parametrize("verb", [["flows", CAPTURE, "-o", "flows.parquet"], ["inspect", CAPTURE]])
def test_what_is_no_database_is_said(
    option: str, verb: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run([*verb, option, "absent.mmdb"]) == 2
    error = capsys.readouterr().err
    assert "there is no file `absent.mmdb`" in error and f"`{option}` takes a database" in error
    assert list(tmp_path.iterdir()) == []


def test_progress_when_asked(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(["flows", CAPTURE, "-o", str(tmp_path / "a.parquet"), "--progress"]) == 0
    assert "kB" in capsys.readouterr().err


def test_no_progress_off_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(["flows", CAPTURE, "-o", str(tmp_path / "a.parquet")]) == 0
    assert capsys.readouterr().err == ""


def test_inspect_tells_what_is_in_it(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    page = tmp_path / "page.html"
    assert run(["inspect", CAPTURE, "--html", str(page)]) == 0
    printed = capsys.readouterr().out
    for words in ("pcapng", "tls", "play.video.example", "not-ip", "tcp 443", str(page)):
        assert words in printed
    assert "play.video.example" in page.read_text()
    assert run(["inspect", CAPTURE, "--html", str(page)]) == 2


def test_inspect_as_json_has_the_same_account(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(["inspect", CAPTURE, "--json"]) == 0
    found = last_json(capsys)
    assert found["packets"] == found["packets_in_flows"] + sum(found["skipped"].values())
    assert found["rankings"]["names"]["top"][0]["server_name"] == "play.video.example"


def test_inspect_says_when_there_are_no_exporters(capsys: pytest.CaptureFixture) -> None:
    assert run(["inspect", CAPTURE, "--exporters"]) == 0
    assert "no exporters" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":9995", ("", 9995)),
        ("6343", ("", 6343)),
        ("127.0.0.1:2055", ("127.0.0.1", 2055)),
        ("127.0.0.1", ("127.0.0.1", 2055)),
        ("[::1]:9995", ("::1", 9995)),
        ("[::1]", ("::1", 2055)),
        ("::1", ("::1", 2055)),
        ("collector.example:9995", ("collector.example", 9995)),
    ],
)
def test_addresses_to_listen_on(text: str, address: tuple[str, int]) -> None:
    assert address_of(text) == address


@pytest.mark.parametrize("text", ["host:port", "host:", "host:99999", "127.0.0.1:-1"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(InputError):
        address_of(text)
