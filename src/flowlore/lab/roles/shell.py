"""OpenSSH: shells, file copies, and rsync and Git that ride on it."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

from ..activity import Place, Program, Scene
from ..machine import FORGET_LOGINS
from .budget import Budget, number, pause_s
from .materials import files, make_materials, written
from .programs import Habit, ProgramService, run_program, shown
from .targets import look_up, place_of
from .web import packets_of

SSHD_PROGRAM = Program(name="sshd", package="openssh-server")
SSH = Program(name="ssh", package="openssh-client")
SSH_KEYGEN = Program(name="ssh-keygen", package="openssh-client")

_SSHD = """
{listen}
HostKey {folder}/host_key
AuthorizedKeysFile {shared}/user_key.pub
PermitRootLogin yes
PasswordAuthentication yes
StrictModes no
UsePAM no
UseDNS no
PrintMotd no
PrintLastLog no
MaxStartups 100
PidFile {folder}/sshd.pid
Subsystem sftp internal-sftp -d {folder}
"""
COMMANDS = ("ls -l /usr/bin", "uptime", "cat /etc/services", "df", "ps aux", "sleep 0.3", "head -c 20000 /bin/sh | od")


def _serve(scene: Scene, port: int) -> Sequence[str]:
    shared = make_materials(scene.shared)
    lines = [f"Port {port}", *(f"ListenAddress {shown(address)}" for address in scene.addresses)]
    text = _SSHD.format(listen="\n".join(lines), folder=scene.folder, shared=shared)
    key = scene.folder / "host_key"
    make = f"test -f {key} || ssh-keygen -q -t ed25519 -N '' -f {key}"
    start = f"mkdir -p /run/sshd; {make}; exec $(command -v sshd) -D -e -f {written(scene.folder, 'sshd', text)}"
    return ["unshare", "--mount", "sh", "-c", f"{FORGET_LOGINS}; {start}"]


def ssh_options(scene: Scene, place: Place) -> list[str]:
    """Words that make every OpenSSH client ask nothing; the key is copied to where only its owner reads it."""
    key = scene.folder / "user_key"
    if not key.exists():
        key.touch(mode=0o600)
        key.write_bytes((make_materials(scene.shared) / "user_key").read_bytes())
    words = ["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={scene.folder}/known_hosts"]
    words += ["-o", "ConnectTimeout=4", "-o", f"Port={place.port}", "-o", "LogLevel=ERROR"]
    return [*words, "-o", "BatchMode=yes", "-i", str(key)]


def _work_remotely(scene: Scene, rng: Random, budget: Budget) -> None:
    """A session in which somebody types commands, thinks, and types again."""
    place = place_of(scene, rng, "ssh")
    _, address = look_up(scene, rng, place)
    lines = []
    for _ in budget.actions_up_to(number(scene, rng, "commands", 1, 12)):
        if budget.spend(40):
            pause = min(pause_s(scene, rng, 0.5), budget.seconds_left / 4)
            lines.append(f"{rng.choice(COMMANDS)}; sleep {pause:.2f}")
    script = "\n".join(lines).encode() + b"\n"
    terminal = ["-tt"] if rng.random() < 0.3 else []
    words = ["ssh", *terminal, *ssh_options(scene, place), "-l", "root", address]
    run_program(scene, budget, [*words, "sh"], feed=script + b"exit\n")


def _copy_files(scene: Scene, rng: Random, budget: Budget) -> None:
    """SFTP: look round, fetch some files, leave some."""
    place = place_of(scene, rng, "ssh")
    _, address = look_up(scene, rng, place)
    lines = ["ls -l"]
    for turn in budget.actions_up_to(number(scene, rng, "files", 1, 6)):
        path = _some_file(files(scene), rng)
        if not budget.spend(packets_of(path.stat().st_size)):
            break
        put = f"put {path} {scene.host}-{turn % 4}.copy"
        lines.append(rng.choice([f"get {path} {scene.folder}/fetched", put]))
        lines.append(f"!sleep {min(pause_s(scene, rng, 0.4), budget.seconds_left / 4):.2f}")
    rate = ["-l", str(max(64, int(budget.packets_per_s * 11)))]  # kbit/s
    words = ["sftp", *ssh_options(scene, place), *rate, "-b", "-", f"root@{shown(address)}"]
    run_program(scene, budget, words, feed="\n".join([*lines, "bye", ""]).encode())


def _some_file(folder: Path, rng: Random) -> Path:
    return rng.choice(sorted(path for path in folder.iterdir() if path.is_file()))


SSH_SERVER = ProgramService(name="ssh", port=22, command=_serve, needs=(SSHD_PROGRAM, SSH_KEYGEN))
WORK_REMOTELY = Habit(
    name="work-remotely",
    application="ssh",
    steps=_work_remotely,
    uses=("ssh",),
    needs=(SSH,),
    options=("commands", "ipv6_share", "pause_factor"),
)
COPY_FILES = Habit(
    name="copy-files",
    application="sftp",
    steps=_copy_files,
    uses=("ssh",),
    needs=(Program(name="sftp", package="openssh-client"),),
    options=("files", "ipv6_share", "pause_factor"),
)
