"""The same applications by other programs: what a model that learnt one office meets in the next."""

from collections.abc import Iterator, Sequence
from random import Random

from ..activity import Program, Scene
from .budget import Budget, number, pause_s
from .materials import certificate, files, make_materials, prose, written
from .naming import WIDE_ZONE, asked_name
from .programs import Habit, ProgramService, converse, run_program, shown
from .shell import COMMANDS
from .targets import address_of, look_up, place_of
from .web import CURL, OPENSSL, curl, packets_of

CADDY = Program(name="caddy", package="caddy")
LIGHTTPD = Program(name="lighttpd", package="lighttpd")
UNBOUND = Program(name="unbound", package="unbound")
NSLOOKUP = Program(name="nslookup", package="bind9-dnsutils")
DBCLIENT = Program(name="dbclient", package="dropbear-bin")

_CADDY = """
{{
  admin off
  auto_https off
  storage file_system {folder}/caddy
  default_sni {name}
  log default {{
    output file {folder}/caddy.log
  }}
}}
:{port} {{
  bind {addresses}
  tls {chain} {key}
  log {{
    output file {folder}/access.log
    format json
  }}
  handle /api {{
    respond "{answer}" 200
  }}
  handle /login {{
    respond 401
  }}
  handle /upload/* {{
    respond 201
  }}
  handle {{
    root * {files}
    file_server
  }}
}}
"""
_LIGHTTPD = """
server.modules = ("mod_accesslog", "mod_access")
server.document-root = "{files}"
server.port = {port}
server.bind = "{first}"
server.pid-file = "{folder}/lighttpd.pid"
accesslog.filename = "{folder}/access.log"
accesslog.format = "%{{sec}}t %h %{{remote}}p %p %s %B \\"%V\\" \\"%m %U%q\\" \\"%{{User-Agent}}i\\" 0"
{more}
"""
_UNBOUND = """
server:
  port: {port}
  do-daemonize: no
  chroot: ""
  username: ""
  directory: "{folder}"
  pidfile: "{folder}/unbound.pid"
  use-syslog: no
  do-not-query-localhost: no
  module-config: "iterator"
  access-control: 0.0.0.0/0 allow
  access-control: ::/0 allow
  {lines}
{forward}
"""


def _serve_caddy(scene: Scene, port: int) -> Sequence[str]:
    chain, key = certificate(scene, "web-secure")
    names = [name for place in scene.places if place.host == scene.host for name in place.names]
    text = _CADDY.format(
        folder=scene.folder,
        name=(names or [f"{scene.host}.example"])[0],
        port=port,
        addresses=" ".join(scene.addresses),
        chain=chain,
        key=key,
        answer=prose(Random(scene.seed), 100 + scene.seed % 900),
        files=files(scene),
    )
    return ["caddy", "run", "--adapter", "caddyfile", "--config", written(scene.folder, "Caddyfile", text)]


def _serve_lighttpd(scene: Scene, port: int) -> Sequence[str]:
    first, *others = scene.addresses
    more = "\n".join(f'$SERVER["socket"] == "{shown(address)}:{port}" {{ }}' for address in others)
    text = _LIGHTTPD.format(files=files(scene), port=port, first=first, folder=scene.folder, more=more)
    return ["lighttpd", "-D", "-f", written(scene.folder, "lighttpd.conf", text)]


def _serve_unbound(scene: Scene, port: int) -> Sequence[str]:
    """Every name of every place; nothing else exists. The wide zone is asked of its authority."""
    lines = [f"interface: {address}" for address in scene.addresses]
    lines += ['local-zone: "example." static', 'local-zone: "lab." static', f'local-zone: "{WIDE_ZONE}." transparent']
    forward = []
    for place in scene.places:
        for name in place.names:
            lines += [f'local-data: "{name}. 60 {_type(address)} {address}"' for address in place.addresses[:2]]
        if place.service == "dns-wide":
            forward = ["forward-zone:", f'  name: "{WIDE_ZONE}"', f"  forward-addr: {place.addresses[0]}@{place.port}"]
    text = _UNBOUND.format(
        port=port, folder=scene.folder, lines="\n  ".join(dict.fromkeys(lines)), forward="\n".join(forward)
    )
    return ["unbound", "-d", "-c", written(scene.folder, "unbound.conf", text)]


def _type(address: str) -> str:
    return "AAAA" if ":" in address else "A"


def _ask_nslookup(scene: Scene, rng: Random, budget: Budget) -> None:
    """Questions typed into one nslookup."""
    place = place_of(scene, rng, "dns")
    words = ["nslookup", f"-port={place.port}", "-timeout=2", "-retry=1", "-", address_of(scene, rng, place)]
    converse(scene, budget, words, _typed(scene, rng, budget))


def _typed(scene: Scene, rng: Random, budget: Budget) -> Iterator[str]:
    for turn in budget.actions_up_to(number(scene, rng, "questions", 1, 8)):
        budget.pause(pause_s(scene, rng, 0.5) if turn else 0.0)
        if not budget.spend(4):
            return
        if rng.random() < 0.3:
            yield f"set type={rng.choice(('A', 'AAAA', 'MX', 'TXT'))}"
        yield asked_name(scene, rng)
    yield "exit"


def _fetch_ftp(scene: Scene, rng: Random, budget: Budget) -> None:
    """A list and some files by curl, passive."""
    place = place_of(scene, rng, "ftp")
    name, address = look_up(scene, rng, place)
    for _ in budget.actions_up_to(number(scene, rng, "rounds", 1, 3)):
        if not budget.spend(packets_of(400_000)):
            return
        words = [*curl(scene, place, name, address, budget), "--user", "lab:lab"]
        for path in ("", f"page-{rng.randrange(10)}", f"image-{rng.randrange(12)}")[: rng.randint(1, 3)]:
            words += ["-o", "/dev/null", f"ftp://{shown(name)}:{place.port}/{path}"]
        run_program(scene, budget, words)
        budget.pause(pause_s(scene, rng, 0.6))


def _send_mail(scene: Scene, rng: Random, budget: Budget) -> None:
    """Letters by curl, each in a connection of its own."""
    place = place_of(scene, rng, "smtp")
    name, address = look_up(scene, rng, place)
    for _ in budget.actions_up_to(number(scene, rng, "letters", 1, 4)):
        letter = f"Subject: {prose(rng, 20)}\r\n\r\n{prose(rng, int(300 * 200 ** rng.random()))}\r\n".encode()
        if not budget.spend(packets_of(len(letter))):
            return
        words = [*curl(scene, place, name, address, budget), "--mail-from", f"{scene.host}@office.example"]
        words += [
            "--mail-rcpt",
            "somebody@office.example",
            "-T",
            "-",
            f"smtp://{shown(name)}:{place.port}/{scene.host}",
        ]
        run_program(scene, budget, words, feed=letter)
        budget.pause(pause_s(scene, rng, 0.5))


def _read_mail(scene: Scene, rng: Random, budget: Budget) -> None:
    """Look what is there, and fetch some letters, by curl."""
    place = place_of(scene, rng, "imap")
    name, address = look_up(scene, rng, place)
    for _ in budget.actions_up_to(number(scene, rng, "rounds", 1, 3)):
        if not budget.spend(packets_of(60_000)):
            return
        url = f"imap://{shown(name)}:{place.port}/INBOX"
        words = [*curl(scene, place, name, address, budget), "--user", "somebody:lab", "-o", "/dev/null", f"{url}?ALL"]
        for _letter in range(rng.randint(0, 4)):
            words += ["-o", "/dev/null", f"{url};MAILINDEX={rng.randint(1, 20)}"]
        run_program(scene, budget, words)
        budget.pause(pause_s(scene, rng, 0.8))


def _work_by_dropbear(scene: Scene, rng: Random, budget: Budget) -> None:
    """A session in which somebody types commands, by another client than OpenSSH's."""
    place = place_of(scene, rng, "ssh")
    _, address = look_up(scene, rng, place)
    key = scene.folder / "user_key.dropbear"
    if not key.exists():
        source = make_materials(scene.shared) / "user_key"
        run_program(scene, budget, ["dropbearconvert", "openssh", "dropbear", str(source), str(key)])
    lines = []
    for _ in budget.actions_up_to(number(scene, rng, "commands", 1, 12)):
        if budget.spend(40):
            lines.append(f"{rng.choice(COMMANDS)}; sleep {min(pause_s(scene, rng, 0.5), budget.seconds_left / 4):.2f}")
    words = ["dbclient", "-y", "-y", "-i", str(key), "-p", str(place.port), "-l", "root", address, "sh"]
    run_program(scene, budget, words, feed="\n".join([*lines, "exit", ""]).encode())


WEB_CADDY = ProgramService(
    name="web-caddy", port=443, command=_serve_caddy, needs=(CADDY, OPENSSL), offers="web-secure"
)
WEB_LIGHTTPD = ProgramService(
    name="web-lighttpd", port=80, command=_serve_lighttpd, needs=(LIGHTTPD,), offers="web-plain"
)
DNS_UNBOUND = ProgramService(
    name="dns-unbound",
    port=53,
    command=_serve_unbound,
    transport="udp",
    also=("tcp",),
    needs=(UNBOUND,),
    offers="dns",
    application="dns",
)
ASK_NSLOOKUP = Habit(
    name="ask-nslookup",
    application="dns",
    steps=_ask_nslookup,
    uses=("dns",),
    needs=(NSLOOKUP,),
    options=("ipv6_share", "pause_factor", "questions"),
)
FETCH_FTP_CURL = Habit(
    name="fetch-ftp-curl",
    application="ftp",
    steps=_fetch_ftp,
    uses=("ftp",),
    needs=(CURL,),
    options=("ipv6_share", "pause_factor", "rounds"),
)
SEND_MAIL_CURL = Habit(
    name="send-mail-curl",
    application="smtp",
    steps=_send_mail,
    uses=("smtp",),
    needs=(CURL,),
    options=("ipv6_share", "letters", "pause_factor"),
)
READ_MAIL_CURL = Habit(
    name="read-mail-curl",
    application="imap",
    steps=_read_mail,
    uses=("imap",),
    needs=(CURL,),
    options=("ipv6_share", "pause_factor", "rounds"),
)
WORK_DROPBEAR = Habit(
    name="work-by-dropbear",
    application="ssh",
    steps=_work_by_dropbear,
    uses=("ssh",),
    needs=(DBCLIENT,),
    options=("commands", "ipv6_share", "pause_factor"),
)
