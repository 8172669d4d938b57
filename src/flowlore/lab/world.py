"""The namespaces of a run, their interfaces, addresses and routes; and what is left of runs that were killed."""

import contextlib
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

from ..errors import FlowloreError, OutputError
from ..settings import settings_values
from .links import Wire, lay_wire, needs_relay, unmet
from .machine import NETNS, Abilities, inside, probe, run, run_quietly
from .nodes import Node, nodes_of, prefixes_of
from .scenario import Scenario

PREFIX = "flowlore-lab-"  # of every namespace and file that we make outside of OUT
STATE = Path("/run/flowlore-lab")
SWITCH = "switch"
_ETC = Path("/etc/netns")
_TRIES = 10
_QUIET_SWITCH = ("net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")


class World:
    """Everything that a run makes on the machine. Use as a context: leaving it takes everything away again."""

    def __init__(self, scenario: Scenario, work: Path) -> None:
        self.scenario = scenario
        self.run_id = f"{os.getpid():x}"
        self.nodes = nodes_of(scenario)
        self.abilities = Abilities()
        self.wires: list[Wire] = []
        self.unmet: set[str] = set()  # what of the links this machine cannot do
        self.relay: subprocess.Popen[bytes] | None = None
        self.keeper: subprocess.Popen[bytes] | None = None
        self.folder = STATE / self.run_id
        self.work = work  # everything that the run writes before it is whole

    def space(self, node: str) -> str:
        """The namespace of a host, a router or the switch."""
        return f"{PREFIX}{self.run_id}-{node}"

    def bridge(self, network: str) -> str:
        """The bridge of a network, inside the namespace of the switch."""
        return f"b{list(self.scenario.networks).index(network)}"

    def __enter__(self) -> "World":
        clean_up()
        try:
            claim(self.run_id, self.work)
            self._start_keeper()
            self.work.mkdir(parents=True)
            self._check_alone()
            self._build()
        except BaseException:
            self._take_away()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._take_away()

    def _take_away(self) -> None:
        if self.relay is not None:
            self.relay.kill()
            self.relay.wait()
            if self.relay.stdout is not None:
                self.relay.stdout.close()
        take_away(self.run_id)
        if self.keeper is not None and self.keeper.stdin is not None:
            self.keeper.stdin.close()
            self.keeper.wait()

    def _check_alone(self) -> None:
        """Of two runs with one output, the later one ends at once and not when both are done."""
        stem = self.work.name.removesuffix(self.run_id)
        output = stem[1:].removesuffix(f".{PREFIX}")
        for path in self.work.parent.glob(f"{glob.escape(stem)}*"):
            run_id = path.name.removeprefix(stem)
            if run_id != self.run_id and _is_alive(run_id):
                raise OutputError(
                    f"lab: another run (process {int(run_id, 16)}) is making `{output}`",
                    hint="choose another name, or wait for it",
                )

    def _start_keeper(self) -> None:
        """It outlives us, and whatever is sent to our terminal or our group."""
        command = [sys.executable, "-m", "flowlore.lab.keeper", self.run_id]
        self.keeper = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment_of_modules(),
            start_new_session=True,
        )

    def _build(self) -> None:
        run("ip", "netns", "add", self.space(SWITCH))
        run("ip", "netns", "add", self.space("probe"))
        self.abilities = probe(self.space("probe"))
        run("ip", "netns", "delete", self.space("probe"))
        run(*inside(self.space(SWITCH), "sysctl", "-qw", *_QUIET_SWITCH))
        lines = ["link set lo up"]
        for network in self.scenario.networks:
            bridge = self.bridge(network)
            lines.append(f"link add {bridge} type bridge mcast_snooping 0 forward_delay 0")
            lines.append(f"link set {bridge} promisc on up")
        self._ip(SWITCH, lines)
        for node in self.nodes.values():
            self._wire_node(node)
        self._start_relay()
        for node in self.nodes.values():
            self._address_node(node)
        for node in self.nodes.values():
            self._route(node)
        for name, router in self.scenario.routers.items():
            forwarding = ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
            run(*inside(self.space(name), "sysctl", "-qw", *forwarding))
            if router.nat_towards is not None:
                rule = ("-t", "nat", "-A", "POSTROUTING", "-o", self.nodes[name].networks[router.nat_towards])
                run(*inside(self.space(name), "iptables", *rule, "-j", "MASQUERADE"))
        self._check_closed()

    def _wire_node(self, node: Node) -> None:
        space = self.space(node.name)
        run("ip", "netns", "add", space)
        settings = ("net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.all.accept_dad=0")
        run(*inside(space, "sysctl", "-qw", *settings, "net.ipv4.ping_group_range=0 2147483647"))
        for network, interface in node.networks.items():
            name = self._link_of(node.name, network)
            link = None if name is None else self.scenario.links[name]
            port = f"p{len(self.wires)}"
            wire = Wire(space=space, interface=interface, switch=self.space(SWITCH), port=port, link=name)
            self.wires.append(wire)
            lay_wire(wire, link, self.abilities)
            self._ip(SWITCH, [f"link set {port} master {self.bridge(network)} up"])
            if link is not None:
                self.unmet.update(f"{name}: {words}" for words in unmet(link, self.abilities))

    def _start_relay(self) -> None:
        """One process for all links that the kernel cannot shape."""
        links = self.scenario.links
        relayed = [
            {"ends": wire.ends, "link": settings_values(links[wire.link])}
            for wire in self.wires
            if wire.link is not None and needs_relay(links[wire.link], self.abilities)
        ]
        if relayed:
            spec = self.folder / "relay.json"
            spec.write_text(json.dumps({"seed": self.scenario.clock.seed, "wires": relayed}))
            with (self.folder / "relay.log").open("wb") as log:
                command = [sys.executable, "-m", "flowlore.lab.relay", str(spec)]
                self.relay = subprocess.Popen(
                    command,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    stdin=subprocess.DEVNULL,
                    env=environment_of_modules(),
                    start_new_session=True,
                )
            if not self.relay.stdout or not self.relay.stdout.readline():
                raise FlowloreError(f"lab: the relay of links did not start: {(self.folder / 'relay.log').read_text()}")

    def _address_node(self, node: Node) -> None:
        lines = ["link set lo up"]
        for network, interface in node.networks.items():
            prefixes = prefixes_of(self.scenario.networks[network])
            lines.append(f"link set {interface} up")
            for address, prefix in zip(node.addresses[network], prefixes, strict=True):
                lines.append(f"address add {address}/{prefix.prefixlen} dev {interface}")
        self._ip(node.name, lines)

    def set_resolver(self, addresses: tuple[str, ...]) -> None:
        """Every host asks this resolver. The files lie where `ip netns exec` looks for them."""
        for node in self.nodes:
            folder = _ETC / self.space(node)
            folder.mkdir(parents=True, exist_ok=True)
            lines = [f"nameserver {address}" for address in addresses]
            (folder / "resolv.conf").write_text("\n".join([*lines, "options timeout:2 attempts:2", ""]))
            (folder / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")

    def _link_of(self, node: str, network: str) -> str | None:
        host = self.scenario.hosts.get(node)
        if host is not None:
            return host.link
        router = self.scenario.routers[node]
        return router.link if network == router.nat_towards else None

    def _route(self, node: Node) -> None:
        """A route to every network that can be reached, and to nowhere else."""
        lines = []
        for target, hops in self._ways(node).items():
            router, by, behind_nat = hops
            gateways = self.nodes[router].addresses[by]
            prefixes = prefixes_of(self.scenario.networks[target])
            for prefix in prefixes:
                via = next((one for one in gateways if (":" in one) == (prefix.version == 6)), None)
                if via is not None and not (behind_nat and prefix.version == 4):
                    lines.append(f"route add {prefix} via {via}")
        if lines:
            self._ip(node.name, lines)

    def _ways(self, node: Node) -> dict[str, tuple[str, str, bool]]:
        """Network → first router on the way, the network in which it is reached, and whether NAT hides the target."""
        found: dict[str, tuple[str, str, bool]] = {}
        seen = set(node.networks)
        ahead: deque[tuple[str, tuple[str, str, bool] | None]] = deque((network, None) for network in node.networks)
        while ahead:
            network, way = ahead.popleft()
            for name, router in self.scenario.routers.items():
                if name == node.name or network not in router.networks:
                    continue
                hidden = router.nat_towards == network or (way is not None and way[2])
                for beyond in router.networks:
                    if beyond not in seen:
                        seen.add(beyond)
                        first = (name, network, hidden) if way is None else (way[0], way[1], hidden)
                        found[beyond] = first
                        ahead.append((beyond, first))
        return found

    def _check_closed(self) -> None:
        """No interface leads out of the run, and no route leads beyond its networks."""
        ours = f"{PREFIX}{self.run_id}-"
        for name in [*self.nodes, SWITCH]:
            space = self.space(name)
            peers = json.loads(run(*inside(space, "ip", "-j", "netns", "list-id")) or "[]")
            names = {one["nsid"]: one.get("name", "") for one in peers}
            for link in json.loads(run("ip", "-n", space, "-j", "-d", "link")):
                kind = link.get("linkinfo", {}).get("info_kind", "loopback" if link["ifname"] == "lo" else "physical")
                peer = names.get(link.get("link_netnsid"), "")
                leads_out = kind not in (
                    "loopback",
                    "bridge",
                    "tun",
                    "veth",
                    "sit",
                    "ip6tnl",
                    "gre",
                    "gretap",
                    "erspan",
                )
                if leads_out or (kind == "veth" and not peer.startswith(ours)):
                    raise FlowloreError(
                        f"lab: interface `{link['ifname']}` ({kind}) of `{name}` leads out of the laboratory",
                        hint="`flowlore lab clean`, then try again",
                    )
            for family in ("-4", "-6"):
                for route in json.loads(run("ip", "-n", space, "-j", family, "route") or "[]"):
                    if route.get("dst") == "default":
                        raise FlowloreError(f"lab: `{name}` has a default route, which leads out of the laboratory")

    def _ip(self, node: str, lines: list[str]) -> None:
        run("ip", "-n", self.space(node), "-batch", "-", feed="\n".join(lines) + "\n")


def claim(run_id: str, work: Path) -> None:
    """Say who makes the things that bear this name; from then on nobody else's `clean_up` takes them."""
    pid = os.getpid()
    state = {"pid": pid, "started": _start_of(pid), "work": str(work.resolve())}
    unfinished = STATE / f".{run_id}"
    for _ in range(_TRIES):
        with contextlib.suppress(FileNotFoundError):  # whoever ends just now may take the empty folder away
            unfinished.mkdir(parents=True, exist_ok=True, mode=0o755)
            (unfinished / "state.json").write_text(json.dumps(state))
            unfinished.rename(STATE / run_id)  # whole from the first moment
            return
    raise FlowloreError(f"lab: `{STATE}` cannot be written", hint="try again")


def clean_up(*, everything: bool = False) -> list[str]:
    """Take away what killed runs left; with `everything`, of running ones too. Gives the names of what is gone."""
    gone = []
    for run_id in sorted(_known_runs()):
        if everything or not _is_alive(run_id):
            gone += take_away(run_id)
    return gone


def take_away(run_id: str) -> list[str]:
    """End what runs in the namespaces of a run, and remove them and its files. Gives the names of what was there."""
    spaces = sorted(path.name for path in NETNS.glob(f"{PREFIX}{run_id}-*"))
    for kind in (signal.SIGTERM, signal.SIGKILL):
        if _send_inside(spaces, kind):
            time.sleep(0.2)
    for space in spaces:
        run_quietly("ip", "netns", "delete", space)
    found = list(spaces)
    with contextlib.suppress(OSError, ValueError, KeyError):
        work = Path(json.loads((STATE / run_id / "state.json").read_text())["work"])
        if work.name.endswith(f"{PREFIX}{run_id}") and work.exists():
            found.append(str(work))
            shutil.rmtree(work, ignore_errors=True)
            if work.exists():  # somebody still wrote into it
                return found
    for folder in [*_ETC.glob(f"{PREFIX}{run_id}-*"), STATE / run_id, STATE / f".{run_id}"]:
        if folder.exists():
            found.append(str(folder))
            shutil.rmtree(folder, ignore_errors=True)
    for folder in (_ETC, STATE):
        with contextlib.suppress(OSError):
            folder.rmdir()
    return found


def environment_of_modules() -> dict[str, str]:
    """For modules of ours that run as processes: no proxy of this machine, and the package that we are."""
    kept = {key: one for key, one in os.environ.items() if not key.lower().endswith("_proxy")}
    paths = [str(Path(__file__).resolve().parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**kept, "LANG": "C.UTF-8", "PYTHONPATH": os.pathsep.join(paths)}


def _send_inside(spaces: list[str], kind: signal.Signals) -> bool:
    sent = False
    for space in spaces:
        for pid in run_quietly("ip", "netns", "pids", space).stdout.split():
            with contextlib.suppress(ProcessLookupError, ValueError):
                os.kill(int(pid), kind)
                sent = True
    return sent


def _known_runs() -> set[str]:
    runs = {path.name.removeprefix(".") for path in STATE.glob("*") if path.is_dir()}
    for folder in (NETNS, _ETC):
        runs |= {path.name.removeprefix(PREFIX).partition("-")[0] for path in folder.glob(f"{PREFIX}*")}
    return runs


def _is_alive(run_id: str) -> bool:
    for folder in (STATE / run_id, STATE / f".{run_id}"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            state = json.loads((folder / "state.json").read_text())
            return bool(_start_of(int(state["pid"])) == state["started"])
    with contextlib.suppress(ValueError):  # it has just begun, and has not said so yet
        return (STATE / f".{run_id}").exists() and bool(_start_of(int(run_id, 16)))
    return False


def _start_of(pid: int) -> str:
    """When a process began, in ticks since boot: a number that was given anew is told from the old one."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
