"""Files in bulk: FTP, TFTP, rsync, Git and SMB."""

import ftplib
import io
import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from random import Random

from ..activity import Program, Scene
from .budget import Budget, number, pause_s
from .materials import files, prose, written
from .programs import Habit, ProgramService, run_program, shown
from .targets import look_up, place_of
from .web import packets_of

PYFTPDLIB = Program(name="pyftpdlib", package="pyftpdlib", origin="pypi")
RSYNC = Program(name="rsync", package="rsync")
GIT = Program(name="git", package="git")
SMBD = Program(name="smbd", package="samba")
SMBCLIENT = Program(name="smbclient", package="smbclient")

_RSYNCD = """
port = {port}
address = {address}
use chroot = no
pid file = {folder}/rsyncd.pid
log file = {folder}/rsyncd.log
uid = root
gid = *
[files]
path = {files}
read only = yes
[backup]
path = {folder}/backup
read only = no
"""
_SMB = """
[global]
server role = standalone server
map to guest = bad user
guest account = root
smb ports = {port}
interfaces = {addresses}
bind interfaces only = yes
disable netbios = yes
private dir = {folder}/private
lock directory = {folder}/lock
state directory = {folder}/state
cache directory = {folder}/cache
pid directory = {folder}/pid
ncalrpc dir = {folder}/rpc
log file = {folder}/smb.log
load printers = no
printcap name = /dev/null
[files]
path = {folder}/share
guest ok = yes
read only = no
force user = root
"""


def _serve_ftp(scene: Scene, port: int) -> Sequence[str]:
    folder = scene.folder / "ftp"
    folder.mkdir(exist_ok=True)
    for path in sorted(files(scene).iterdir()):
        if path.is_file() and not (folder / path.name).exists():
            (folder / path.name).symlink_to(path)
    text = _FTP.format(port=port, address=scene.addresses[0], folder=str(folder))
    return [sys.executable, "-W", "ignore", written(scene.folder, "ftp.py", text)]


_FTP = """
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.filesystems import AbstractedFS
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer

class Links(AbstractedFS):
    def validpath(self, path):
        return True

authorizer = DummyAuthorizer()
authorizer.add_user("lab", "lab", {folder!r}, perm="elradfmwMT")
FTPHandler.authorizer = authorizer
FTPHandler.abstracted_fs = Links
FTPHandler.auth_failed_timeout = 0.3
FTPServer(({address!r}, {port}), FTPHandler).serve_forever()
"""


def _fetch_ftp(scene: Scene, rng: Random, budget: Budget) -> None:
    """One control connection; a data connection for each list and file, passive or active."""
    place = place_of(scene, rng, "ftp")
    _, address = look_up(scene, rng, place)
    with suppress(ftplib.Error), ftplib.FTP(timeout=max(0.5, min(8, budget.seconds_left))) as ftp:
        ftp.connect(address, place.port)
        ftp.login("lab", "lab")
        ftp.set_pasv(rng.random() < 0.8)
        names = [name for name in ftp.nlst() if "-" in name] or ["index.html"]
        for turn in budget.actions_up_to(number(scene, rng, "files", 1, 6)):
            name = rng.choice(names)
            if not budget.spend(packets_of(ftp.size(name) or 0)):
                return
            if rng.random() < 0.7:
                ftp.retrbinary(f"RETR {name}", lambda block: None)
            else:
                content = rng.randbytes(rng.randint(500, 90_000))
                ftp.storbinary(f"STOR left-{scene.host}-{turn % 2}", io.BytesIO(content))
            budget.pause(pause_s(scene, rng, 0.4))


def _serve_tftp(scene: Scene, port: int) -> Sequence[str]:
    address = f"{shown(scene.addresses[0])}:{port}"
    return ["in.tftpd", "--foreground", "--address", address, "--user", "root", "--secure", str(files(scene))]


def _fetch_tftp(scene: Scene, rng: Random, budget: Budget) -> None:
    """As a device fetches its configuration: blocks of 512 bytes, or of what it asks for, each acknowledged."""
    place = place_of(scene, rng, "tftp")
    _, address = look_up(scene, rng, place)
    for _ in budget.actions_up_to(number(scene, rng, "files", 1, 3)):
        block_bytes = rng.choice((512, 512, 1_400))
        options = b"" if block_bytes == 512 else b"blksize\0%d\0" % block_bytes
        request = struct.pack(">H", 1) + b"page-%d\0octet\0" % rng.randrange(10) + options
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as asked:
            asked.settimeout(1.0)
            asked.sendto(request, (address, place.port))
            while budget.spend(2):
                answer, sender = asked.recvfrom(2_000)
                kind, block = struct.unpack(">HH", answer[:4])
                if kind not in (3, 6):
                    break
                asked.sendto(struct.pack(">HH", 4, block if kind == 3 else 0), sender)
                if kind == 3 and len(answer) < 4 + block_bytes:
                    break
        budget.pause(pause_s(scene, rng, 0.5))


def _serve_rsync(scene: Scene, port: int) -> Sequence[str]:
    (scene.folder / "backup").mkdir(exist_ok=True)
    text = _RSYNCD.format(port=port, address=scene.addresses[0], folder=scene.folder, files=files(scene))
    return ["rsync", "--daemon", "--no-detach", f"--config={written(scene.folder, 'rsyncd.conf', text)}"]


def _mirror(scene: Scene, rng: Random, budget: Budget) -> None:
    """Fetch some files, of which a part is there already."""
    place = place_of(scene, rng, "rsync")
    _, address = look_up(scene, rng, place)
    for _ in budget.actions_up_to(number(scene, rng, "rounds", 1, 3)):
        if not budget.spend(packets_of(700_000)):
            return
        words = ["rsync", "-r", "--copy-links", *_rsync_rate(budget), rng.choice(("--whole-file", "--checksum", "-z"))]
        words += [f"--include={rng.choice(('page', 'image', 'update'))}-{rng.randrange(10)}*", "--exclude=*"]
        run_program(scene, budget, [*words, _rsync_url(address, place.port, "files"), f"{scene.folder}/mirror"])
        budget.pause(pause_s(scene, rng, 0.7))


def _back_up(scene: Scene, rng: Random, budget: Budget) -> None:
    """A folder of documents that grows and changes a little, sent to a backup server."""
    place = place_of(scene, rng, "rsync")
    _, address = look_up(scene, rng, place)
    documents = scene.folder / "documents"
    documents.mkdir(exist_ok=True)
    for _ in budget.actions_up_to(number(scene, rng, "rounds", 1, 3)):
        size = 0
        for document in range(rng.randint(1, 5)):
            content = rng.randbytes(int(5_000 * 100 ** rng.random()))
            (documents / f"document-{document}").write_bytes(content)
            size += len(content)
        if not budget.spend(packets_of(size)):
            return
        words = ["rsync", "-r", *_rsync_rate(budget), f"{documents}/"]
        run_program(scene, budget, [*words, _rsync_url(address, place.port, f"backup/{scene.host}")])
        budget.pause(pause_s(scene, rng, 1.0))


def _rsync_rate(budget: Budget) -> list[str]:
    return [f"--bwlimit={max(10, int(budget.packets_per_s * 1.4))}", "--timeout=10", "--contimeout=4"]


def _rsync_url(address: str, port: int, module: str) -> str:
    return f"rsync://{shown(address)}:{port}/{module}/"


def _serve_git(scene: Scene, port: int) -> Sequence[str]:
    """A repository with a history of random length, readable by everybody."""
    rng = Random(scene.seed)
    work = scene.folder / "work"
    work.mkdir(exist_ok=True)
    lines = [f"cd {work}", "git init -q .", "git config user.name lab", "git config user.email lab@office.example"]
    for commit in range(rng.randint(5, 20)):
        (work / f"chapter-{commit}").write_text(prose(rng, rng.randint(500, 60_000)))
        lines += [f"git add chapter-{commit}", f"git commit -q -m 'chapter {commit}'"]
    listen = " ".join(f"--listen={address}" for address in scene.addresses)
    daemon = f"git daemon --reuseaddr {listen} --port={port} --export-all --base-path={scene.folder} {work}"
    return ["sh", "-c", "\n".join([*lines, f"exec {daemon}"])]


def _clone(scene: Scene, rng: Random, budget: Budget) -> None:
    """Ask what is new, or fetch the whole history or the end of it."""
    place = place_of(scene, rng, "git")
    _, address = look_up(scene, rng, place)
    url = f"git://{shown(address)}:{place.port}/work"
    for turn in budget.actions_up_to(number(scene, rng, "rounds", 1, 4)):
        if not budget.spend(packets_of(400_000)):
            return
        depth = [] if rng.random() < 0.6 else [f"--depth={rng.randint(1, 4)}"]
        target = f"{scene.folder}/clone-{turn}-{rng.randrange(1 << 30)}"
        words = ["git", "ls-remote", url] if rng.random() < 0.4 else ["git", "clone", "-q", *depth, url, target]
        run_program(scene, budget, words)
        budget.pause(pause_s(scene, rng, 1.0))


def _serve_smb(scene: Scene, port: int) -> Sequence[str]:
    for name in ("private", "lock", "state", "cache", "pid", "rpc", "share"):
        (scene.folder / name).mkdir(exist_ok=True)
    for path in sorted(files(scene).iterdir()):
        if path.is_file():
            (scene.folder / "share" / path.name).write_bytes(path.read_bytes())
    text = _SMB.format(port=port, addresses=" ".join(scene.addresses), folder=scene.folder)
    path_written = written(scene.folder, "smb.conf", text)
    return ["smbd", "--foreground", f"--configfile={path_written}"]


def _share_files(scene: Scene, rng: Random, budget: Budget) -> None:
    """Look into a share, fetch and leave documents."""
    place = place_of(scene, rng, "smb")
    _, address = look_up(scene, rng, place)
    for _ in budget.actions_up_to(number(scene, rng, "rounds", 1, 3)):
        if not budget.spend(packets_of(400_000)):
            return
        (scene.folder / "document").write_bytes(rng.randbytes(int(2_000 * 100 ** rng.random())))
        tasks = [f"get page-{rng.randrange(10)} got", f"get image-{rng.randrange(12)} got"]
        tasks += [f"put document left-{scene.host}", "ls"]
        commands = "; ".join(rng.sample(tasks, rng.randint(1, 4)))
        words = ["smbclient", f"//{address}/files", "-s", "/dev/null", "-N", "-p", str(place.port), "-m"]
        run_program(scene, budget, [*words, rng.choice(("SMB3", "SMB2")), "-c", commands])
        budget.pause(pause_s(scene, rng, 1.0))


FTP = ProgramService(name="ftp", port=21, command=_serve_ftp, needs=(PYFTPDLIB,))
TFTP = ProgramService(
    name="tftp",
    port=69,
    command=_serve_tftp,
    transport="udp",
    needs=(Program(name="in.tftpd", package="tftpd-hpa"),),
)
RSYNC_SERVER = ProgramService(name="rsync", port=873, command=_serve_rsync, needs=(RSYNC,))
GIT_SERVER = ProgramService(name="git", port=9418, command=_serve_git, needs=(GIT,))
SMB = ProgramService(name="smb", port=445, command=_serve_smb, needs=(SMBD,))

FETCH_FTP = Habit(
    name="fetch-ftp",
    application="ftp",
    steps=_fetch_ftp,
    uses=("ftp",),
    options=("files", "ipv6_share", "pause_factor"),
)
FETCH_TFTP = Habit(
    name="fetch-tftp",
    application="tftp",
    steps=_fetch_tftp,
    uses=("tftp",),
    options=("files", "ipv6_share", "pause_factor"),
)
MIRROR = Habit(
    name="mirror-files",
    application="rsync",
    steps=_mirror,
    uses=("rsync",),
    needs=(RSYNC,),
    options=("ipv6_share", "pause_factor", "rounds"),
)
BACK_UP = Habit(
    name="back-up",
    application="backup",
    steps=_back_up,
    uses=("rsync",),
    needs=(RSYNC,),
    options=("ipv6_share", "pause_factor", "rounds"),
)
CLONE = Habit(
    name="clone-history",
    application="git",
    steps=_clone,
    uses=("git",),
    needs=(GIT,),
    options=("ipv6_share", "pause_factor", "rounds"),
)
SHARE_FILES = Habit(
    name="share-files",
    application="smb",
    steps=_share_files,
    uses=("smb",),
    needs=(SMBCLIENT,),
    options=("ipv6_share", "pause_factor", "rounds"),
)
