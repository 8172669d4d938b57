"""How fast exports decode, beside the decoders of PyPI, and how fast they come from UDP into Parquet.

    python benchmarks/netflow_decode.py [--records N] [--repeats N] [--no-udp] > netflow_decode.json

Ratios are against the fastest of the others in the same run. The others decode fewer datagrams, for they are slow.
`netflow` and `netflume` are in the extra `bench`; one that is not installed is left out.
"""

import argparse
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from netflow_streams import stream

VERSIONS = {5: "v5", 9: "v9", 10: "ipfix"}
OTHERS_DATAGRAMS = 8_000
BATCH_DATAGRAMS = 2_048


def main() -> None:
    options = _options()
    if options.send:
        _send(*options.send)
        return
    found: dict[str, Any] = {
        "machine": {"processors": os.cpu_count(), "python": platform.python_version(), "system": platform.system()},
        "records": options.records,
        "decode_records_per_s": {},
        "ratio_to_best_other": {},
    }
    for version, name in VERSIONS.items():
        datagrams = stream(version, options.records)
        fewer = datagrams[:OTHERS_DATAGRAMS]
        rates = {"flowlore": _median_rate(lambda: _decode_all(datagrams), options.repeats)}  # noqa: B023 - called in this turn of the loop only
        for other, decode in _others():
            rates[other] = _median_rate(lambda: decode(fewer), 3)  # noqa: B023 - called in this turn of the loop only
        found["decode_records_per_s"][name] = {key: round(rate) for key, rate in rates.items()}
        rest = [rate for key, rate in rates.items() if key != "flowlore"]
        if rest:
            found["ratio_to_best_other"][name] = round(rates["flowlore"] / max(rest), 1)
        found.setdefault("to_flows_records_per_cpu_s", {})[name] = round(_flows_rate(version, options.records))
    if not options.no_udp:
        found["udp_to_parquet"] = [_udp_to_parquet(version, options.records, options.pace) for version in (5, 9, 10)]
    print(json.dumps(found, indent=2))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--pace", type=int, default=20_000, help="datagrams a second that the sender tries")
    parser.add_argument("--no-udp", action="store_true")
    parser.add_argument("--send", nargs=4, type=int, help=argparse.SUPPRESS)  # version, records, port, pace
    return parser.parse_args()


def _decode_all(datagrams: Sequence[bytes]) -> int:
    """Every field of every record as columns."""
    from flowlore.sources.records.netflow.datagrams import Datagrams
    from flowlore.sources.records.netflow.decoder import Decoder

    decoder = Decoder()
    return sum(
        len(table.export_ns)
        for first in range(0, len(datagrams), BATCH_DATAGRAMS)
        for table in decoder.decode(Datagrams.join(datagrams[first : first + BATCH_DATAGRAMS]))
    )


def _flows_rate(version: int, records: int) -> float:
    """Records that become rows of the flow table (paired, with their ids) in a second of processor time."""
    from flowlore.sources.records.netflow.datagrams import Datagrams
    from flowlore.sources.records.netflow.pipeline import NetflowPipeline
    from flowlore.sources.records.netflow.settings import NetflowSettings
    from flowlore.sources.source import Account

    datagrams = stream(version, records, both_directions=True)

    def run() -> None:
        pipeline = NetflowPipeline(NetflowSettings(), Account())
        for first in range(0, len(datagrams), BATCH_DATAGRAMS):
            for _ in pipeline.add(Datagrams.join(datagrams[first : first + BATCH_DATAGRAMS]), "memory"):
                pass
        for _ in pipeline.finish():
            pass

    run()
    begun = time.process_time()
    run()
    return records / (time.process_time() - begun)


def _others() -> Iterator[tuple[str, Callable[[Sequence[bytes]], int]]]:
    try:
        import netflume
    except ImportError:
        pass
    else:

        def with_netflume(datagrams: Sequence[bytes]) -> int:
            decoder = netflume.Decoder()
            return sum(len(decoder.decode(datagram, "192.0.2.1").flows) for datagram in datagrams)

        yield "netflume", with_netflume
    try:
        import netflow
    except ImportError:
        return

    def with_netflow(datagrams: Sequence[bytes]) -> int:
        templates: dict[str, Any] = {"netflow": {}, "ipfix": {}}
        return sum(len(netflow.parse_packet(datagram, templates).flows) for datagram in datagrams)

    yield "netflow", with_netflow


def _median_rate(run: Callable[[], int], repeats: int) -> float:
    """Median over the repeats, the first one not counted."""
    run()
    rates = []
    for _ in range(repeats):
        begun = time.perf_counter()
        records = run()
        rates.append(records / (time.perf_counter() - begun))
    return statistics.median(rates)


def _udp_to_parquet(version: int, records: int, pace: int) -> dict[str, Any]:
    """A sender in a process of its own, the collector here, all rows to one Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from flowlore.flows.schema import arrow_schema
    from flowlore.sources.records.netflow.collector import UdpCollector

    collector = UdpCollector(port=0)
    datagrams = len(stream(version, records, both_directions=True))
    command = [sys.executable, __file__, "--send", str(version), str(records), str(collector.port), str(pace)]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as sender,
    ):
        assert sender.stdin is not None and sender.stdout is not None
        sender.stdout.readline()
        sender.stdin.write("\n")
        sender.stdin.flush()
        begun, processor = time.perf_counter(), time.process_time()
        waiting: list[pa.RecordBatch] = []
        with pq.ParquetWriter(Path(folder) / "flows.parquet", arrow_schema(), compression="zstd") as writer:
            for batch in collector.batches(most_datagrams=datagrams, duration_s=60.0):
                waiting.append(batch)
                if sum(one.num_rows for one in waiting) >= 200_000:
                    writer.write_table(pa.Table.from_batches(waiting))
                    waiting.clear()
            if waiting:
                writer.write_table(pa.Table.from_batches(waiting))
        seconds, processor = time.perf_counter() - begun, time.process_time() - processor
        sender.stdout.readline()
    account = collector.account
    return {
        "version": VERSIONS[version],
        "records": account.records_in_flows,
        "rows": account.flows,
        "lost_datagrams": datagrams - account.details["datagrams"],
        "records_per_s": round(account.records_in_flows / seconds),
        "records_per_cpu_s": round(account.records_in_flows / processor),
    }


def _send(version: int, records: int, port: int, pace: int) -> None:
    datagrams = stream(version, records, both_directions=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", port))
        print("ready", flush=True)
        sys.stdin.readline()
        begun, sent = time.perf_counter(), 0
        while sent < len(datagrams):
            due = min(len(datagrams), int((time.perf_counter() - begun) * pace) + 1)
            for datagram in datagrams[sent:due]:
                sender.send(datagram)
            sent = max(sent, due)
            time.sleep(0.0005)
    print("sent", flush=True)


if __name__ == "__main__":
    main()
