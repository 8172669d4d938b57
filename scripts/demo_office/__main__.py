"""The timetable, and the run: network, servers, activities, then the capture and its labels."""

import argparse
import csv
import shutil
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from .activities import (
    Activity,
    Label,
    Office,
    ask_time,
    browse,
    fetch_files,
    lease,
    look_up,
    ping,
    play_quic,
    probe,
    publish,
    scan,
    send_mail,
    shell,
)
from .network import build_network
from .origin import write_origin
from .servers import Servers

SEED = 7
CAMERA = ("-A", "ExampleCam/1.4", "--http1.1", "-T", "www/story.html")
SLOWLY = b"for n in 1 2 3 4 5 6 7 8; do echo line $n; sleep 1.3; done\n"

TIMETABLE: list[tuple[float, Activity]] = [
    (0.0, lease("desk", "example-desktop 1.0")),
    (0.3, lease("laptop", "example-laptop 2.1")),
    (0.6, lease("camera", "ExampleCam")),
    (1.0, ask_time("desk")),
    (1.2, publish("sensor", "office/temperature", 14, 2.5)),
    (1.5, ask_time("camera")),
    (2.0, browse("web", "desk", "news.example", ["", "story.html", "logo.png"], port=41001)),
    (2.4, browse("web", "laptop", "news.example", ["index.html", "logo.png"], port=41002, v6=True)),
    (3.0, shell("desk", "user_key", SLOWLY)),
    (3.5, browse("web", "desk", "www.shop.example", ["", "logo.png"], port=41003, v6=True)),
    (3.7, browse("web", "desk", "images.shop.example", ["logo.png", "logo.png?2"], port=41004, v6=True)),
    (4.0, browse("web", "laptop", "www.shop.example", ["login"], port=41005, server_port=80)),
    (4.5, browse("web", "laptop", "bank.example", ["", "logo.png"], "--http1.1", port=41006)),
    (
        5.0,
        browse("camera-upload", "camera", "upload.camera.example", ["upload/1"], *CAMERA, port=41007, server_port=80),
    ),
    (5.5, play_quic("laptop", 41008, 60_000)),
    (6.0, look_up("laptop", "printer.office.example")),
    (6.5, ping("desk", "192.0.2.1", "-c", "4", "-i", "0.5")),
    (7.0, ping("laptop", "2001:db8:80::10", "-c", "3", "-i", "0.5")),
    (7.5, ping("desk", "198.51.100.10", "-c", "2", "-s", "3000")),
    (8.0, send_mail("desk")),
    (9.0, fetch_files("laptop")),
    (10.0, browse("video", "desk", "play.video.example", ["v/0.ts"], port=41009)),
    (12.0, browse("video", "desk", "play.video.example", ["v/1.ts"], port=41010)),
    (
        13.0,
        browse(
            "software-update",
            "laptop",
            "updates.vendor.example",
            ["update.bin"],
            "-A",
            "updater/3.2",
            port=41011,
            server_port=80,
        ),
    ),
    (14.0, play_quic("desk", 41012, 45_000, v6=True)),
    (
        15.0,
        browse("camera-upload", "camera", "upload.camera.example", ["upload/2"], *CAMERA, port=41013, server_port=80),
    ),
    (16.0, browse("web", "desk", "wiki.office.example", ["", "story.html"], "--tls-max", "1.2", port=41014)),
    (17.0, browse("web", "laptop", "wiki.office.example", ["story.html"], "--http1.1", port=41015, v6=True)),
    (18.0, scan("visitor", "192.0.2.20", 15, 90)),
    (19.0, probe("visitor", "192.0.2.20")),
    *((20.5 + 0.8 * n, shell("visitor", "wrong_key", b"", "login-guessing")) for n in range(5)),
    (
        25.0,
        browse("camera-upload", "camera", "upload.camera.example", ["upload/3"], *CAMERA, port=41016, server_port=80),
    ),
    (26.0, browse("web", "laptop", "news.example", ["index.html"], port=41017)),
    (27.0, browse("web", "desk", "bank.example", [""], "--http1.1", port=41018, v6=True)),
    (28.0, shell("laptop", "user_key", b"seq 300; sleep 1; seq 40\n", v6=True)),
    (30.0, browse("video", "desk", "play.video.example", ["v/2.ts"], port=41019, v6=True)),
    (31.0, browse("web", "desk", "news.example", ["", "logo.png"], port=41022, server_port=80)),
    (32.0, look_up("desk", "files.office.example")),
    (33.0, browse("web", "laptop", "news.example", ["story.html", "story.html?2"], port=41020, v6=True)),
    (
        35.0,
        browse("camera-upload", "camera", "upload.camera.example", ["upload/4"], *CAMERA, port=41021, server_port=80),
    ),
    (36.0, look_up("visitor", "wpad.office.example")),
]


def main() -> None:
    parser = argparse.ArgumentParser(prog="demo_office")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    arguments = parser.parse_args()
    build_network()
    servers = Servers(arguments.work)
    capture = arguments.work / "office.pcapng"
    office = Office(arguments.work, servers.environment)
    started = datetime.now(UTC)
    try:
        servers.start(capture, SEED)
        opened_ns = time.time_ns()
        work_through(office)
        time.sleep(1.5)
    finally:
        servers.stop()
        for log in ("servers.log", "clients.log"):
            shutil.copy(arguments.work / log, Path("build/demo_office") / log)
    office.labels += _names_of_everyone(opened_ns, time.time_ns())
    arguments.folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(capture, arguments.folder / "office.pcapng")
    write_labels(arguments.folder / "labels.csv", office.labels)
    write_origin(arguments.folder, started)


def work_through(office: Office) -> None:
    """Start every activity at its time, wait for all, and keep their labels."""
    begin = time.monotonic()

    def act(at: float, activity: Activity) -> None:
        time.sleep(max(0.0, begin + at - time.monotonic()))
        office.labels += activity(office)

    threads = [threading.Thread(target=act, args=entry) for entry in TIMETABLE]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def write_labels(path: Path, labels: list[Label]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["src_ip", "dst_ip", "src_port", "dst_port", "protocol", "from", "to", "label"])
        for label in sorted(labels, key=lambda label: (label.start_ns, label.src_ip)):
            times = [_text(label.start_ns), _text(label.end_ns)]
            ends = [label.src_ip, label.dst_ip, label.src_port, label.dst_port]
            writer.writerow([*ends, label.protocol, *times, label.application])


def _names_of_everyone(start_ns: int, end_ns: int) -> list[Label]:
    """Every program asks the resolver before it connects."""
    hosts = ("192.0.2.11", "192.0.2.12", "192.0.2.66", "192.0.2.140", "192.0.2.141")
    return [Label(host, "192.0.2.1", "", "53", 17, start_ns, end_ns, "names") for host in hosts]


def _text(time_ns: int) -> str:
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"


if __name__ == "__main__":
    main()
