"""What leaves quietly: questions that carry random bytes, periodic check-ins, bulk uploads. All content is random."""

import base64
import ftplib
import io
from contextlib import suppress
from random import Random

from ..activity import Scene
from .budget import Budget, number
from .naming import WIDE_ZONE
from .programs import Habit, run_program
from .shell import SSH, ssh_options
from .targets import address_of, ask_name, look_up, place_of
from .web import AGENTS, CURL, OPENSSL, PLAIN, SECURE, ask, connection_to, curl, packets_of, url_of


def _tunnel_dns(scene: Scene, rng: Random, budget: Budget) -> None:
    """Long random labels below one zone, answered by long TXT records; in bursts, with polling in between."""
    place = place_of(scene, rng, "dns", "dns-wide")
    address = address_of(scene, rng, place)
    length = rng.randint(30, 110)
    for _ in budget.actions_up_to(number(scene, rng, "questions", 20, 400)):
        if not budget.spend(2):
            return
        text = base64.b32encode(rng.randbytes(length)).decode().strip("=").lower()
        labels = ".".join(text[start : start + 60] for start in range(0, len(text), 60))
        ask_name(address, f"{labels}.{WIDE_ZONE}", rng.choice((16, 16, 1)), rng, place.port)
        mean = float(scene.options.get("pause_s", 0.05 if rng.random() < 0.9 else 1.0))
        budget.pause(rng.expovariate(1 / mean) if mean > 0 else 0.0)


def _check_in(scene: Scene, rng: Random, budget: Budget) -> None:
    """A small question at a fixed period with jitter: options `period_s` and `jitter` (a share of it)."""
    place = place_of(scene, rng, *SECURE, *PLAIN)
    period_s = float(scene.options.get("period_s", rng.uniform(0.5, 3.0)))
    jitter = float(scene.options.get("jitter", rng.choice((0.0, 0.1, 0.3))))
    agent = rng.choice(AGENTS)
    for _ in budget.actions_up_to(number(scene, rng, "check_ins", 5, 100)):
        if not budget.spend(30):
            return
        name, address = look_up(scene, rng, place)
        connection = connection_to(scene, place, name, address, 3.0)
        head = {"Host": name, "User-Agent": agent}
        if rng.random() < 0.1:
            ask(connection, "/login", head, rng.randbytes(rng.randint(50, 900)))
        else:
            ask(connection, "/api", head)
        connection.close()
        budget.pause(period_s * (1 + rng.uniform(-jitter, jitter)))


def _leak_web(scene: Scene, rng: Random, budget: Budget) -> None:
    """Pieces of random bytes put to a site: few large ones, or many small ones with pauses."""
    place = place_of(scene, rng, *SECURE, *PLAIN)
    name, address = look_up(scene, rng, place)
    for turn in budget.actions_up_to(number(scene, rng, "pieces", 2, 10)):
        size = _piece_bytes(scene, rng)
        if not budget.spend(packets_of(size)):
            return
        words = [*curl(scene, place, name, address, budget), "-T", "-"]
        target = f"{url_of(place, name)}/upload/piece-{scene.host}-{turn % 2}"
        run_program(scene, budget, [*words, target], feed=rng.randbytes(size))
        _rest(scene, rng, budget)


def _leak_ftp(scene: Scene, rng: Random, budget: Budget) -> None:
    place = place_of(scene, rng, "ftp")
    _, address = look_up(scene, rng, place)
    with suppress(ftplib.Error), ftplib.FTP(timeout=max(0.5, min(5, budget.seconds_left))) as ftp:
        ftp.connect(address, place.port)
        ftp.login("lab", "lab")
        for turn in budget.actions_up_to(number(scene, rng, "pieces", 2, 8)):
            size = _piece_bytes(scene, rng)
            if not budget.spend(packets_of(size)):
                return
            ftp.storbinary(f"STOR piece-{scene.host}-{turn % 2}", io.BytesIO(rng.randbytes(size)))
            _rest(scene, rng, budget)


def _leak_ssh(scene: Scene, rng: Random, budget: Budget) -> None:
    """Random bytes into a remote `cat`, which forgets them."""
    place = place_of(scene, rng, "ssh")
    _, address = look_up(scene, rng, place)
    for _ in budget.actions_up_to(number(scene, rng, "pieces", 1, 6)):
        size = _piece_bytes(scene, rng)
        if not budget.spend(packets_of(size)):
            return
        words = ["ssh", *ssh_options(scene, place), "-l", "root", address, "cat > /dev/null"]
        run_program(scene, budget, words, feed=rng.randbytes(size))
        _rest(scene, rng, budget)


def _piece_bytes(scene: Scene, rng: Random) -> int:
    """By chance between 20 kB and 1 MB, or about the option `piece_bytes`."""
    given = scene.options.get("piece_bytes")
    return int(20_000 * 50 ** rng.random()) if given is None else max(1, int(float(given) * rng.uniform(0.7, 1.3)))


def _rest(scene: Scene, rng: Random, budget: Budget) -> None:
    mean = float(scene.options.get("pause_s", 0.2))
    if mean > 0:
        budget.pause(rng.expovariate(1 / mean))


TUNNEL_DNS = Habit(
    name="tunnel-dns",
    application="dns-tunnel",
    kind="misbehaviour",
    steps=_tunnel_dns,
    uses=("dns",),
    options=("ipv6_share", "pause_s", "questions"),
)
CHECK_IN = Habit(
    name="check-in",
    application="beacon",
    kind="misbehaviour",
    steps=_check_in,
    uses=("web-plain",),
    needs=(OPENSSL,),
    options=("check_ins", "ipv6_share", "jitter", "period_s"),
)
LEAK_WEB = Habit(
    name="leak-web",
    application="bulk-upload",
    kind="misbehaviour",
    steps=_leak_web,
    uses=("web-plain",),
    needs=(CURL, OPENSSL),
    options=("ipv6_share", "pause_s", "piece_bytes", "pieces"),
)
LEAK_FTP = Habit(
    name="leak-ftp",
    application="bulk-upload",
    kind="misbehaviour",
    steps=_leak_ftp,
    uses=("ftp",),
    options=("ipv6_share", "pause_s", "piece_bytes", "pieces"),
)
LEAK_SSH = Habit(
    name="leak-ssh",
    application="bulk-upload",
    kind="misbehaviour",
    steps=_leak_ssh,
    uses=("ssh",),
    needs=(SSH,),
    options=("ipv6_share", "pause_s", "piece_bytes", "pieces"),
)
