"""What people, things and an intruder do. Each activity knows what it is, so it writes the label of its own traffic."""

import ftplib
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path

from .network import inside
from .plan import NAMES, PORTS

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
TCP, UDP = 6, 17


@dataclass(frozen=True)
class Label:
    """One row of the ground truth; an empty port stands for any."""

    src_ip: str
    dst_ip: str
    src_port: str
    dst_port: str
    protocol: int
    start_ns: int
    end_ns: int
    application: str


@dataclass
class Office:
    """Where activities find the work folder, and where they leave their labels."""

    work: Path
    environment: dict[str, str]
    labels: list[Label] = field(default_factory=list)

    def run(self, host: str, *command: str, feed: bytes = b"") -> None:
        """A client program; its failure is part of life (a refused login), so only its time is bounded."""
        with (self.work / "clients.log").open("ab") as log:
            log.write(f"--- {host}: {' '.join(command)}\n".encode())
            log.flush()
            process = subprocess.Popen(
                inside(host, *command),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self.environment,
                cwd=self.work,
            )
            with suppress(BrokenPipeError):
                process.communicate(feed, timeout=45)

    def python(self, host: str, activity: str, *words: str) -> None:
        """One of the clients below that are written in Python, run inside a host."""
        self.run(host, sys.executable, "-m", "demo_office.activities", activity, *words)


Activity = Callable[[Office], list[Label]]


def labelled(
    application: str, host: str, to: str, protocol: int, ports: tuple[str, str], act: Callable[[Office], None]
) -> Activity:
    """An activity and the label of the flow or flows that it opens."""

    def activity(office: Office) -> list[Label]:
        start = time.time_ns()
        act(office)
        return [Label(host, to, *ports, protocol, start, time.time_ns() + 500_000_000, application)]

    return activity


def browse(
    application: str,
    host: str,
    name: str,
    paths: list[str],
    *options: str,
    port: int,
    server_port: int = 443,
    v6: bool = False,
) -> Activity:
    """Fetch pages of one site over one connection from a given source port."""
    scheme = "http" if server_port == 80 else "https"
    words = [
        "curl",
        "-sS",
        "-6" if v6 else "-4",
        "-A",
        BROWSER,
        "--cacert",
        "ca.pem",
        "--local-port",
        str(port),
        *options,
    ]
    for path in paths:
        words += ["-o", "/dev/null", f"{scheme}://{name}/{path}"]
    address = NAMES[name][1 if v6 else 0]
    return labelled(
        application,
        _address(host, v6),
        address,
        TCP,
        (str(port), str(server_port)),
        lambda office: office.run(host, *words),
    )


def play_quic(host: str, port: int, size: int, v6: bool = False) -> Activity:
    """Watch a video over HTTP/3."""
    name = "play.video.example"
    address = NAMES[name][1 if v6 else 0]

    def act(office: Office) -> None:
        office.python(host, "resolve", name)
        words = ("-m", "demo_office.quic", "fetch", name, address, str(port), str(office.work / "ca.pem"), str(size))
        office.run(host, sys.executable, *words)

    return labelled("video", _address(host, v6), address, UDP, (str(port), "443"), act)


def shell(host: str, key: str, script: bytes, application: str = "remote-shell", v6: bool = False) -> Activity:
    """An SSH session from `host` to the file server that runs `script`."""

    def act(office: Office) -> None:
        options = [
            "-F",
            "none",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "BatchMode=yes",
        ]
        words = ["ssh", "-6" if v6 else "-4", *options, "-i", key, "-l", "root", "files.office.example", "sh"]
        office.run(host, *words, feed=script)

    return labelled(application, _address(host, v6), NAMES["files.office.example"][v6], TCP, ("", "22"), act)


def ping(host: str, to: str, *options: str) -> Activity:
    v6 = ":" in to
    return labelled(
        "diagnostics",
        _address(host, v6),
        to,
        58 if v6 else 1,
        ("", ""),
        lambda office: office.run(host, "ping", "-n", *options, to),
    )


def publish(host: str, topic: str, messages: int, pause_s: float) -> Activity:
    """A sensor's readings, one by one over one MQTT connection."""

    def act(office: Office) -> None:
        words = ["mosquitto_pub", "-h", "broker.things.example", "-i", host, "-t", topic, "-l"]
        office.run(
            host, "sh", "-c", f"for n in $(seq {messages}); do echo t=2$n; sleep {pause_s}; done | {' '.join(words)}"
        )

    return labelled("telemetry", _address(host), NAMES["broker.things.example"][0], TCP, ("", "1883"), act)


def ask_time(host: str) -> Activity:
    def act(office: Office) -> None:
        server = "server time.example iburst maxsamples 3"
        office.run(
            host,
            "chronyd",
            "-Q",
            "-t",
            "8",
            "-f",
            "/dev/null",
            "cmdport 0",
            f"pidfile {office.work}/{host}.pid",
            server,
        )

    return labelled("time", _address(host), NAMES["time.example"][0], UDP, ("", "123"), act)


def lease(host: str, vendor: str) -> Activity:
    """Ask for an address by DHCP; the answer is not applied."""
    words = (
        "udhcpc",
        "-i",
        "eth0",
        "-n",
        "-q",
        "-s",
        "/bin/true",
        "-V",
        vendor,
        "-x",
        f"hostname:{host}",
        "-t",
        "3",
        "-T",
        "2",
    )
    return labelled("address-lease", "", "", UDP, ("68", "67"), lambda office: office.run(host, *words))


def look_up(host: str, name: str) -> Activity:
    """Ask for a name and do nothing with it. Every question to the resolver has its label already."""

    def activity(office: Office) -> list[Label]:
        office.python(host, "resolve", name)
        return []

    return activity


def send_mail(host: str) -> Activity:
    return labelled(
        "mail", _address(host), "198.51.100.25", TCP, ("", "25"), lambda office: office.python(host, "mail")
    )


def fetch_files(host: str) -> Activity:
    """FTP: one control connection, passive data connections to high ports."""
    return labelled(
        "file-transfer", _address(host), "192.0.2.20", TCP, ("", ""), lambda office: office.python(host, "ftp")
    )


def scan(host: str, to: str, first: int, last: int) -> Activity:
    """Try to open every port in a range once; bounded, and against the office's own file server only."""
    return labelled(
        "port-scan",
        _address(host),
        to,
        TCP,
        ("", ""),
        lambda office: office.python(host, "scan", to, str(first), str(last)),
    )


def probe(host: str, to: str) -> Activity:
    """A few UDP datagrams to closed ports, answered by ICMP."""
    return labelled("port-scan", _address(host), to, UDP, ("", ""), lambda office: office.python(host, "probe", to))


def _address(host: str, v6: bool = False) -> str:
    addresses = next(port.addresses for port in PORTS if port.host == host)
    return addresses[1 if v6 else 0].partition("/")[0]


def _resolve(name: str) -> None:
    with suppress(socket.gaierror):
        socket.getaddrinfo(name, None)


def _mail() -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "ann@office.example", "ben@office.example", "minutes"
    message.set_content("The minutes of the example meeting. " * 40)
    with smtplib.SMTP("mail.office.example", 25, local_hostname="desk.office.example", timeout=10) as smtp:
        smtp.send_message(message)


def _ftp() -> None:
    with ftplib.FTP(socket.gethostbyname("files.office.example"), timeout=10) as ftp:
        ftp.login("anonymous", "guest@office.example")
        ftp.nlst()
        ftp.retrbinary("RETR story.html", lambda block: None)


def _scan(to: str, first: str, last: str) -> None:
    for port in range(int(first), int(last) + 1):
        with socket.socket() as opened:
            opened.settimeout(0.3)
            opened.connect_ex((to, port))


def _probe(to: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        for port in (69, 137, 161, 500, 1434):
            opened.sendto(b"\0" * 8, (to, port))
            time.sleep(0.05)


if __name__ == "__main__":
    {"resolve": _resolve, "mail": _mail, "ftp": _ftp, "scan": _scan, "probe": _probe}[sys.argv[1]](*sys.argv[2:])
