"""Who is measured, with which command, and what each gives for it. `CAPTURE` and `OUT` stand for paths."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .captures import FOLDER
from .machine import version_of

RIVALS = Path("benchmarks") / "rivals"
PORT = 29_951
NFSTREAM_TIMEOUTS = ("--set", "meter.idle_timeout_s=120", "--set", "meter.active_timeout_s=1800")


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A tool in one configuration."""

    name: str
    gives: str  # what comes out, in a few words
    command: tuple[str, ...]
    version: Callable[[], str]
    ours: bool = False
    cores: int = 0  # 0: not pinned, as it comes
    extract: int = 0  # packets of the capture that it gets, 0 for all
    most_runs: int = 100
    listens: bool = False  # sends to a listener of ours that throws away
    flows: Callable[[Path], int] | None = None  # counts flows in its output
    environment: dict[str, str] = field(default_factory=dict)

    def words(self, capture: Path, out: Path) -> list[str]:
        """The command for one run."""
        places = {
            "CAPTURE": str(capture),
            "OUT": str(out),
            "BENCH": str(VENV / "bin/python"),
            "CIC": str(CIC_VENV / "bin/python"),
        }
        places["FLOWLORE"] = str(Path(sys.executable).with_name("flowlore"))
        return [places.get(word, word).replace("OUT/", f"{out}/") for word in self.command]

    def shown(self) -> str:
        """The command for a reader, without anybody's paths."""
        names = {"BENCH": "python", "CIC": "python", "FLOWLORE": "flowlore"}
        return " ".join(names.get(word, word) for word in self.command)

    def missing(self) -> str:
        """Why it cannot run here, or nothing."""
        program = self.words(Path("x"), Path("y"))[0]
        return "" if shutil.which(program) else f"`{Path(program).name}` is not installed"


VENV = FOLDER / "venv"
CIC_VENV = FOLDER / "venv-cicflowmeter"


def contenders() -> list[Contender]:
    """Ours first, then the rivals from Python to C."""
    return [*_ours(), *_python(), *_native()]


def _ours() -> list[Contender]:
    def ours(name: str, gives: str, *settings: str, cores: int = 1) -> Contender:
        command = ("FLOWLORE", "flows", "CAPTURE", "-o", "OUT/flows.parquet", "--json", "--no-progress", *settings)
        return Contender(
            name=name, gives=gives, command=command, version=_our_version, ours=True, cores=cores, flows=_parquet_rows
        )

    plain = ("--set", "meter.max_packets=0", "--set", "meter.names=false", "--set", "meter.community_id=false")
    return [
        ours("flowlore", "everything: statistics, 32 packets, names, ids; Parquet"),
        ours("flowlore, NFStream's timeouts", "everything, idle 120 s; Parquet", *NFSTREAM_TIMEOUTS),
        ours("flowlore, two cores", "everything; Parquet", cores=2),
        ours(
            "flowlore, two cores, NFStream's timeouts", "everything, idle 120 s; Parquet", *NFSTREAM_TIMEOUTS, cores=2
        ),
        ours("flowlore, statistics only", "no packet series, names, Community ID; Parquet", *plain),
        Contender(
            name="flowlore, CSV",
            gives="everything; CSV",
            command=("FLOWLORE", "flows", "CAPTURE", "-o", "OUT/flows.csv", "--json", "--no-progress"),
            version=_our_version,
            ours=True,
            cores=1,
        ),
    ]


def _python() -> list[Contender]:
    def python(
        name: str,
        gives: str,
        script: str,
        *words: str,
        package: str,
        extract: int = 0,
        most_runs: int = 100,
        cores: int = 0,
    ) -> Contender:
        interpreter = "CIC" if package == "cicflowmeter" else "BENCH"
        venv = CIC_VENV if package == "cicflowmeter" else VENV
        return Contender(
            name=name,
            gives=gives,
            command=(interpreter, str(RIVALS / script), "CAPTURE", "OUT/flows.csv", *words),
            version=lambda: _package_version(venv, package),
            extract=extract,
            most_runs=most_runs,
            cores=cores,
            flows=_csv_rows if package != "dpkt" and package != "scapy" else _csv_lines,
        )

    return [
        python("NFStream without DPI", "statistics, 20 packets; CSV", "nfstream_flows.py", "full", package="nfstream"),
        python(
            *("NFStream without DPI, one core", "the same, pinned to one core; CSV", "nfstream_flows.py", "full"),
            package="nfstream",
            cores=1,
        ),
        python("NFStream with DPI", "the same and nDPI's names; CSV", "nfstream_flows.py", "names", package="nfstream"),
        python("NFStream, least", "counters only; CSV", "nfstream_flows.py", "least", package="nfstream"),
        python("dpkt loop", "counters, 20 packets; CSV", "dpkt_flows.py", package="dpkt"),
        python(
            "scapy loop", "counters, 20 packets; CSV", "scapy_flows.py", package="scapy", extract=100_000, most_runs=3
        ),
        python(
            *("cicflowmeter", "82 statistics; CSV", "cicflowmeter_flows.py"),
            package="cicflowmeter",
            extract=20_000,
            most_runs=1,
        ),
    ]


def _native() -> list[Contender]:
    fields = "frame.time_epoch ip.src ip.dst ip.proto tcp.srcport tcp.dstport udp.srcport udp.dstport ip.len tcp.flags"
    tshark = (
        "tshark",
        "-n",
        "-r",
        "CAPTURE",
        "-T",
        "fields",
        *(word for name in fields.split() for word in ("-e", name)),
    )
    suricata = ("suricata", "-c", str(RIVALS / "suricata.yaml"), "--runmode", "single", "-k", "none")
    return [
        Contender(
            name="tshark",
            gives="ten fields of each packet, no flows; text",
            command=tshark,
            version=lambda: version_of(["tshark", "--version"]),
            most_runs=1,
        ),
        Contender(
            name="Suricata",
            gives="flow log with names, no rules; JSON",
            command=(*suricata, "-r", "CAPTURE", "-l", "OUT", "-S", "/dev/null"),
            version=lambda: version_of(["suricata", "-V"]),
            flows=lambda out: _lines(out / "eve.json"),
        ),
        Contender(
            name="argus",
            gives="counters; binary",
            command=("argus", "-r", "CAPTURE", "-w", "OUT/flows.argus"),
            version=lambda: version_of(["argus", "-h"]),
        ),
        Contender(
            name="nfpcapd",
            gives="counters, one direction each; binary",
            command=("nfpcapd", "-r", "CAPTURE", "-w", "OUT"),
            version=lambda: version_of(["nfpcapd", "-V"]),
        ),
        Contender(
            name="softflowd",
            gives="counters, one direction each; NetFlow v9 over UDP",
            command=("softflowd", "-r", "CAPTURE", "-n", f"127.0.0.1:{PORT}", "-d", "-v", "9", "-m", "1000000",
                     "-p", "OUT/pid", "-c", "none"),
            version=lambda: version_of(["softflowd", "-h"]),
            listens=True,
        ),
    ]  # fmt: skip


def _our_version() -> str:
    from importlib.metadata import version

    return version("flowlore")


def _package_version(venv: Path, package: str) -> str:
    python = venv / "bin" / "python"
    return version_of([str(python), "-c", f"import importlib.metadata as m; print(m.version('{package}'))"])


def _parquet_rows(out: Path) -> int:
    import pyarrow.parquet

    return int(pyarrow.parquet.ParquetFile(out / "flows.parquet").metadata.num_rows)


def _csv_rows(out: Path) -> int:
    return _lines(out / "flows.csv") - 1


def _csv_lines(out: Path) -> int:
    return _lines(out / "flows.csv")


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0
