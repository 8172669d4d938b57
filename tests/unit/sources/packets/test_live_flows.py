"""Batch equals live: a capture replayed over a wire gives the same flows as the file."""

import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import flowlore
from flowlore.sources.inputs import gather_inputs
from flowlore.sources.packets.captures.merge import merge_captures

DEMO = Path(flowlore.__file__).parent / "data" / "demo" / "office.pcapng"
PATIENT = ["--set", "meter.idle_timeout_s=3600", "--set", "meter.tcp_linger_s=3600"]
# What depends on when the replay ran, and on where it was heard.
ELSEWHEN = ("start", "duration", "gap", "_ns", "flow_id", "capture", "end_reason", "packet_gap", "server_name")


@pytest.fixture
def wire() -> Iterator[str]:
    """A namespace with a veth pair, `near` and `far`, on which nobody else speaks."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and the program `ip`")
    if shutil.which("tcpreplay") is None:
        pytest.skip("the program `tcpreplay` is not installed")
    name = f"flowlore-flows{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode:
        pytest.skip("this machine does not let us make network namespaces")
    try:
        for command in (
            "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1",
            "ip link add near type veth peer name far",
            "ip link set near up",
            "ip link set far up",
        ):
            subprocess.run(["ip", "netns", "exec", name, *command.split()], check=True, capture_output=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


@pytest.mark.needs_root
def test_a_replayed_capture_gives_the_flows_of_the_file(wire: str, tmp_path: Path) -> None:
    capture, live = tmp_path / "whole.pcap", tmp_path / "live.parquet"
    count = write_whole_frames(capture)
    inside = ["ip", "netns", "exec", wire]
    command = [sys.executable, "-m", "flowlore", "flows", "-i", "far", "-o", str(live)]
    command += ["--count", str(count), "--duration", "60", *PATIENT]
    meter = subprocess.Popen([*inside, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_for_listener(wire, meter)
    replay = ["tcpreplay", "--quiet", "--intf1", "near", "--pps", "4000", str(capture)]
    subprocess.run([*inside, *replay], check=True, capture_output=True)
    said, _ = meter.communicate(timeout=90)
    assert meter.returncode == 0, said
    heard = pl.read_parquet(live)
    settings = flowlore.PipelineConfig(
        meter=flowlore.PipelineConfig().meter.__class__(idle_timeout_s=3600.0, tcp_linger_s=3600.0)
    )
    read = pl.DataFrame(flowlore.read(capture, settings=settings).to_arrow())
    columns = [name for name in read.columns if not any(part in name for part in ELSEWHEN)]
    order = ["src_ip", "dst_ip", "src_port", "dst_port", "protocol", "packets_fwd", "bytes_fwd", "bytes_rev"]
    assert f"{count:,} packets" in said, said
    assert heard.height == read.height > 100
    assert heard.select(columns).sort(order).equals(read.select(columns).sort(order))


def write_whole_frames(path: Path) -> int:
    """The frames of the demo capture that the snap length did not cut, as a plain pcap."""
    count = 0
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1))
        for chunk in merge_captures(gather_inputs(DEMO)):
            for frame in chunk.frames:
                start, size = int(frame["start"]), int(frame["captured"])
                if size == int(frame["wire"]) and size <= 1514:
                    seconds, rest = divmod(int(frame["time_ns"]), 1_000_000_000)
                    file.write(struct.pack("<IIII", seconds, rest, size, size))
                    file.write(chunk.data[start : start + size].tobytes())
                    count += 1
    return count


def wait_for_listener(wire: str, meter: "subprocess.Popen[str]") -> None:
    """Until a packet socket takes packets in the namespace: one that is only open misses what comes."""
    for _ in range(600):
        table = subprocess.run(
            ["ip", "netns", "exec", wire, "cat", "/proc/net/packet"], capture_output=True, text=True, check=True
        )
        heading, *sockets = (line.split() for line in table.stdout.splitlines())
        interface, running = heading.index("Iface"), heading.index("R")
        if any(socket[interface] != "0" and socket[running] == "1" for socket in sockets):
            return
        if meter.poll() is not None:
            break
        time.sleep(0.1)
    output = meter.stdout.read() if meter.stdout else ""
    raise AssertionError(f"nobody listened: {output}")
