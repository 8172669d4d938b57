"""nfdump: its CSV and line output, and nfcapd files read through the installed `nfdump`. Directions are paired."""

import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from ...errors import InputError, MissingDependency
from ...flows.addresses import parse_addresses
from ...flows.ids import address_halves
from ..compressed import break_reason
from ..identity import identity_of
from ..source import Account, Head, Input
from .columns import as_durations, as_flags, as_instants, as_integers, as_ports, as_protocols
from .directed import Paired, Records, Texts, empty_records, finish_batch, know, known_bit
from .mappedrows import part_of
from .pairing import Pairer
from .settings import NfdumpSettings
from .tables import read_separated
from .text import distinct, line_blocks, read_delimited

MAGICS = (b"\x0c\xa5", b"\xa5\x0c")  # of nfcapd files, written by either byte order
VERSIONS = (1, 2)
FOOTERS = (b"Summary\n", b"No matching flows\n", b"No matched flows\n")
BAD_ADDRESS = "bad-address"
BAD_TIME = "bad-time"

# What is asked of nfdump for an nfcapd file. Ends are left to `td`: some versions print `%ter` wrongly.
PRINTED = (
    "tsr", "td", "sa", "da", "sp", "dp", "pr", "flg", "tos", "ipkt", "ibyt", "opkt", "obyt", "in", "out", "sas", "das",
    "svln", "ra",
)  # fmt: skip

# Output for people, `-o line` and `-o long`: only in the latter are there flags and type of service.
LINE_HEADERS = (b"Date flow start", b"Date first seen")
LINE = (
    r"^(?<ts>\d{4}-\d\d-\d\d\s+\d\d:\d\d:\d\d(?:\.\d+)?)\s+(?<td>[\d.]+)\s+(?<pr>\S+)\s+(?<sa>\S+):(?<sp>[\d.]+)\s+->"
    r"\s+(?<da>\S+):(?<dp>[\d.]+)\s+(?:(?<flg>[.A-Z]{6,8}|0x[0-9a-f]+)\s+(?<tos>\d+)\s+)?(?<ipkt>\d+)\s+(?<ibyt>\d+)\s+\d+\s*$"
)

# Columns by what they mean, as the versions of nfdump have called them.
NAMES = {
    "start": ("tsr", "ts", "firstSeen"),
    "duration": ("td", "duration"),
    "src_ip": ("sa", "srcAddr"),
    "dst_ip": ("da", "dstAddr"),
    "src_port": ("sp", "srcPort"),
    "dst_port": ("dp", "dstPort"),
    "protocol": ("pr", "proto"),
    "tcp_flags": ("flg", "flags"),
    "tos": ("tos", "stos", "srcTos"),
    "packets": ("ipkt", "packets", "inPackets", "pkt"),
    "bytes": ("ibyt", "bytes", "inBytes", "byt"),
    "packets_rev": ("opkt", "outPackets"),
    "bytes_rev": ("obyt", "outBytes"),
    "input_interface": ("in", "input"),
    "output_interface": ("out", "output"),
    "src_as": ("sas", "srcAS"),
    "dst_as": ("das", "dstAS"),
    "vlan": ("svln",),
    "exporter": ("ra",),
}
REQUIRED = ("start", "duration", "src_ip", "dst_ip", "src_port", "dst_port", "protocol", "packets", "bytes")


class NfdumpSource:
    """CSV output of nfdump (`-o csv`) and nfcapd files."""

    name: ClassVar[str] = "nfdump"

    def __init__(self, inputs: Sequence[Input], settings: Any = None) -> None:
        self.account = Account()
        self._inputs = list(inputs)
        self._settings: NfdumpSettings = part_of(settings, "nfdump", NfdumpSettings)
        self._identity = identity_of(settings)
        self._pairer = Pairer(pairing=self._settings.pairing)
        self._texts = Texts()
        self._exporters: dict[str, int] = {}
        self._captures: list[str] = []

    @classmethod
    def recognise(cls, head: Head) -> str | None:
        if head.data[:2] in MAGICS:
            order = "little" if head.data[:2] == MAGICS[0] else "big"
            version = int.from_bytes(head.data[2:4], cast(Any, order))
            return f"nfcapd file, version {version}" if version in VERSIONS else None
        if head.data.startswith(LINE_HEADERS):
            return "nfdump output, lines"
        header = _header(head.data)
        return None if header is None else f"nfdump output, CSV, {len(header)} columns"

    def batches(self) -> Iterator[pa.RecordBatch]:
        for item in self._inputs:
            self._captures.append(item.name)
            head = item.head()
            self.account.recognised[item.name] = self.recognise(head) or "nfdump output"
            left_out: Counter[str] = Counter()
            if head.data[:2] in MAGICS:
                before = self.account.records
                complaints: list[str] = []
                with _printed(item, head, complaints) as stream:
                    yield from self._records(stream, list(PRINTED), left_out)
                if complaints and self.account.records == before:
                    raise InputError(
                        f"nfdump: the program could not read `{item.name}`: {complaints[0]}",
                        hint="a newer nfdump may; `nfdump -V` tells the version",
                    )
                if complaints:
                    self.account.notes["damaged-file"] += 1
                    self.account.details.setdefault("nfdump", {})[item.name] = complaints
            else:
                with item.open() as stream:
                    yield from self._records(stream, None, left_out)
                    if reason := break_reason(stream):
                        self.account.notes[reason] += 1
            self.account.records += left_out.total()
            self.account.skipped.update(left_out)
        yield from self._rows(self._pairer.finish())
        self.account.notes.update(self._pairer.notes)

    def _records(self, stream: IO[bytes], header: list[str] | None, left_out: Counter[str]) -> Iterator[pa.RecordBatch]:
        is_ended, is_lines = False, False
        for block in line_blocks(stream, left_out):
            if header is None:
                is_lines = block.startswith(LINE_HEADERS)
                header = _header(block) or []
                if not header and not is_lines:
                    raise InputError(
                        f"nfdump: `{self._captures[-1]}` does not begin with a header of nfdump's CSV output",
                        hint="write it with `nfdump -r FILE -o csv`",
                    )
                block = block[block.find(b"\n") + 1 :]
            if is_ended or not block:
                continue
            block, is_ended = _without_footer(block)
            frame, skipped = _read_lines(block) if is_lines else read_delimited(block, header, ",", quoted=False)
            left_out.update(skipped)
            self.account.records += frame.height
            records = self._directed(frame)
            self.account.records_in_flows += len(records)
            yield from self._rows(self._pairer.add(records))

    def _directed(self, frame: pl.DataFrame) -> Records:
        """Directed records of the frame's rows; those without addresses or a time are counted and left out."""
        columns = _columns_by_meaning(frame)
        numeric = frame.columns[0] == "tsr"
        start = as_instants(columns["start"], "s" if numeric else None, (), self._settings.timezone)
        addresses = {side: parse_addresses(_text(columns[f"{side}_ip"]))[0] for side in ("src", "dst")}
        timed = start.is_not_null().to_numpy()
        addressed = np.logical_and(*(np.asarray(values.is_valid()) for values in addresses.values()))
        for reason, bad in ((BAD_TIME, ~timed), (BAD_ADDRESS, timed & ~addressed)):
            if bad.any():
                self.account.skipped[reason] += int(bad.sum())
        records = empty_records(frame.height)
        for side, values in addresses.items():
            halves = address_halves(_bytes(values))
            records[f"{side}_high"], records[f"{side}_low"] = halves
        duration = as_durations(columns["duration"], "s").fill_null(0)
        records["start_ns"] = start.fill_null(0).to_numpy()
        records["end_ns"] = records["arrival_ns"] = records["start_ns"] + duration.to_numpy()
        records["known"] |= known_bit("duration")
        self._know_counts(records, columns)
        if "exporter" in columns:
            records["session"] = self._sessions(columns["exporter"])
        else:
            records["session"] = self._exporters.setdefault("", len(self._exporters))
        records["capture"] = len(self._captures) - 1
        found: Records = records[timed & addressed]
        return found

    def _know_counts(self, records: Records, columns: dict[str, pl.Series]) -> None:
        protocol = as_protocols(columns["protocol"])
        _know(records, "protocol", protocol)
        src_port, dst_port = _ports(protocol, columns["src_port"], columns["dst_port"])
        _know(records, "src_port", src_port)
        _know(records, "dst_port", dst_port)
        for name in ("packets", "bytes"):
            _know(records, name, as_integers(columns[name], pa.uint64()))
        if "tcp_flags" in columns:
            flags = as_flags(columns["tcp_flags"])
            _know(records, "tcp_flags", flags, where=(protocol == 6).fill_null(False))
        if "tos" in columns:
            _know(records, "tos", as_integers(columns["tos"], pa.uint8()))
        for name in ("input_interface", "output_interface", "src_as", "dst_as"):
            if name in columns:
                values = as_integers(columns[name], pa.uint32())
                _know(records, name, values, where=(values != 0).fill_null(False))
        if "vlan" in columns:
            vlan = as_integers(columns["vlan"], pa.uint16()).fill_null(0).to_numpy()
            records["vlan"] = np.where(vlan > 0, vlan, records["vlan"])
        if "packets_rev" in columns:
            packets = as_integers(columns["packets_rev"], pa.uint64())
            both = (packets > 0).fill_null(False)
            _know(records, "packets_rev", packets, where=both)
            if "bytes_rev" in columns:
                _know(records, "bytes_rev", as_integers(columns["bytes_rev"], pa.uint64()), where=both)
            records["is_biflow"] = both.to_numpy()

    def _sessions(self, exporters: pl.Series) -> npt.NDArray[np.uint32]:
        names = exporters.str.strip_chars()
        table = {name: self._exporters.setdefault(name or "", len(self._exporters)) for name in names.unique()}
        found = names.replace_strict(table, default=0, return_dtype=pl.UInt32).to_numpy()
        return cast(npt.NDArray[np.uint32], found)

    def _rows(self, paired: Paired) -> Iterator[pa.RecordBatch]:
        if len(paired):
            names = [name or None for name in self._exporters]
            batch = finish_batch(
                paired, self._texts, cast(Any, names), self._captures, source=self.name, identity=self._identity
            )
            self.account.flows += batch.num_rows
            yield batch


def _know(records: Records, name: str, values: pl.Series, where: pl.Series | None = None) -> None:
    """Set an optional field where there is a value and, if given, where the mask says."""
    there = values.is_not_null() if where is None else values.is_not_null() & where
    know(records, name, values.fill_null(0).to_numpy(), there.to_numpy())


def _ports(protocol: pl.Series, src: pl.Series, dst: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Ports; of ICMP nfdump prints `type.code` (or 256 * type + code) in the place of the destination's."""
    is_icmp = protocol.is_in([1, 58]).fill_null(False)
    dst = dst.str.strip_chars()
    dotted = dst.str.split_exact(".", 1).struct
    word = as_ports(dst)
    has_dot = dst.str.contains(".", literal=True).fill_null(False)
    kind, code = as_ports(dotted.field("field_0")), as_ports(dotted.field("field_1"))
    types = pl.select(
        src=pl.when(is_icmp & has_dot).then(kind).when(is_icmp).then(word // 256).otherwise(as_ports(src)),
        dst=pl.when(is_icmp & has_dot).then(code).when(is_icmp).then(word % 256).otherwise(word),
    )
    return types["src"].cast(pl.UInt16), types["dst"].cast(pl.UInt16)


def _columns_by_meaning(frame: pl.DataFrame) -> dict[str, pl.Series]:
    found = {}
    for meaning, names in NAMES.items():
        name = next((name for name in names if name in frame.columns), None)
        if name is not None:
            found[meaning] = frame[name]
    return found


def _header(data: bytes) -> list[str] | None:
    line = data.split(b"\n", 1)[0].strip()
    if not line.startswith((b"ts,", b"firstSeen,")) or len(line) > 4096:
        return None
    header = distinct(read_separated(line.decode(errors="replace"), ","))
    have = set(header)
    return header if all(have & set(NAMES[meaning]) for meaning in REQUIRED) else None


def _read_lines(block: bytes) -> tuple[pl.DataFrame, Counter[str]]:
    lines, skipped = read_delimited(block, ["line"], "\x01", quoted=False)
    fields = lines.select(pl.col("line").str.extract_groups(LINE)).unnest("line")
    fields = fields.with_columns(pl.col("ts").str.replace(r"\s+", " "))
    good = fields.filter(pl.col("ts").is_not_null())
    if unlike := fields.height - good.height:
        skipped["bad-line"] += unlike
    return good, skipped


def _without_footer(block: bytes) -> tuple[bytes, bool]:
    """The block up to the summary that nfdump prints after the records, and whether it came."""
    for footer in FOOTERS:
        place = 0 if block.startswith(footer) else block.find(b"\n" + footer) + 1
        if place or block.startswith(footer):
            return block[:place], True
    return block, False


@contextmanager
def _printed(item: Input, head: Head, complaints: list[str]) -> Iterator[IO[bytes]]:
    """What `nfdump` prints of an nfcapd file, one record a line; what it complains of is added to `complaints`."""
    program = shutil.which("nfdump")
    if program is None:
        raise MissingDependency(
            f"nfdump: `{item.name}` is an nfcapd file; it is read through the program `nfdump`, which is not installed",
            hint="`apt install nfdump`, or convert it where it is: `nfdump -r FILE -o csv > flows.csv`",
        )
    with _as_file(item, head) as path, tempfile.TemporaryFile() as said:
        form = "fmt:" + ",".join(f"%{name}" for name in PRINTED)
        command = [program, "-r", str(path), "-q", "-N", "-6", "-o", form]
        environment = {**os.environ, "TZ": "UTC"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, env=environment) as process:
            assert process.stdout is not None
            yield process.stdout
            process.stdout.close()
        said.seek(0)
        lines = said.read(10_000).decode(errors="replace").splitlines()
        complaints += [line.strip()[:200] for line in lines if line.strip()][:10]
        if process.returncode and not complaints:
            complaints.append(f"exit status {process.returncode}")


@contextmanager
def _as_file(item: Input, head: Head) -> Iterator[Path]:
    """The file itself where it lies plain on the disk, else a copy."""
    path = getattr(item, "path", None)
    if path is not None:
        with Path(path).open("rb") as stream:
            if stream.read(4) == head.data[:4]:
                yield Path(path)
                return
    with tempfile.NamedTemporaryFile(prefix="flowlore-nfcapd-") as copy, item.open() as stream:
        shutil.copyfileobj(stream, copy)
        copy.flush()
        yield Path(copy.name)


def _text(values: pl.Series) -> pa.Array:
    return values.str.strip_chars().to_arrow(compat_level=pl.CompatLevel.oldest())


def _bytes(addresses: pa.Array) -> npt.NDArray[np.uint8]:
    found = np.frombuffer(addresses.buffers()[1], np.uint8)[: len(addresses) * 16].reshape(-1, 16)
    return cast(npt.NDArray[np.uint8], found)
