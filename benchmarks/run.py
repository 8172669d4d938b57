"""Measures everything against the rivals and writes JSON: `python -m benchmarks.run [--quick] [--parts process …]`.

Full runs go to `benchmarks/results`, from which `python -m benchmarks.report` writes docs/benchmarks.md; quick ones go
to `build/benchmarks/quick` and only prove that everything runs.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import captures
from .captures import FOLDER, REPOSITORY, Capture
from .contenders import PORT, RIVALS, Contender, contenders
from .machine import load, machine_class, our_versions, without_folders
from .measure import Run, run_once, summarise
from .nfcapd import measure_nfcapd
from .rivals_setup import DECODERS, set_up_rivals

RESULTS = REPOSITORY / "benchmarks" / "results"
PARTS = ("process", "engine", "memory", "cold", "records")


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.run", description="Measures speed and memory against the rivals.")
    parser.add_argument("--quick", action="store_true", help="one run of each on an extract; proves that all runs")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--captures", nargs="+", choices=("short", "long"), default=["short", "long"])
    parser.add_argument("--only", default="", help="contenders whose name begins so; several with |")
    parser.add_argument("--runs", type=_at_least_one, default=5, help="of each contender that count (default: 5)")
    parser.add_argument("--suffix", default="", help="of the result's name, e.g. -rivals")
    arguments = parser.parse_args()
    os.chdir(REPOSITORY)
    folder = FOLDER / "quick" if arguments.quick else RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    for problem in set_up_rivals():
        print(f"left out: {problem}", flush=True)
    measures = {"process": _process, "engine": _engine, "memory": _memory, "cold": _cold, "records": _records}
    for part in arguments.parts:
        began = load()
        body = measures[part](arguments)
        result = {"part": part, **_circumstances(arguments.quick), "load_before": began, **body}
        (folder / f"{part}{arguments.suffix}.json").write_text(json.dumps(result, indent=1) + "\n")
    if not arguments.quick:
        subprocess.run([sys.executable, "-m", "benchmarks.report"], check=True)


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _circumstances(quick: bool) -> dict[str, Any]:
    settings = subprocess.run([*_flowlore(), "config"], capture_output=True, text=True, check=False).stdout
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "quick": quick,
        "machine": machine_class(),
        "versions": our_versions(),
        "config_hash": hashlib.sha256(settings.encode()).hexdigest()[:12],
    }


def _process(arguments: argparse.Namespace) -> dict[str, Any]:
    """Whole processes, in turn: every contender once, then every contender again, so that slow hours hit all alike."""
    wanted = [each for each in contenders() if any(map(each.name.startswith, arguments.only.split("|")))]
    runs = 1 if arguments.quick else arguments.runs
    rows = []
    for name in arguments.captures:
        built = captures.build(name)
        if arguments.quick:
            built = captures.first_packets(built, 50_000)
        turns: dict[str, list[Run]] = {each.name: [] for each in wanted}
        flows: dict[str, int] = {}
        given = {each.name: _given(each, built, quick=arguments.quick) for each in wanted}
        _warm(built.path)
        for turn in range(runs if arguments.quick else runs + 1):
            for each in wanted:
                if each.missing() or len(turns[each.name]) > min(each.most_runs, runs):
                    continue
                if turns[each.name] and turns[each.name][-1].exit_code != 0:
                    continue  # it failed once: it would again
                run, found = _one(each, given[each.name])
                turns[each.name].append(run)
                flows[each.name] = found
                print(f"{name} {turn} {each.name}: {run.wall_s:.2f} s {run.error}", flush=True)
        for each in wanted:
            kept = turns[each.name]
            if len(kept) > 1 and kept[1].exit_code == 0:
                kept = kept[1:]  # the first was the warm-up
            figures = summarise(kept) if kept else {"runs": 0, "failed": each.missing()}
            capture = given[each.name]
            row = {
                "contender": each.name,
                "ours": each.ours,
                "gives": each.gives,
                "command": each.shown(),
                "version": each.version() if kept else "",
                "cores": each.cores,
                "capture": name,
                "packets": capture.packets,
                "extract": capture.packets if each.extract else 0,
                "flows_out": flows.get(each.name, 0),
                **figures,
            }
            if "wall_s" in figures:
                row["packets_per_s"] = capture.packets / figures["wall_s"]["median"]
            rows.append(row)
    described = [_described(captures.build(name)) for name in arguments.captures]
    return {"captures": described, "rows": rows}


def _given(contender: Contender, capture: Capture, *, quick: bool) -> Capture:
    if not contender.extract:
        return capture
    return captures.first_packets(captures.build(capture.name.partition("-")[0]), 5_000 if quick else contender.extract)


def _one(contender: Contender, capture: Capture) -> tuple[Run, int]:
    out = Path(tempfile.mkdtemp(prefix="bench-", dir=FOLDER))
    cores = range(contender.cores) if contender.cores else None
    try:
        with _listener() if contender.listens else nullcontext():
            run = run_once(contender.words(capture.path, out), cores=cores, environment=contender.environment)
        found = contender.flows(out) if contender.flows and run.exit_code == 0 else 0
    finally:
        shutil.rmtree(out)
    return run, found


@contextmanager
def _listener() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, str(RIVALS / "discard_udp.py"), str(PORT)])
    time.sleep(0.5)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _engine(arguments: argparse.Namespace) -> dict[str, Any]:
    """In one process, warm, pinned to one core and to two."""
    measured = []
    for name in arguments.captures:
        built = captures.build(name)
        if arguments.quick:
            built = captures.first_packets(built, 50_000)
        _warm(built.path)
        for cores in (1, 2):
            command = [sys.executable, "-m", "benchmarks.engine", str(built.path), "1" if arguments.quick else "7"]
            run = run_once(command, cores=range(cores))
            print(f"engine {name} {cores}: {run.wall_s:.1f} s {run.error}", flush=True)
            result = json.loads(run.last_line) if run.exit_code == 0 else {"cores": cores, "failed": run.error}
            measured.append({"capture": name, **result})
    return {"measured": measured}


def _memory(arguments: argparse.Namespace) -> dict[str, Any]:
    """Peak memory of whole processes, above that of the same process on an empty capture."""
    names = ("empty", "concurrent", "short") if arguments.quick else ("empty", "concurrent", "short", "tenfold", "long")
    contender = contenders()[0]
    rows = []
    for cores in (1, 2):
        for name in names:
            built = captures.build(name)
            runs = []
            for _ in range(1 if arguments.quick else 3):
                out = Path(tempfile.mkdtemp(prefix="bench-", dir=FOLDER))
                runs.append(run_once(contender.words(built.path, out), cores=range(cores), sample_memory=True))
                shutil.rmtree(out)
            print(f"memory {name} {cores}: {runs[-1].peak_rss_mb:.0f} MB {runs[-1].error}", flush=True)
            report = json.loads(runs[-1].last_line) if runs[-1].exit_code == 0 else {}
            row = {"capture": name, "cores": cores, "packets": built.packets, "flows": built.flows}
            rows.append({**row, "open_flows_note": report.get("notes", {}), **summarise(runs)})
    return {"rows": rows, "command": contender.shown()}


def _cold(arguments: argparse.Namespace) -> dict[str, Any]:
    """The first use ever (compile), the first call of a process that finds compiled kernels, and `--help`."""
    demo = str(REPOSITORY / "src/flowlore/data/demo/office.pcapng")
    rows = []
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as out:
        fresh = {"NUMBA_CACHE_DIR": cache}
        flows = [*_flowlore(), "flows", demo, "-o", f"{out}/flows.parquet", "--overwrite", "--json", "--no-progress"]
        commands = [
            ("flowlore warm, nothing compiled yet", [*_flowlore(), "warm"], 1),
            ("flowlore flows on the demo capture", flows, 5),
            ("flowlore --help", [*_flowlore(), "--help"], 5),
            ("import flowlore", [sys.executable, "-c", "import flowlore"], 5),
        ]
        for name, command, times in commands:
            for cores in (1, 2) if times == 1 else (2,):
                if times == 1:
                    fresh = {"NUMBA_CACHE_DIR": f"{cache}/{cores}"}
                runs = [run_once(command, cores=range(cores), environment=fresh) for _ in range(times)]
                print(f"cold {name}: {runs[-1].wall_s:.2f} s {runs[-1].error}", flush=True)
                rows.append({"name": name, "cores": cores, **summarise(runs)})
    return {"rows": rows}


def _records(arguments: argparse.Namespace) -> dict[str, Any]:
    """Export datagrams: `benchmarks/netflow_decode.py` beside the decoders of PyPI, and nfcapd on the same streams."""
    script = Path("benchmarks") / "netflow_decode.py"
    if not script.exists():
        return {"failed": f"{script} is not there"}
    count = 100_000 if arguments.quick else 1_000_000
    words = [sys.executable, str(script), "--records", str(count), "--repeats", "1" if arguments.quick else "7"]
    environment = {**os.environ, "PYTHONPATH": str(DECODERS)}
    result = subprocess.run(words, capture_output=True, text=True, check=False, timeout=1_800, env=environment)
    if result.returncode:
        return {"failed": without_folders((result.stderr.strip().splitlines() or ["failed"])[-1])}
    collectors = [measure_nfcapd(version, count) for version in (5, 9, 10)] if shutil.which("nfcapd") else []
    return {
        "measured": json.loads(result.stdout),
        "nfcapd": collectors,
        "command": f"python {script} --records {count}",
    }


def _described(capture: Capture) -> dict[str, Any]:
    return {
        "name": capture.name,
        "packets": capture.packets,
        "flows": capture.flows,
        "megabytes": round(capture.bytes / 1e6),
        "recipe_hash": capture.recipe_hash,
    }


def _flowlore() -> list[str]:
    return [str(Path(sys.executable).with_name("flowlore"))]


def _warm(path: Path) -> None:
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 24):
            pass


if __name__ == "__main__":
    main()
