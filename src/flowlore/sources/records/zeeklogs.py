"""Zeek's logs as columns of text: TSV with its header lines, and JSON lines."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO

import polars as pl

from .columns import text_or_null
from .text import distinct, line_blocks, read_delimited, read_json_lines, split_comments

NO_HEADER = "no-header"  # lines of a TSV log before any `#fields`
OTHER_LOG = "other-log"  # lines of another log in a stream of several
GLUE = "   "  # what some labelled logs put between the last three columns

# Fields that tell a log apart where it does not give its name, in the order in which they are asked for.
SIGNATURES: dict[str, tuple[str, ...]] = {
    "conn": ("id.orig_h", "conn_state"),
    "dns": ("id.orig_h", "trans_id", "proto"),
    "quic": ("id.orig_h", "client_initial_dcid"),
    "http": ("id.orig_h", "trans_depth", "request_body_len"),
    "ssh": ("id.orig_h", "auth_attempts"),
    "ssl": ("id.orig_h", "established"),
    "dhcp": ("uids", "msg_types"),
    "smtp": ("id.orig_h", "trans_depth", "path"),
    "arp": ("operation", "orig_hw"),
    "files": ("fuid", "seen_bytes"),
    "pe": ("machine", "compile_ts"),
    "x509": ("certificate.version",),
    "software": ("software_type", "unparsed_version"),
    "notice": ("note", "msg"),
    "weird": ("name", "peer", "notice"),
    "packet_filter": ("node", "filter", "init"),
    "capture_loss": ("ts_delta", "percent_lost"),
    "reporter": ("level", "message", "location"),
}


@dataclass(slots=True)
class LogHead:
    """What the beginning of a log says of it."""

    kind: str  # Zeek's own name: conn, dns …; `?` where it cannot be told
    form: str  # TSV or JSON
    fields: list[str]


@dataclass(slots=True)
class _Header:
    """The header lines of a TSV log that are in force."""

    separator: str = "\t"
    set_separator: str = ","
    empty: str = "(empty)"
    unset: str = "-"
    kind: str = "?"
    fields: list[str] = field(default_factory=list)

    @property
    def null_values(self) -> tuple[str, ...]:
        return ("", self.unset, self.empty)

    def take(self, line: str) -> None:
        line = line.strip("\r\n").lstrip()
        if line.startswith("#separator"):
            written = line[len("#separator") :].strip(" ")
            code = re.fullmatch(r"\\x([0-7][0-9a-fA-F])", written)
            self.separator = chr(int(code[1], 16)) if code else written[:1] or "\t"
            return
        name, *values = line[1:].split(self.separator)
        if name == "fields":
            self.fields = distinct([*values[:-1], *values[-1].split(GLUE)] if values else [])
        elif values and name == "set_separator":
            self.set_separator = values[0] or ","
        elif values and name == "empty_field":
            self.empty = values[0]
        elif values and name == "unset_field":
            self.unset = values[0]
        elif values and name == "path":
            self.kind = values[0]


def read_head(data: bytes) -> LogHead | None:
    """What the log is, or None where it is no log of Zeek's."""
    start = data.lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(b"#"):
        return _tsv_head(start)
    if start.startswith(b"{"):
        return _json_head(start)
    return None


def read_log(
    stream: IO[bytes], kind: str, form: str, wanted: Sequence[str], skipped: Counter[str]
) -> Iterator[pl.DataFrame]:
    """Frames of the wanted fields as text, a column each even where the log lacks it. Lines left out are counted."""
    blocks = line_blocks(stream, skipped)
    yield from _read_json(blocks, kind, wanted, skipped) if form == "JSON" else _read_tsv(blocks, wanted, skipped)


def unescaped(text: pl.Series) -> pl.Series:
    r"""Zeek writes bytes that cannot be printed as `\xNN`: the characters that they stand for, where they are UTF-8."""
    if not text.str.contains("\\x", literal=True).any():
        return text
    return text.map_elements(_unescape, return_dtype=pl.String)


def _unescape(text: str) -> str:
    if "\\x" not in text:
        return text
    first, *rest = text.split("\\x")
    found = first.encode()
    for piece in rest:
        try:
            found += bytes.fromhex(piece[:2]) + piece[2:].encode()
        except ValueError:
            found += b"\\x" + piece.encode()
    return found.decode(errors="replace").replace("\0", "\ufffd")


def _tsv_head(start: bytes) -> LogHead | None:
    header = _Header()
    for line in start.splitlines():
        if not line.startswith(b"#"):
            break
        header.take(line.decode(errors="replace"))
    if not header.fields or not start.startswith((b"#separator", b"#fields", b"#path", b"#set_separator")):
        return None
    kind = header.kind if header.kind != "?" else _kind_of(header.fields)
    return LogHead(kind, "TSV", header.fields)


def _json_head(start: bytes) -> LogHead | None:
    try:
        first = json.loads(start.split(b"\n", 1)[0])
    except (ValueError, RecursionError):
        return None
    if not isinstance(first, dict):
        return None
    kind = first.get("_path") or _kind_of(list(first))
    if not isinstance(kind, str) or kind == "?" or not ("ts" in first or "_path" in first):
        return None
    return LogHead(kind, "JSON", list(first))


def _kind_of(fields: list[str]) -> str:
    have = set(fields)
    return next((kind for kind, needed in SIGNATURES.items() if have.issuperset(needed)), "?")


def _read_json(
    blocks: Iterator[bytes], kind: str, wanted: Sequence[str], skipped: Counter[str]
) -> Iterator[pl.DataFrame]:
    schema = {**dict.fromkeys(wanted, pl.String), "_path": pl.String}
    for block in blocks:
        frame, left_out = read_json_lines(block, schema)
        skipped.update(left_out)
        other = (frame["_path"] != kind).fill_null(False)
        if other.any():
            skipped[OTHER_LOG] += int(other.sum())
            frame = frame.filter(~other)
        yield frame.drop("_path")


def _read_tsv(blocks: Iterator[bytes], wanted: Sequence[str], skipped: Counter[str]) -> Iterator[pl.DataFrame]:
    header = _Header()
    first = True
    for block in blocks:
        if first:
            block, first = block.lstrip(b"\xef\xbb\xbf \t"), False
        for is_comment, lines in split_comments(block):
            if is_comment:
                header.take(lines.decode())
            elif not header.fields:
                skipped[NO_HEADER] += lines.count(b"\n")
            else:
                frame, left_out = _read_rows(lines, header)
                skipped.update(left_out)
                yield _only_wanted(frame, wanted)


def _read_rows(lines: bytes, header: _Header) -> tuple[pl.DataFrame, Counter[str]]:
    """The fields of each line; the last column of a labelled log may hold three, with blanks between."""
    names = header.fields
    glued = names[-2:] in (["label", "detailed-label"], ["label", "detailedlabel"])
    if not glued or lines[: lines.find(b"\n")].count(header.separator.encode()) + 1 == len(names):
        return read_delimited(lines, names, header.separator, quoted=False, null_values=header.null_values)
    frame, left_out = read_delimited(lines, names[:-2], header.separator, quoted=False, null_values=header.null_values)
    parts = frame[names[-3]].str.replace_all(r" {2,}", GLUE).str.split_exact(GLUE, 2).struct
    split = [parts.field(f"field_{place}").alias(name) for place, name in enumerate(names[-3:])]
    return frame.with_columns(text_or_null(part, header.null_values) for part in split), left_out


def _only_wanted(frame: pl.DataFrame, wanted: Sequence[str]) -> pl.DataFrame:
    """The wanted columns in their order, nulls where the log lacks one."""
    return frame.select(
        pl.col(name) if name in frame.columns else pl.lit(None, pl.String).alias(name) for name in wanted
    )
