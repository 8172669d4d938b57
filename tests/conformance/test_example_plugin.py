"""The example plug-in works as an installed package: it is listed, it reads, and it keeps the rules of a source."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from flowlore.sources.checks import source_checks


@pytest.fixture(scope="module")
def installed(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for `PYTHONPATH` that holds the plug-in and what an installer writes about it, without a network."""
    plugin = repository / "examples" / "plugin-whitespace"
    project = tomllib.loads((plugin / "pyproject.toml").read_text())["project"]
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(plugin / "flowlore_whitespace.py", folder)
    about = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = project["entry-points"].items()
    lines = [f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in one.items()) for group, one in groups]
    (about / "entry_points.txt").write_text("\n".join(lines))
    return folder


def test_it_is_listed(installed: Path) -> None:
    rows = json.loads(flowlore(installed, "plugins", "--json"))
    row = next(row for row in rows if row["name"] == "whitespace")
    assert (row["kind"], row["package"], row["version"]) == ("source", "flowlore-whitespace", "0.1.0")


def test_it_reads(installed: Path, repository: Path, tmp_path: Path) -> None:
    example = repository / "examples" / "plugin-whitespace" / "example.flows"
    output = tmp_path / "flows.jsonl"
    report = json.loads(flowlore(installed, "flows", str(example), "-o", str(output), "--json").splitlines()[-1])
    assert (report["records"], report["records_in_flows"], report["flows"]) == (4, 3, 3)
    assert report["skipped"] == {"damaged-line": 1}
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert {row["src_ip"] for row in rows} == {"192.0.2.11", "2001:db8:10::11"}
    assert {row["source"] for row in rows} == {"whitespace"}


@pytest.mark.parametrize("check", source_checks(), ids=lambda check: check.__name__)
def test_it_keeps_the_rules(check, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    plugin = repository / "examples" / "plugin-whitespace"
    monkeypatch.syspath_prepend(plugin)
    from flowlore_whitespace import WhitespaceSource

    check(WhitespaceSource, [(plugin / "example.flows").read_bytes()])


def flowlore(site: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-m", "flowlore", *arguments], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
