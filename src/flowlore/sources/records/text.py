"""Log files in blocks of whole lines, and the lines as columns of text. A line that cannot be read is counted.

Text becomes numbers later, column by column: nothing here depends on what a column means.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv

BLOCK_BYTES = 4 * 1024 * 1024
LONGEST_LINE_BYTES = 16 * 1024 * 1024

BAD_LINE = "bad-line"  # other number of fields, or no JSON object
LINE_TOO_LONG = "line-too-long"

JSON_BLANKS = b" \t"


def line_blocks(stream: IO[bytes], skipped: Counter[str], block_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
    """Blocks of about `block_bytes` that end at a line's end, in UTF-8, with `\\n` between lines and no blank lines.

    A line over `LONGEST_LINE_BYTES` is counted in `skipped` and left out. Bytes that are no UTF-8 become U+FFFD.
    """
    rest = b""
    dropping = False  # inside a line that is too long
    while chunk := stream.read(block_bytes):
        if dropping:
            end = chunk.find(b"\n")
            if end < 0:
                continue
            chunk, dropping = chunk[end + 1 :], False
        end = chunk.rfind(b"\n") + 1
        if end == 0:
            rest += chunk
            if len(rest) > LONGEST_LINE_BYTES:
                skipped[LINE_TOO_LONG] += 1
                rest, dropping = b"", True
            continue
        block, rest = rest + chunk[:end], chunk[end:]
        if clean := _clean(block):
            yield clean
    if clean := _clean(rest):
        yield clean


def count_lines(block: bytes) -> int:
    """Lines of a block of `line_blocks`."""
    return block.count(b"\n")


def read_delimited(
    block: bytes, names: Sequence[str], separator: str, *, quoted: bool, null_values: Sequence[str] = ()
) -> tuple[pl.DataFrame, Counter[str]]:
    """The fields of each line as text, and the lines left out by reason. Every name is a column.

    A line with another number of fields than names is left out; a field that is one of `null_values` is null. `quoted`
    is off where a quote is like other characters.
    """
    skipped: Counter[str] = Counter()
    if quoted and b'"' in block:
        block, unbalanced = _without_unbalanced_quotes(block)
        skipped[BAD_LINE] += unbalanced
    expected = count_lines(block)
    tables = list(_parse_delimited(block, list(names), separator, quoted, list(null_values)))
    if not tables:
        frame = pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    else:
        frame = pl.DataFrame(pl.from_arrow(pa.concat_tables(tables)))
    skipped[BAD_LINE] += expected - frame.height
    return frame, +skipped


def read_json_lines(block: bytes, schema: Mapping[str, Any]) -> tuple[pl.DataFrame, Counter[str]]:
    """The fields of `schema` of the JSON object in each line, and the lines left out by reason.

    Where the schema says text, a number or truth value is given as it was written. Other fields are passed over; a
    field of another shape than the schema's is null.
    """
    skipped: Counter[str] = Counter()
    block, strays = _without_lines_of_other_kinds(block)
    skipped[BAD_LINE] += strays
    expected = count_lines(block)
    frames = list(_parse_json(block, dict(schema)))
    frame = pl.concat(frames) if frames else pl.DataFrame(schema=dict(schema))
    skipped[BAD_LINE] += expected - frame.height
    return frame, +skipped


def split_comments(block: bytes) -> Iterator[tuple[bool, bytes]]:
    """The block in runs of lines: those that begin with `#` (True), one at a time, and those that do not."""
    place = 0
    while place < len(block):
        if block[place : place + 1] == b"#":
            end = block.find(b"\n", place) + 1
            yield True, block[place:end]
        else:
            found = block.find(b"\n#", place)
            end = len(block) if found < 0 else found + 1
            yield False, block[place:end]
        place = end


def distinct(names: Sequence[str]) -> list[str]:
    """Names without blanks around them, made distinct: the second `name` becomes `name.2`."""
    seen: Counter[str] = Counter()
    taken = {name.strip() for name in names}
    found = []
    for name in (name.strip() for name in names):
        seen[name] += 1
        spelled = name
        while seen[name] > 1 and (spelled := f"{name}.{seen[name]}") in taken:
            seen[name] += 1
        taken.add(spelled)
        found.append(spelled)
    return found


def _clean(block: bytes) -> bytes:
    if not block:
        return b""
    try:
        block.decode()
    except UnicodeDecodeError:
        block = block.decode(errors="replace").encode()
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n").replace(b"\r", b" ")
    if b"\0" in block:
        block = block.replace(b"\0", b" ")
    if not block.endswith(b"\n"):
        block += b"\n"
    if block.startswith(b"\n") or b"\n\n" in block:
        block = b"".join(line + b"\n" for line in block.split(b"\n") if line)
    return block


def _parse_delimited(
    block: bytes, names: list[str], separator: str, quoted: bool, null_values: list[str]
) -> Iterator[pa.Table]:
    """Tables of text. Where the parser gives up on a block, the block is halved until the guilty line stands alone."""
    if not block:
        return
    lines = count_lines(block)
    strays = 0

    def leave_out(row: Any) -> str:
        nonlocal strays
        strays += 1
        return "skip"

    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(block),
            read_options=pyarrow.csv.ReadOptions(column_names=names, use_threads=False, block_size=len(block) + 1),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=separator,
                quote_char='"' if quoted else False,
                invalid_row_handler=leave_out,
                newlines_in_values=False,
                ignore_empty_lines=len(names) > 1,
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                strings_can_be_null=bool(null_values),
                null_values=null_values,
            ),
        )
    except pa.ArrowInvalid:
        table = None
    if table is not None and table.num_rows + strays == lines:
        yield table
    elif lines > 1:
        first, second = _halves(block)
        yield from _parse_delimited(first, names, separator, quoted, null_values)
        yield from _parse_delimited(second, names, separator, quoted, null_values)


def _parse_json(block: bytes, schema: dict[str, Any]) -> Iterator[pl.DataFrame]:
    if not block:
        return
    lines = count_lines(block)
    try:
        frame = pl.read_ndjson(block, schema=schema, ignore_errors=True)
    except (pl.exceptions.PolarsError, ValueError):
        frame = None
    if frame is not None and frame.height == lines:
        yield frame
    elif lines > 1:
        for half in _halves(block):
            yield from _parse_json(half, schema)


def _halves(block: bytes) -> tuple[bytes, bytes]:
    """A block of two lines or more, cut at the line's end that is nearest to its middle."""
    middle = block.rfind(b"\n", 0, len(block) // 2) + 1 or block.find(b"\n") + 1
    return block[:middle], block[middle:]


def _without_unbalanced_quotes(block: bytes) -> tuple[bytes, int]:
    """The block without lines that hold an odd number of quotes, which would swallow the lines after them."""
    data = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(data == 10)
    quotes_before = np.searchsorted(np.flatnonzero(data == 34), ends)
    odd = np.diff(quotes_before, prepend=0) % 2 == 1
    if not odd.any():
        return block, 0
    starts = np.concatenate(([0], ends[:-1] + 1))
    kept = b"".join(block[start : end + 1] for start, end in zip(starts[~odd], ends[~odd], strict=True))
    return kept, int(odd.sum())


def _without_lines_of_other_kinds(block: bytes) -> tuple[bytes, int]:
    """The block without lines that do not begin with `{`, and how many these were."""
    data = np.frombuffer(block, np.uint8)
    starts = np.concatenate(([0], np.flatnonzero(data == 10)[:-1] + 1)) if len(data) else np.zeros(0, np.int64)
    if (data[starts] == 123).all():
        return block, 0
    lines = [line.lstrip(JSON_BLANKS) for line in block.split(b"\n")[:-1]]
    kept = [line for line in lines if line.startswith(b"{")]
    return b"".join(line + b"\n" for line in kept), len(lines) - len(kept)
