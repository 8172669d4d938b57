import json

import pyarrow as pa

from flowlore.flows.schema import arrow_schema
from flowlore.flows.summary import Summarizer, instant_text
from flowlore.flows.table import Flows


def test_summary_counts_rows_packets_bytes_hosts_and_names(make_flows):
    flows = Flows(
        make_flows(
            [0, 10, 20],
            src_ip=["10.0.0.1", "10.0.0.2", "10.0.0.1"],
            dst_ip=["192.0.2.1", "10.0.0.1", "2001:db8::1"],
            protocol=[6, 17, 6],
            part=[0, 0, 1],
            bytes_fwd=[100, None, 50],
            app_protocol=["tls", "dns", "tls"],
            label=["a", None, "a"],
            sampling_rate=[None, 1000, 1000],
            end_reason=["idle", "idle", "active"],
        )
    )
    summary = flows.summary()
    assert (summary.flows, summary.slices, summary.packets, summary.bytes, summary.hosts) == (3, 1, 15, 750, 4)
    assert summary.first == "2020-06-20T12:00:00.000000000Z"
    assert summary.last == "2020-06-20T12:00:21.000000000Z"
    assert summary.span_s == 21.0
    assert summary.protocols == {"tcp": 2, "udp": 1}
    assert summary.app_protocols == {"tls": 2, "dns": 1}
    assert summary.labels == {"a": 2}
    assert summary.sampling_rates == {"1 in 1000": 2}
    assert summary.end_reasons == {"idle": 2, "active": 1}
    assert summary.talkers == {"10.0.0.1": 150, "10.0.0.2": 0}
    assert "server_name" in summary.unknown_columns and "label" not in summary.unknown_columns
    assert summary.nulls["label"] == 1
    assert "tcp 2, udp 1" in str(summary)
    assert json.loads(json.dumps(summary.as_dict()))["protocols"] == {"tcp": 2, "udp": 1}


def test_summary_does_not_depend_on_the_cut(make_flows):
    batch = make_flows([float(time) for time in range(20)], dst_port=[time % 3 for time in range(20)])
    whole, cut = Summarizer(), Summarizer()
    whole.add(batch)
    for row in range(20):
        cut.add(batch.slice(row, 1))
    assert whole.summary() == cut.summary()


def test_summary_of_nothing_and_of_few_columns(make_flows):
    nothing = Flows(arrow_schema().empty_table()).summary()
    assert (nothing.flows, nothing.first, nothing.hosts) == (0, None, 0)
    few = Flows(make_flows([0, 1])).select(["dst_port"]).summary()
    assert few.flows == 2 and few.dst_ports == {"443": 2}
    no_times = Flows(make_flows([None, None])).summary()
    assert no_times.first is None and no_times.span_s == 0.0


def test_every_time_that_arrow_can_hold_is_written():
    assert instant_text(-1) == "1969-12-31T23:59:59.999999999Z"
    assert instant_text(2**63 - 1) == "2262-04-11T23:47:16.854775807Z"
    assert pa.scalar(-(2**63) + 1, pa.timestamp("ns")).is_valid and instant_text(-(2**63) + 1).startswith("1677-")
