"""Argus: binetflow CSV as `ra` prints it and as CTU-13 publishes it, with labels or without."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import polars as pl
import pyarrow as pa

from ..compressed import break_reason
from ..source import Account, Head, Input
from .columnmaps import load_map, plain
from .columns import as_integers, as_ports, text_or_null
from .mappedrows import MappedRows, part_of
from .settings import ArgusSettings
from .tables import read_separated
from .text import distinct, line_blocks, read_delimited

ICMP = (1, 58)
REQUIRED = ("StartTime", "Dur", "Proto", "SrcAddr", "Sport", "Dir", "DstAddr", "Dport", "State", "TotPkts", "TotBytes")


class ArgusSource:
    """Binetflow files. Argus names the sides by who began, so `src` is Argus's source."""

    name: ClassVar[str] = "argus"

    def __init__(self, inputs: Sequence[Input], settings: Any = None) -> None:
        self.account = Account()
        self._inputs = list(inputs)
        self._all_settings = settings
        self._settings: ArgusSettings = part_of(settings, "argus", ArgusSettings)

    @classmethod
    def recognise(cls, head: Head) -> str | None:
        header = _header(head.data)
        return None if header is None else f"Argus binetflow, CSV, {len(header)} columns"

    def batches(self) -> Iterator[pa.RecordBatch]:
        column_map = load_map("argus")
        null_values = column_map.null_values
        column_map = replace(column_map, timezone=self._settings.timezone, null_values=())
        for item in self._inputs:
            left_out: Counter[str] = Counter()
            rows: MappedRows | None = None
            header: list[str] = []
            with item.open() as stream:
                for block in line_blocks(stream, left_out):
                    if rows is None:
                        header = _header(block) or []
                        rows = MappedRows(
                            column_map,
                            header,
                            self.account,
                            source=self.name,
                            capture=item.name,
                            settings=self._all_settings,
                        )
                        self.account.recognised[item.name] = f"Argus binetflow, CSV, {len(header)} columns"
                        block = block[block.find(b"\n") + 1 :]
                    frame, skipped = read_delimited(block, header, ",", quoted=False, null_values=null_values)
                    left_out.update(skipped)
                    made = rows.batch(frame, self._complete)
                    if made is not None:
                        yield made
                if reason := break_reason(stream):
                    self.account.notes[reason] += 1
            self.account.records += left_out.total()
            self.account.skipped.update(left_out)

    def _complete(self, frame: pl.DataFrame, columns: dict[str, Any]) -> None:
        """Ports and the type and code of ICMP; the packets of each side where only their sum is given."""
        names = {plain(name): name for name in frame.columns}
        src, dst = (text_or_null(frame[names[side]], ("", "0x")) for side in ("sport", "dport"))
        protocol: pl.Series = columns["protocol"]
        src_port, dst_port = as_ports(src), as_ports(dst)
        for name, before, after in (("src-port", src, src_port), ("dst-port", dst, dst_port)):
            if lost := after.null_count() - before.null_count():
                self.account.notes[f"unreadable-{name}"] += lost
        # ICMP is a word: 0x0403 is code 4 of type 3, and the destination's port is its id. ICMPv6 has them apart.
        is_word = protocol.is_in(ICMP).fill_null(False) & src.str.contains("^0x").fill_null(False)
        made = pl.select(
            src=pl.when(is_word).then(src_port % 256).otherwise(pl.lit(src_port)).cast(pl.UInt16),
            dst=pl.when(is_word).then(src_port // 256).otherwise(pl.lit(dst_port)).cast(pl.UInt16),
        )
        columns["src_port"], columns["dst_port"] = made["src"], made["dst"]
        if "srcpkts" not in names:
            total = as_integers(frame[names["totpkts"]], pa.uint64())
            one_way = columns["frame_bytes_rev"] == 0
            columns["packets_fwd"] = pl.select(pl.when(one_way).then(total)).to_series()
            columns["packets_rev"] = pl.select(pl.when(one_way).then(0).cast(pl.UInt64)).to_series()
        turned = frame[names["dir"]].str.contains("<-", literal=True) & ~frame[names["dir"]].str.contains(">")
        if backwards := int(turned.fill_null(False).sum()):
            self.account.notes["from-destination-only"] += backwards


def _header(data: bytes) -> list[str] | None:
    line = data.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0]
    if not line.startswith(b"StartTime,") or len(line) > 4096:
        return None
    header = distinct(read_separated(line.decode(errors="replace"), ","))
    return header if set(REQUIRED) <= set(header) else None
