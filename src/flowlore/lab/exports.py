"""Flow records of a capture, exported by softflowd while the run goes on, and kept as the datagrams that were sent.

softflowd asks libpcap for packets without a time limit, and then sees none of them until a block of the kernel's ring
is full. So it reads the growing file of the capture, and takes its time from the packets. Each export has a namespace
of its own, in which softflowd sends to its own loopback; a capture of that is what Flowlore reads.
"""

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import IO

from .activity import Program
from .machine import call_inside, inside, run
from .scenario import ExportPoint
from .world import World, environment_of_modules

SOFTFLOWD = Program(name="softflowd", package="softflowd")
PORTS = {"5": 2055, "9": 9995, "ipfix": 4739}
_VERSIONS = {"5": "5", "9": "9", "ipfix": "10"}
_MOST_FLOWS = 65_536
_LAST_S = 20.0
_WHOLE = "Shutting down after pcap EOF"


class Exporter:
    """softflowd at one capture."""

    def __init__(self, world: World, name: str, point: ExportPoint, capture: Path, log: Path) -> None:
        self.name = name
        self.point = point
        self._space = world.space(f"x-{name}")
        self._capture = capture
        self._log = log
        self._processes: list[subprocess.Popen[bytes]] = []
        self._sink: socket.socket | None = None
        run("ip", "netns", "add", self._space)
        run("ip", "-n", self._space, "link", "set", "lo", "up")

    @property
    def space(self) -> str:
        return self._space

    def start(self) -> None:
        """From now on what lies in the capture is exported; a capture of the loopback must listen already."""
        port = PORTS[self.point.version]
        self._sink = call_inside(self._space, lambda: _bound(port))
        with self._log.open("ab") as log:
            follow = self._start(["tail", "-c", "+1", "-s", "0.2", "-f", str(self._capture)], subprocess.DEVNULL, log)
            meter = self._start(inside(self._space, *self._softflowd(port)), follow.stdout, log)
        if follow.stdout is not None:
            follow.stdout.close()
        if meter.stdout is not None:
            meter.stdout.close()

    def _softflowd(self, port: int) -> list[str]:
        point = self.point
        words = ["softflowd", "-d", "-a", "-r", "/dev/stdin", "-v", _VERSIONS[point.version], "-m", str(_MOST_FLOWS)]
        for kind in ("general", "tcp", "tcp.rst", "tcp.fin", "udp", "icmp"):
            words += ["-t", f"{kind}={point.idle_s:g}"]
        words += ["-t", f"maxlife={point.active_s:g}", "-t", "expint=1", "-A", "milli"]
        own = str(self._log.with_suffix(".pid"))  # it removes that file when it ends
        return [*words, "-c", "none", "-p", own, "-n", f"127.0.0.1:{port}"]

    def _start(self, command: list[str], stdin: IO[bytes] | int | None, log: IO[bytes]) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment_of_modules(),
            start_new_session=True,
        )
        self._processes.append(process)
        return process

    def stop(self) -> str:
        """The capture is whole: read it to its end, and export what is still open. Gives what went wrong."""
        follow, meter = self._processes
        size = self._capture.stat().st_size
        deadline = time.monotonic() + _LAST_S
        while time.monotonic() < deadline and _position_of(follow.pid, self._capture) < size:
            time.sleep(0.1)
        follow.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            meter.wait(timeout=_LAST_S)  # its exit code says nothing: it is 1 at the end of every file
        self.kill()
        words = self._log.read_text(errors="replace").strip()
        return "" if _WHOLE in words else f"export {self.name}: {words[-300:] or 'softflowd said nothing'}"

    def kill(self) -> None:
        """End everything at once."""
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if self._sink is not None:
            self._sink.close()


def _bound(port: int) -> socket.socket:
    """Somebody must be there, or the kernel tells the exporter that nobody is. What comes is captured, not read."""
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind(("127.0.0.1", port))
    return sink


def _position_of(pid: int, path: Path) -> int:
    """How far a process has read a file."""
    with contextlib.suppress(OSError, ValueError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            if descriptor.resolve() == path.resolve():
                return int(Path(f"/proc/{pid}/fdinfo/{descriptor.name}").read_text().split()[1])
    return 0
