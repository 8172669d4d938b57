"""What all hosts share: a certificate authority, keys and files, made once for the run and thrown away with it."""

import fcntl
import ipaddress
import subprocess
from pathlib import Path
from random import Random

from ..activity import Scene

_WORDS = ("quick", "office", "writes", "short", "letters", "about", "boxes", "of", "paper", "and", "orders", "tea")
_SIZES_BYTES = {"page": (1_500, 50_000, 10), "image": (700, 80_000, 12), "update": (50_000, 1_200_000, 6)}
_VIDEO_RATES = {"low": 60_000, "middle": 160_000, "high": 400_000}  # bytes of a segment, about
SEGMENTS = 12


def make_materials(shared: Path, seed: int = 0) -> Path:
    """Fill `shared` unless that was done: whoever comes first does it, the others wait for the lock."""
    shared.mkdir(parents=True, exist_ok=True)
    with (shared / "materials.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "materials.done").exists():
            _make_authority(shared)
            _make_ssh_keys(shared)
            _make_files(shared / "files", Random(seed))
            (shared / "materials.done").touch()
    return shared


def authority(scene: Scene) -> Path:
    """The certificate that clients trust."""
    return make_materials(scene.shared) / "ca.pem"


def files(scene: Scene) -> Path:
    """Pages, images, updates and video segments to serve."""
    return make_materials(scene.shared) / "files"


def certificate(scene: Scene, service: str) -> tuple[Path, Path]:
    """Certificate and key for all names and addresses at which this host offers `service`; RSA or ECDSA by its seed."""
    if (scene.folder / "chain.pem").exists():
        return scene.folder / "chain.pem", scene.folder / "server.key"
    shared = make_materials(scene.shared)
    own = [place for place in scene.places if place.host == scene.host and place.service == service]
    names = sorted({name for place in own for name in place.names}) or [f"{scene.host}.example"]
    addresses = {str(ipaddress.ip_address(address)) for address in scene.addresses}
    alternative = ",".join([*(f"DNS:{name}" for name in names), *(f"IP:{address}" for address in sorted(addresses))])
    kind = ("-newkey", "rsa:2048") if scene.seed % 2 else ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    _run(
        scene.folder,
        *("openssl", "req", "-x509", *kind, "-nodes", "-days", "30", "-subj", f"/CN={names[0][:60]}"),
        *("-CA", str(shared / "ca.pem"), "-CAkey", str(shared / "ca.key")),
        *("-addext", f"subjectAltName={alternative}", "-addext", "basicConstraints=critical,CA:FALSE"),
        *("-keyout", "server.key", "-out", "server.pem"),
    )
    chain = (scene.folder / "server.pem").read_bytes() + (shared / "ca.pem").read_bytes()
    (scene.folder / "chain.pem").write_bytes(chain)
    return scene.folder / "chain.pem", scene.folder / "server.key"


def written(folder: Path, name: str, text: str) -> str:
    """The path of a configuration, after writing it."""
    (folder / name).write_text(text)
    return str(folder / name)


def prose(rng: Random, size_bytes: int) -> str:
    """Text that compresses like text, `size_bytes` long."""
    words: list[str] = []
    length = 0
    while length < size_bytes:
        words.append(rng.choice(_WORDS))
        length += len(words[-1]) + 1
    return " ".join(words)[:size_bytes]


def _make_authority(shared: Path) -> None:
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30")
    subject = ("-subj", "/CN=Laboratory CA", "-keyout", "ca.key", "-out", "ca.pem")
    _run(shared, "openssl", "req", "-x509", *curve, *subject)


def _make_ssh_keys(shared: Path) -> None:
    if _run(shared, "sh", "-c", "command -v ssh-keygen || true"):
        _run(shared, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "laboratory", "-f", "user_key")


def _make_files(folder: Path, rng: Random) -> None:
    folder.mkdir()
    (folder / "index.html").write_text(prose(rng, 4_000))
    for kind, (low, high, number) in _SIZES_BYTES.items():
        for place in range(number):
            size = int(low * (high / low) ** rng.random())
            content = prose(rng, size).encode() if kind == "page" else rng.randbytes(size)
            (folder / f"{kind}-{place}").write_bytes(content)
    for rate, size in _VIDEO_RATES.items():
        (folder / "video" / rate).mkdir(parents=True)
        lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:4"]
        for place in range(SEGMENTS):
            (folder / "video" / rate / f"{place}.ts").write_bytes(rng.randbytes(int(size * rng.uniform(0.6, 1.4))))
            lines += ["#EXTINF:4.0,", f"{place}.ts"]
        (folder / "video" / rate / "list.m3u8").write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))


def _run(folder: Path, *command: str) -> bytes:
    return subprocess.run(command, cwd=folder, check=True, capture_output=True).stdout
