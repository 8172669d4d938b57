"""What this machine can do: namespaces, traffic shaping, what the kernel tells about connections, and programs."""

import ctypes
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from ..errors import FlowloreError, MissingDependency
from .activity import Program, commands_for

T = TypeVar("T")

NETNS = Path("/run/netns")
_LOGINS = ("/var/log/wtmp", "/var/log/btmp", "/var/log/lastlog", "/run/utmp")  # the machine's own, not the run's
FORGET_LOGINS = f"for book in {' '.join(_LOGINS)}; do test ! -e $book || mount --bind /dev/null $book; done"
_ETC = Path("/etc/netns")  # where `ip netns exec` looks for files of a namespace
_NEW_NETWORK, _NEW_MOUNTS = 0x40000000, 0x00020000  # CLONE_NEWNET, CLONE_NEWNS
_BIND, _PRIVATE, _DETACH = 0x1000, 0x4000 | 1 << 18, 2  # MS_BIND, MS_REC | MS_PRIVATE, MNT_DETACH
_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
_TOOLS = {"ip": "iproute2", "tc": "iproute2", "iptables": "iptables", "ip6tables": "iptables"}


@dataclass(frozen=True, kw_only=True)
class Abilities:
    """What was found by trying it in a namespace of our own."""

    shaping: dict[str, bool] = field(default_factory=dict)  # netem, tbf, htb, statistic, tap
    truth: dict[str, bool] = field(default_factory=dict)  # nflog, frames, nat

    @property
    def missing(self) -> list[str]:
        return [name for name, has in {**self.shaping, **self.truth}.items() if not has]


def require_machine() -> None:
    """Root, namespaces and the few tools without which nothing goes."""
    if os.geteuid() != 0:
        raise FlowloreError("lab: namespaces can be made by root only", hint="sudo flowlore lab run …")
    missing = [Program(name=name, package=package) for name, package in _TOOLS.items() if not shutil.which(name)]
    if missing:
        raise_missing(missing)
    done = run_quietly("unshare", "--net", "true")
    if done.returncode:
        raise FlowloreError(
            f"lab: this machine gives no network namespaces: {done.stderr.strip()}",
            hint="in a container they need CAP_SYS_ADMIN and CAP_NET_ADMIN (`docker run --privileged`)",
        )


def probe(namespace: str) -> Abilities:
    """Try everything in an empty namespace that nobody else uses."""
    run("ip", "-n", namespace, "link", "add", "probe0", "type", "veth", "peer", "name", "probe1")
    run("ip", "-n", namespace, "link", "set", "probe0", "up")
    tc = ("tc", "-n", namespace, "qdisc", "replace", "dev", "probe0", "root")
    shaping = {
        "netem": works(*tc, "netem", "delay", "1ms"),
        "tbf": works(*tc, "tbf", "rate", "10mbit", "burst", "32k", "latency", "50ms"),
        "htb": works(*tc, "htb"),
        "statistic": works(
            *inside(namespace, "iptables", "-A", "INPUT", "-m", "statistic"),
            *("--mode", "random", "--probability", "0.01", "-j", "DROP"),
        ),
        "tap": works("ip", "-n", namespace, "tuntap", "add", "dev", "probe2", "mode", "tap"),
    }
    log = ("-A", "OUTPUT", "-m", "conntrack", "--ctstate", "NEW", "-j", "NFLOG", "--nflog-group", "1")
    hook = 'type filter hook egress device "probe0" priority 0; meta skgid 1 log group 1;'
    frames = f"table netdev lab {{ chain a {{ {hook} }}; }}"
    truth = {
        "nflog": all(works(*inside(namespace, tool, *log)) for tool in ("iptables", "ip6tables")),
        "frames": works(*inside(namespace, "nft", frames)),
        "nat": works(*inside(namespace, "iptables", "-t", "nat", "-A", "POSTROUTING", "-j", "MASQUERADE")),
    }
    return Abilities(shaping=shaping, truth=truth)


def missing_programs(needs: Iterable[Program]) -> list[Program]:
    """Those of them that are not on this machine."""
    return [one for one in dict.fromkeys(needs) if not _has(one)]


def raise_missing(programs: Iterable[Program], why: str = "") -> None:
    """Name what is missing and the commands that bring it."""
    programs = list(programs)
    names = ", ".join(f"`{one.name}`" for one in programs)
    verb = "is" if len(programs) == 1 else "are"
    raise MissingDependency(
        f"lab: {names} {verb} not installed{why}", hint=f"`{'`, `'.join(commands_for(programs))}`, or `--skip-missing`"
    )


def inside(namespace: str, *command: str) -> list[str]:
    """The words that run a command inside a namespace."""
    return ["ip", "netns", "exec", namespace, *command]


def call_inside(namespace: str, function: Callable[[], T]) -> T:
    """What a function gives when it is called inside a namespace: sockets that it opens stay there."""
    results: list[T] = []
    failures: list[BaseException] = []

    def call() -> None:
        try:
            _enter_network(namespace)
            results.append(function())
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=call)  # a namespace belongs to a thread, and this one ends here
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]


def enter(namespace: str) -> None:
    """Move this process into a namespace for good, with its files of /etc and its /sys, as `ip netns exec` does.

    What it writes of log-ins is thrown away: nobody logged in to the machine itself.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    _enter_network(namespace)
    _must(libc.unshare(_NEW_MOUNTS), "mounts cannot be made apart")
    _must(libc.mount(b"none", b"/", None, _PRIVATE, None), "mounts cannot be made private")
    libc.umount2(b"/sys", _DETACH)
    libc.mount(namespace.encode(), b"/sys", b"sysfs", 0, None)
    for path in (_ETC / namespace).glob("*"):
        target = Path("/etc", path.name)
        if target.exists():
            bound = libc.mount(bytes(path), bytes(target.resolve()), None, _BIND, None)
            _must(bound, f"`{target}` cannot be laid over")
    for target in map(Path, _LOGINS):
        if target.exists():
            bound = libc.mount(b"/dev/null", bytes(target.resolve()), None, _BIND, None)
            _must(bound, f"`{target}` cannot be laid over")


def die_with_parent() -> None:
    """From now on the kernel ends this process when its parent is gone. A change of user or group takes that back."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def run(*command: str, feed: str = "") -> str:
    """Run a tool that must succeed; gives what it prints."""
    done = subprocess.run(command, input=feed, capture_output=True, text=True, timeout=60)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise FlowloreError(
            f"lab: `{' '.join(command)}` failed: {said[0] if said else f'exit {done.returncode}'}",
            hint="`flowlore lab check` tells what this machine can do",
        )
    return done.stdout


def run_quietly(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a tool that may fail."""
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def works(*command: str) -> bool:
    """Whether a tool succeeds."""
    return run_quietly(*command).returncode == 0


def _enter_network(namespace: str) -> None:
    descriptor = os.open(NETNS / namespace, os.O_RDONLY)
    try:
        entered = ctypes.CDLL(None, use_errno=True).setns(descriptor, _NEW_NETWORK)
        _must(entered, f"namespace `{namespace}` cannot be entered")
    finally:
        os.close(descriptor)


def _must(result: int, words: str) -> None:
    if result:
        raise OSError(ctypes.get_errno(), words)


def _has(program: Program) -> bool:
    from .roles.programs import missing

    return not missing([program])
