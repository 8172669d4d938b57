"""What machines say among themselves: time, counters, logs and the readings of things."""

import shutil
from collections.abc import Sequence
from random import Random

from ..activity import Program, Scene
from .budget import Budget, number, pause_s
from .materials import prose, written
from .programs import SEARCH_PATH, Habit, ProgramService, run_program, shown
from .targets import look_up, place_of

CHRONYD = Program(name="chronyd", package="chrony")


def _serve_time(scene: Scene, port: int) -> Sequence[str]:
    lines = [f"port {port}", "allow all", "local stratum 2", "cmdport 0", f"pidfile {scene.folder}/chronyd.pid"]
    lines += [f"bindaddress {scene.addresses[0]}", "user root"]
    return ["chronyd", "-x", "-d", "-f", written(scene.folder, "chrony.conf", "\n".join(lines) + "\n")]


def _ask_time(scene: Scene, rng: Random, budget: Budget) -> None:
    """A few exchanges with the time server; the clock of this machine is never set."""
    place = place_of(scene, rng, "ntp")
    _, address = look_up(scene, rng, place)
    samples = rng.randint(1, 4)
    for _ in budget.actions_up_to(1):
        if not budget.spend(2 * samples):
            return
        burst = "iburst" if rng.random() < 0.7 else "burst"
        server = f"server {address} port {place.port} {burst} maxsamples {samples}"
        words = ["chronyd", "-Q", "-t", "4", "-f", "/dev/null", "cmdport 0", "user root"]
        run_program(scene, budget, [*words, f"pidfile {scene.folder}/client.pid", server], seconds=6)


def _serve_snmp(scene: Scene, port: int) -> Sequence[str]:
    path = written(scene.folder, "snmpd.conf", "rocommunity public\nsysLocation laboratory\n")
    listen = [f"udp:{address}:{port}" for address in scene.addresses if ":" not in address]
    return ["snmpd", "-f", "-Lo", "-C", "-c", path, "-p", f"{scene.folder}/snmpd.pid", *listen]


def _read_counters(scene: Scene, rng: Random, budget: Budget) -> None:
    """As a monitor does: single values again and again, a whole table now and then."""
    place = place_of(scene, rng, "snmp")
    _, address = look_up(scene, rng, place)
    common = ["-v2c", "-c", "public", "-t", "1", "-r", "0", "-On", f"udp:{shown(address)}:{place.port}"]
    for _ in budget.actions_up_to(number(scene, rng, "rounds", 1, 8)):
        walks = rng.random() < 0.3
        if not budget.spend(120 if walks else 2):
            return
        values = [f".1.3.6.1.2.1.1.{value}.0" for value in rng.sample(range(1, 7), rng.randint(1, 5))]
        table = rng.choice((".1.3.6.1.2.1.2", ".1.3.6.1.2.1.1"))
        words = ["snmpbulkwalk", *common, table] if walks else ["snmpget", *common, *values]
        run_program(scene, budget, words, seconds=5)
        budget.pause(pause_s(scene, rng, 0.5))


def _serve_syslog(scene: Scene, port: int) -> Sequence[str]:
    lines = ['module(load="imudp")', f'global(workDirectory="{scene.folder}")']
    lines += [f'input(type="imudp" address="{address}" port="{port}")' for address in scene.addresses]
    path = written(scene.folder, "rsyslog.conf", "\n".join([*lines, f"*.* {scene.folder}/all.log", ""]))
    return ["rsyslogd", "-n", "-iNONE", "-f", path]


def _send_logs(scene: Scene, rng: Random, budget: Budget) -> None:
    place = place_of(scene, rng, "syslog")
    _, address = look_up(scene, rng, place)
    for _ in budget.actions_up_to(number(scene, rng, "bursts", 1, 6)):
        lines = [prose(rng, rng.randint(30, 400)) for _ in range(rng.randint(1, 15))]
        if not budget.spend(len(lines)):
            return
        words = [
            "logger",
            "--udp",
            "--server",
            address,
            "--port",
            str(place.port),
            "--tag",
            rng.choice(("cron", "sshd")),
        ]
        run_program(scene, budget, words, feed="\n".join(lines).encode() + b"\n", seconds=3)
        budget.pause(pause_s(scene, rng, 0.4))


def _serve_mqtt(scene: Scene, port: int) -> Sequence[str]:
    lines = [f"listener {port} {address}" for address in scene.addresses]
    lines += ["allow_anonymous true", "persistence false", "log_type none", "user root"]
    return ["mosquitto", "-c", written(scene.folder, "mosquitto.conf", "\n".join(lines) + "\n")]


def _publish(scene: Scene, rng: Random, budget: Budget) -> None:
    """Readings of a thing, in one connection, by any of the three qualities of service."""
    place = place_of(scene, rng, "mqtt")
    _, address = look_up(scene, rng, place)
    lines = ["sleep 0"]
    for _ in budget.actions_up_to(number(scene, rng, "readings", 2, 30)):
        if budget.spend(8):
            lines.append(f"echo t={rng.gauss(21, 3):.2f}; sleep {min(pause_s(scene, rng, 0.2), 2):.2f}")
    words = f"mosquitto_pub -h {address} -p {place.port} -t lab/{scene.host} -q {rng.randrange(3)} -l"
    script = "{ " + "\n".join(lines) + "\n} | " + words
    run_program(scene, budget, ["sh", "-c", script])


def _serve_coap(scene: Scene, port: int) -> Sequence[str]:
    return ["sh", "-c", f"exec {coap_program('server')} -A {scene.addresses[0]} -p {port} -v 0"]


def _ask_things(scene: Scene, rng: Random, budget: Budget) -> None:
    """Values of a thing over CoAP, confirmed or not."""
    place = place_of(scene, rng, "coap")
    _, address = look_up(scene, rng, place)
    for _ in budget.actions_up_to(number(scene, rng, "questions", 1, 8)):
        if not budget.spend(6):
            return
        words = [coap_program("client"), "-v", "0", "-B", "1", *(["-N"] if rng.random() < 0.3 else [])]
        path = rng.choice(("time", ".well-known/core", "", "async"))
        run_program(scene, budget, [*words, "-m", "get", f"coap://{shown(address)}:{place.port}/{path}"], seconds=3)
        budget.pause(pause_s(scene, rng, 0.3))


def coap_program(side: str) -> str:
    """Debian names the programs after the TLS library that they were built with."""
    names = [f"coap-{side}{suffix}" for suffix in ("-notls", "", "-openssl", "-gnutls")]
    return next((name for name in names if shutil.which(name, path=SEARCH_PATH)), names[0])


NTP = ProgramService(name="ntp", port=123, command=_serve_time, transport="udp", needs=(CHRONYD,))
SNMP = ProgramService(
    name="snmp", port=161, command=_serve_snmp, transport="udp", needs=(Program(name="snmpd", package="snmpd"),)
)
SYSLOG = ProgramService(
    name="syslog",
    port=514,
    command=_serve_syslog,
    transport="udp",
    needs=(Program(name="rsyslogd", package="rsyslog"),),
)
MQTT = ProgramService(
    name="mqtt", port=1883, command=_serve_mqtt, needs=(Program(name="mosquitto", package="mosquitto"),)
)
COAP = ProgramService(
    name="coap",
    port=5683,
    command=_serve_coap,
    transport="udp",
    needs=(Program(name=coap_program("server"), package="libcoap3-bin"),),
)

ASK_TIME = Habit(
    name="ask-time", application="ntp", steps=_ask_time, uses=("ntp",), needs=(CHRONYD,), options=("ipv6_share",)
)
READ_COUNTERS = Habit(
    name="read-counters",
    application="snmp",
    steps=_read_counters,
    uses=("snmp",),
    needs=(Program(name="snmpget", package="snmp"), Program(name="snmpbulkwalk", package="snmp")),
    options=("ipv6_share", "pause_factor", "rounds"),
)
SEND_LOGS = Habit(
    name="send-logs",
    application="syslog",
    steps=_send_logs,
    uses=("syslog",),
    needs=(Program(name="logger", package="bsdutils"),),
    options=("bursts", "ipv6_share", "pause_factor"),
)
PUBLISH = Habit(
    name="publish-readings",
    application="mqtt",
    steps=_publish,
    uses=("mqtt",),
    needs=(Program(name="mosquitto_pub", package="mosquitto-clients"),),
    options=("ipv6_share", "pause_factor", "readings"),
)
ASK_THINGS = Habit(
    name="ask-things",
    application="coap",
    steps=_ask_things,
    uses=("coap",),
    needs=(Program(name=coap_program("client"), package="libcoap3-bin"),),
    options=("ipv6_share", "pause_factor", "questions"),
)
