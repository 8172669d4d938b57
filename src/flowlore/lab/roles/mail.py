"""Mail: aiosmtpd takes it, dovecot keeps it, people send and read it."""

import imaplib
import smtplib
import sys
from collections.abc import Sequence
from contextlib import suppress
from email.message import EmailMessage
from random import Random

from ..activity import Program, Scene
from .budget import Budget, number, pause_s
from .materials import prose, written
from .programs import Habit, ProgramService, shown
from .targets import look_up, place_of
from .web import packets_of

_DOVECOT = """
protocols = imap
listen = {addresses}
base_dir = {folder}/run
log_path = {folder}/dovecot.log
ssl = no
disable_plaintext_auth = no
default_login_user = dovenull
default_internal_user = root
default_internal_group = root
first_valid_uid = 0
mail_location = maildir:{folder}/mail
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
passdb {{
  driver = static
  args = password=lab
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={folder}/mail
}}
"""


def _serve_smtp(scene: Scene, port: int) -> Sequence[str]:
    listen = f"{shown(scene.addresses[0])}:{port}"
    return [sys.executable, "-W", "ignore", "-m", "aiosmtpd", "-n", "-l", listen, "-c", "aiosmtpd.handlers.Sink"]


def _send(scene: Scene, rng: Random, budget: Budget) -> None:
    """Letters, some with an attachment, one or several in a connection."""
    place = place_of(scene, rng, "smtp")
    _, address = look_up(scene, rng, place)
    with suppress(smtplib.SMTPException), smtplib.SMTP(timeout=5.0, local_hostname=f"{scene.host}.lab") as smtp:
        smtp.connect(address, place.port)
        for _ in budget.actions_up_to(number(scene, rng, "letters", 1, 4)):
            message = EmailMessage()
            message["From"], message["To"] = f"{scene.host}@office.example", "somebody@office.example"
            message["Subject"] = prose(rng, rng.randint(8, 40))
            message.set_content(prose(rng, rng.randint(200, 8_000)))
            if rng.random() < 0.3:
                content = rng.randbytes(int(3_000 * 100 ** rng.random()))
                message.add_attachment(content, maintype="application", subtype="octet-stream", filename="scan")
            if not budget.spend(packets_of(len(bytes(message)))):
                return
            smtp.send_message(message)
            budget.pause(pause_s(scene, rng, 0.5))


def _serve_imap(scene: Scene, port: int) -> Sequence[str]:
    """A mailbox with letters in it. The password is always `lab`."""
    rng = Random(scene.seed)
    for name in ("cur", "new", "tmp"):
        (scene.folder / "mail" / name).mkdir(parents=True, exist_ok=True)
    for letter in range(20):
        text = f"From: a@office.example\nSubject: letter {letter}\n\n{prose(rng, int(300 * 100 ** rng.random()))}\n"
        (scene.folder / "mail" / "new" / f"17000000{letter:02}.M1P1.lab").write_text(text)
    text = _DOVECOT.format(addresses=" ".join(scene.addresses), folder=scene.folder, port=port)
    start = f"exec dovecot -F -c {written(scene.folder, 'dovecot.conf', text)}"
    return ["sh", "-c", f"chown -R mail:mail {scene.folder}/mail; {start}"]  # dovecot reads no mail as root


def _read(scene: Scene, rng: Random, budget: Budget) -> None:
    """Log in, look what is new, read some letters, leave."""
    place = place_of(scene, rng, "imap")
    _, address = look_up(scene, rng, place)
    if not budget.spend(30):
        return
    with suppress(imaplib.IMAP4.error), imaplib.IMAP4(address, place.port, timeout=5.0) as imap:
        imap.login("somebody", "lab")
        imap.select("INBOX")
        _, found = imap.search(None, "ALL")
        letters = found[0].split() if found and found[0] else []
        for _ in budget.actions_up_to(number(scene, rng, "letters", 1, 6)):
            if not letters or not budget.spend(packets_of(30_000)):
                return
            letter = rng.choice(letters).decode()
            imap.fetch(letter, rng.choice(("(FLAGS)", "(RFC822)", "(BODY[HEADER])")))
            budget.pause(pause_s(scene, rng, 0.8))


SMTP = ProgramService(
    name="smtp",
    port=25,
    command=_serve_smtp,
    needs=(Program(name="aiosmtpd", package="aiosmtpd", origin="pypi"),),
)
IMAP = ProgramService(
    name="imap", port=143, command=_serve_imap, needs=(Program(name="dovecot", package="dovecot-imapd"),)
)
SEND_MAIL = Habit(
    name="send-mail", application="smtp", steps=_send, uses=("smtp",), options=("ipv6_share", "letters", "pause_factor")
)
READ_MAIL = Habit(
    name="read-mail", application="imap", steps=_read, uses=("imap",), options=("ipv6_share", "letters", "pause_factor")
)
