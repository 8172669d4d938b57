"""Suricata: EVE JSON. `flow` events are flows; what other events say of the same flow joins them by `flow_id`."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import polars as pl
import pyarrow as pa

from ..compressed import break_reason
from ..identity import identity_of
from ..source import Account, Head, Input
from .joining import KEY, LINES, Pool
from .mappedrows import part_of
from .rows import flow_rows
from .settings import SuricataSettings
from .suricataevents import EVENT_SCHEMA, JOINED, NAMED, event_columns, flow_columns, flow_events, joined_columns
from .text import line_blocks, read_json_lines

NO_FLOW_ID = "no-flow-id"  # events of the sensor itself: stats, drops without a flow
NETFLOW_EVENT = "netflow-event"  # the same flows again, cut into two directions
AFTER_FLOW = "event-after-flow"  # an event that came after the flow that it belongs to was given out
EVENT_KINDS = ("flow", *NAMED, "alert", "anomaly", "fileinfo", "drop", "smtp", "smb", "krb5", "rdp", "nfs", "ftp")
MOST_WAITING = 262_144  # flow ids that may wait for their flow event
MOST_REMEMBERED = 4_194_304  # flow ids that were given out


class SuricataSource:
    """EVE JSON of Suricata, in the order in which the sensor wrote it."""

    name: ClassVar[str] = "suricata"

    def __init__(self, inputs: Sequence[Input], settings: Any = None) -> None:
        self.account = Account()
        self._inputs = list(inputs)
        self._identity = identity_of(settings)
        self._settings: SuricataSettings = part_of(settings, "suricata", SuricataSettings)
        self._pool = Pool(JOINED)
        self._given_out = pl.Series("given", [], dtype=pl.UInt64)

    @classmethod
    def recognise(cls, head: Head) -> str | None:
        line = head.data.lstrip(b"\xef\xbb\xbf \t\r\n").split(b"\n", 1)[0]
        if not line.startswith(b"{") or b'"event_type"' not in line:
            return None
        try:
            first = json.loads(line)
        except (ValueError, RecursionError):
            return None
        if not isinstance(first, dict) or not {"timestamp", "event_type"} <= set(first):
            return None
        return f"Suricata EVE JSON, first event {str(first['event_type'])[:40]}"

    def batches(self) -> Iterator[pa.RecordBatch]:
        name = ""
        for item in self._inputs:
            name = item.name
            self.account.recognised[name] = self.recognise(item.head()) or "Suricata EVE JSON"
            left_out: Counter[str] = Counter()
            with item.open() as stream:
                for block in line_blocks(stream, left_out):
                    frame, skipped = read_json_lines(block, EVENT_SCHEMA)
                    left_out.update(skipped)
                    self.account.records += frame.height
                    made = self._flows_of(frame, name)
                    if made is not None:
                        yield made
                    if len(self._pool) > MOST_WAITING:
                        yield from self._rest(name)
                if reason := break_reason(stream):
                    self.account.notes[reason] += 1
            self.account.records += left_out.total()
            self.account.skipped.update(left_out)
        yield from self._rest(name)

    def _flows_of(self, frame: pl.DataFrame, name: str) -> pa.RecordBatch | None:
        """Flows of a block's flow events; other events wait for theirs."""
        frame = self._without(frame, frame["flow_id"].is_null(), NO_FLOW_ID)
        frame = self._without(frame, frame["event_type"].eq_missing("netflow"), NETFLOW_EVENT)
        is_flow = frame["event_type"].eq_missing("flow")
        for kind, count in frame["event_type"].value_counts().iter_rows():
            self.account.notes[f"events-{kind}" if kind in EVENT_KINDS else "events-other"] += count
        self._pool.add(event_columns(frame.filter(~is_flow)))
        flows = flow_events(frame.filter(is_flow))
        if not flows.height:
            return None
        joined, lines = self._pool.look_up(flows["flow_id"])
        self.account.records_in_flows += lines + flows.height
        self._pool.forget_used()
        self._remember(flows["flow_id"])
        columns = {**joined_columns(joined, self._settings.alerts_as_labels), **flow_columns(flows)}
        if "app_protocol" in columns:
            seen = joined_columns(joined, False).get("app_protocol")
            columns["app_protocol"] = (
                columns["app_protocol"] if seen is None else columns["app_protocol"].fill_null(seen)
            )
        return self._batch(columns, flows.height, name)

    def _rest(self, name: str) -> Iterator[pa.RecordBatch]:
        """Events whose flow event did not come: each flow id is a row without counts, or the events are left out."""
        waiting = self._pool.unused()
        self._pool = Pool(JOINED)
        if not waiting.height:
            return
        late = waiting[KEY].hash().is_in(self._given_out.implode())
        if lines := int(waiting.filter(late)[LINES].sum()):
            self.account.skipped[AFTER_FLOW] += lines
        waiting = waiting.filter(~late)
        lines = int(waiting[LINES].sum())
        if not self._settings.flows_from_events:
            self.account.skipped["no-flow-event"] += lines
            return
        if waiting.height:
            self.account.records_in_flows += lines
            self.account.notes["flows-without-flow-event"] += waiting.height
            self._remember(waiting[KEY])
            columns = joined_columns(waiting, self._settings.alerts_as_labels, endpoints=True)
            batch = self._batch(columns, waiting.height, name)
            for place in range(0, batch.num_rows, 65_536):
                yield batch.slice(place, 65_536)

    def _without(self, frame: pl.DataFrame, drop: pl.Series, reason: str) -> pl.DataFrame:
        if count := int(drop.sum()):
            self.account.skipped[reason] += count
            return frame.filter(~drop)
        return frame

    def _remember(self, flow_ids: pl.Series) -> None:
        self._given_out = pl.concat([self._given_out, flow_ids.hash().alias("given")]).tail(MOST_REMEMBERED)

    def _batch(self, columns: dict[str, Any], rows: int, name: str) -> pa.RecordBatch:
        first_record = self.account.flows
        self.account.flows += rows
        return flow_rows(
            columns,
            rows,
            source=self.name,
            capture=name,
            first_record=first_record,
            identity=self._identity,
        )
