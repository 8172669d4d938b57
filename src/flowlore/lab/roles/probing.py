"""Guessing at doors: repeated failed log-ins, requests for pages that are not there, requests that never end."""

import ftplib
import socket
from contextlib import suppress
from random import Random

from ..activity import Scene
from .budget import Budget, number
from .materials import written
from .programs import Habit, run_program
from .scanning import wait
from .shell import SSH, ssh_options
from .targets import address_of, look_up, name_of, place_of
from .web import AGENTS, OPENSSL, PLAIN, SECURE, ask, connection_to

_USERS = ("root", "admin", "test", "backup", "guest", "oracle", "pi")
_PATHS = ("admin", "backup.zip", ".env", "old", "test", "manager", "config", "db", "status", "console", "private")


def _guess_ssh(scene: Scene, rng: Random, budget: Budget) -> None:
    """Passwords that are always wrong, one or three in each connection."""
    place = place_of(scene, rng, "ssh")
    address = address_of(scene, rng, place)
    answer = written(scene.folder, "answer", f"#!/bin/sh\necho wrong-{rng.randrange(10**6)}\n")
    (scene.folder / "answer").chmod(0o700)
    options = [word if word != "BatchMode=yes" else "BatchMode=no" for word in ssh_options(scene, place)]
    for _ in budget.actions_up_to(number(scene, rng, "guesses", 3, 30)):
        if not budget.spend(40):
            return
        words = ["ssh", *options, "-o", "PreferredAuthentications=password", "-o", "PubkeyAuthentication=no"]
        words += ["-o", f"NumberOfPasswordPrompts={rng.choice((1, 3))}", "-l", rng.choice(_USERS), address, "true"]
        asked = {"SSH_ASKPASS": answer, "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":0"}
        run_program(scene, budget, words, environment=asked, seconds=12)
        wait(scene, rng, budget)


def _guess_ftp(scene: Scene, rng: Random, budget: Budget) -> None:
    place = place_of(scene, rng, "ftp")
    address = address_of(scene, rng, place)
    for _ in budget.actions_up_to(number(scene, rng, "guesses", 3, 40)):
        if not budget.spend(24):
            return
        with (
            suppress(OSError, EOFError, ftplib.Error),
            ftplib.FTP(timeout=4.0) as ftp,
        ):
            ftp.connect(address, place.port)
            ftp.login(rng.choice(_USERS), f"wrong-{rng.randrange(10**6)}")
        wait(scene, rng, budget)


def _guess_web(scene: Scene, rng: Random, budget: Budget) -> None:
    """A form sent again and again, always refused."""
    place = place_of(scene, rng, *SECURE, *PLAIN)
    name, address = look_up(scene, rng, place)
    connection = connection_to(scene, place, name, address, 3.0)
    of_one = rng.choice((1, 3, 10))
    try:
        for turn in budget.actions_up_to(number(scene, rng, "guesses", 10, 120)):
            if not budget.spend(20):
                return
            body = f"user={rng.choice(_USERS)}&password=wrong-{rng.randrange(10**6)}"
            head = {"Host": name, "User-Agent": AGENTS[0], "Content-Type": "application/x-www-form-urlencoded"}
            ask(connection, "/login", head, body)
            if turn % of_one == of_one - 1:
                connection.close()
            wait(scene, rng, budget, 0.05)
    finally:
        connection.close()


def _probe_web(scene: Scene, rng: Random, budget: Budget) -> None:
    """Hundreds of plain GETs for pages that do not exist, nothing but names in them, some of them in one connection."""
    place = place_of(scene, rng, *SECURE, *PLAIN)
    name, address = look_up(scene, rng, place)
    connection = connection_to(scene, place, name, address, 3.0)
    of_one = rng.choice((1, 5, 50))
    try:
        for turn in budget.actions_up_to(number(scene, rng, "requests", 20, 300)):
            if not budget.spend(20 if turn % of_one == 0 else 8):
                return
            path = "/".join(rng.choice(_PATHS) for _ in range(rng.randint(1, 3)))
            ask(connection, f"/{path}{rng.randrange(100)}", {"Host": name})
            if turn % of_one == of_one - 1:
                connection.close()
            wait(scene, rng, budget, 0.02)
    finally:
        connection.close()


def _hold_requests(scene: Scene, rng: Random, budget: Budget) -> None:
    """Connections kept open by a header line now and then, never finished."""
    place = place_of(scene, rng, *PLAIN)
    address = address_of(scene, rng, place)
    opened: list[socket.socket] = []
    try:
        for _ in range(number(scene, rng, "connections", 5, 60)):
            if not budget.spend(8):
                break
            with suppress(OSError):
                opened.append(socket.create_connection((address, place.port), timeout=1.0))
                opened[-1].sendall(f"GET /?{rng.random()} HTTP/1.1\r\nHost: {name_of(rng, place)}\r\n".encode())
        for turn in budget.actions_up_to(number(scene, rng, "rounds", 3, 20)):
            wait(scene, rng, budget, 0.5)
            for each in opened:
                if not budget.spend(2):
                    return
                with suppress(OSError):
                    each.sendall(f"X-{turn}: {rng.randrange(5000)}\r\n".encode())
    finally:
        for each in opened:
            each.close()


GUESS_SSH = Habit(
    name="guess-ssh",
    application="ssh-guessing",
    kind="misbehaviour",
    steps=_guess_ssh,
    uses=("ssh",),
    needs=(SSH,),
    options=("guesses", "ipv6_share", "pause_s"),
)
GUESS_FTP = Habit(
    name="guess-ftp",
    application="ftp-guessing",
    kind="misbehaviour",
    steps=_guess_ftp,
    uses=("ftp",),
    options=("guesses", "ipv6_share", "pause_s"),
)
GUESS_WEB = Habit(
    name="guess-web",
    application="web-guessing",
    kind="misbehaviour",
    steps=_guess_web,
    uses=("web-plain",),
    needs=(OPENSSL,),
    options=("guesses", "ipv6_share", "pause_s"),
)
PROBE_WEB = Habit(
    name="probe-web",
    application="web-probing",
    kind="misbehaviour",
    steps=_probe_web,
    uses=("web-plain",),
    needs=(OPENSSL,),
    options=("ipv6_share", "pause_s", "requests"),
)
HOLD_REQUESTS = Habit(
    name="hold-requests",
    application="slow-http",
    kind="misbehaviour",
    steps=_hold_requests,
    uses=("web-plain",),
    options=("connections", "ipv6_share", "pause_s", "rounds"),
)
