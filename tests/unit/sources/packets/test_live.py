"""Live capture on a veth pair, in network namespaces that the tests make themselves."""

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from flowlore.errors import InputError
from flowlore.sources.packets.live import LiveCapture
from flowlore.sources.packets.settings import PacketSettings

LISTENER = textwrap.dedent(
    """
    import json, sys, time
    from flowlore.sources.packets.live import LiveCapture
    from flowlore.sources.packets.settings import PacketSettings

    interface, most, options = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
    settings = PacketSettings(ring_mib=8)
    capture = LiveCapture(interface, settings, lambda: False, most_packets=most, duration_s=20, **options)
    print("listening", flush=True)
    begin_s, begin_cpu_s = time.monotonic(), time.process_time()
    frames, silences = [], 0
    for chunk in capture:
        silences += not len(chunk.frames)
        for frame in chunk.frames:
            start = int(frame["start"])
            frames.append([
                int(frame["time_ns"]), int(frame["wire"]), int(frame["link"]),
                chunk.data[start : start + int(frame["captured"])].tobytes().hex(),
            ])
    busy = (time.process_time() - begin_cpu_s) / (time.monotonic() - begin_s)
    print(json.dumps({"frames": frames, "notes": dict(capture.notes), "silences": silences, "busy": busy}))
    """
)


@dataclass
class Heard:
    times_ns: list[int] = field(default_factory=list)
    wire: list[int] = field(default_factory=list)
    links: list[int] = field(default_factory=list)
    data: list[bytes] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)
    silences: int = 0
    busy: float = 0.0


@pytest.fixture
def namespace() -> Iterator[str]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and the program `ip`")
    name = f"flowlore{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode:
        pytest.skip("this machine does not let us make network namespaces")
    try:
        commands = (
            "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1",
            "ip link add near type veth peer name far",
            "ip link set lo up",
            "ip link set near up",
            "ip link set far up",
        )
        for command in commands:
            subprocess.run(["ip", "netns", "exec", name, *command.split()], check=True, capture_output=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


def listen(namespace: str, interface: str, most: int, send: list[str], **options: object) -> Heard:
    """Capture `most` packets on `interface` while the command `send` runs."""
    prefix = ["ip", "netns", "exec", namespace]
    listener = subprocess.Popen(
        [*prefix, sys.executable, "-c", LISTENER, interface, str(most), json.dumps(options)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert listener.stdout is not None
    with listener:
        assert listener.stdout.readline() == "listening\n"
        subprocess.run([*prefix, *send], check=True, capture_output=True)
        said = json.loads(listener.stdout.readline())
    heard = Heard(notes=said["notes"], silences=said["silences"], busy=said["busy"])
    for time_ns, wire, link, data in said["frames"]:
        heard.times_ns.append(time_ns)
        heard.wire.append(wire)
        heard.links.append(link)
        heard.data.append(bytes.fromhex(data))
    return heard


def frame(number: int, *, tags: bytes = b"", payload_bytes: int = 50) -> bytes:
    """Ethernet to nobody, of a type that no stack answers."""
    addresses = b"\x02\0\0\0\0\x01" + b"\x02\0\0\0\0\x02"
    return addresses + tags + b"\x88\xb5" + number.to_bytes(4, "big") + bytes(payload_bytes)


def write_pcap(path: Path, frames: list[bytes]) -> None:
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for number, data in enumerate(frames):
            file.write(struct.pack("<IIII", 1_700_000_000, number, len(data), len(data)) + data)


@pytest.mark.needs_root
def test_what_is_replayed_is_what_is_captured(namespace: str, tmp_path: Path) -> None:
    if shutil.which("tcpreplay") is None:
        pytest.skip("the program `tcpreplay` is not installed")
    service_tag, customer_tag = b"\x88\xa8\x00\x64", b"\x81\x00\xe0\x07"
    frames = [
        frame(number, tags=(b"", customer_tag, service_tag + customer_tag)[number % 3], payload_bytes=46 + number % 900)
        for number in range(3000)
    ]
    capture = tmp_path / "sent.pcap"
    write_pcap(capture, frames)
    send = ["tcpreplay", "-q", "-i", "near", "--pps=20000", str(capture)]
    heard = listen(namespace, "far", len(frames), send)
    assert heard.data == frames
    assert heard.wire == [len(data) for data in frames]
    assert set(heard.links) == {1}
    assert heard.times_ns == sorted(heard.times_ns)
    assert heard.notes == {}


@pytest.mark.needs_root
def test_loopback_packets_are_seen_once_and_silence_is_told(namespace: str) -> None:
    program = (
        "import socket, time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); r = socket.socket(socket.AF_INET, "
        "socket.SOCK_DGRAM); r.bind(('127.0.0.1', 4000)); time.sleep(0.8);"
        "[(s.sendto(b'%d' % i, ('127.0.0.1', 4000)), time.sleep(i == 9 and 1.5)) for i in range(20)]"
    )
    heard = listen(namespace, "lo", 20, [sys.executable, "-c", program])
    assert [data[42:] for data in heard.data] == [b"%d" % number for number in range(20)]
    assert heard.silences >= 5  # before the first packet and between the tenth and the eleventh
    assert heard.busy < 0.5


@pytest.mark.needs_root
def test_snap_length_cuts_and_is_noted(namespace: str, tmp_path: Path) -> None:
    if shutil.which("tcpreplay") is None:
        pytest.skip("the program `tcpreplay` is not installed")
    frames = [frame(number, payload_bytes=500) for number in range(10)]
    write_pcap(tmp_path / "sent.pcap", frames)
    heard = listen(namespace, "far", 10, ["tcpreplay", "-q", "-i", "near", str(tmp_path / "sent.pcap")], snaplen=96)
    assert heard.data == [data[:96] for data in frames]
    assert heard.wire == [len(data) for data in frames]
    assert heard.notes == {"snapped": 10}


@pytest.mark.needs_root
def test_all_interfaces_give_cooked_frames(namespace: str, tmp_path: Path) -> None:
    if shutil.which("tcpreplay") is None:
        pytest.skip("the program `tcpreplay` is not installed")
    frames = [frame(number) for number in range(5)]
    write_pcap(tmp_path / "sent.pcap", frames)
    heard = listen(namespace, "any", 10, ["tcpreplay", "-q", "-i", "near", str(tmp_path / "sent.pcap")])
    assert set(heard.links) == {113}
    received = [data for data in heard.data if data[1] != 4]  # 4 goes out; both ends of the pair are seen
    assert [data[16:] for data in received] == [data[14:] for data in frames]
    assert all(data[2:6] == b"\0\x01\0\x06" and data[14:16] == b"\x88\xb5" for data in received)


def test_unknown_interface_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"no interface is called `nosuch0` \(known: .*lo") as raised:
        LiveCapture("nosuch0", PacketSettings(), lambda: True)
    assert raised.value.hint


def test_missing_right_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket

    def refuse(family: int = -1, *rest: int) -> socket.socket:
        if family == socket.AF_PACKET:
            raise PermissionError(1, "Operation not permitted")
        return real(family, *rest)

    monkeypatch.setattr("flowlore.sources.packets.live.socket.socket", refuse)
    with pytest.raises(InputError, match="cap_net_raw"):
        LiveCapture("any", PacketSettings(), lambda: True)
