"""BitTorrent: opentracker knows who has what, aria2 gives and fetches."""

import hashlib
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import Random

from ..activity import Place, Program, Scene
from .budget import Budget, number, pause_s
from .materials import files
from .programs import Habit, ProgramService, run_program, shown
from .targets import look_up, place_of, verified
from .web import packets_of

ARIA2 = Program(name="aria2c", package="aria2")
OPENTRACKER = Program(name="opentracker", package="opentracker")
_PIECE_BYTES = 1 << 16
_PATIENCE_S = 5.0
_QUIETLY = ("--enable-dht6=false", "--bt-enable-lpd=false", "--no-conf", "--quiet", "--file-allocation=none")


def _serve_tracker(scene: Scene, port: int) -> Sequence[str]:
    """It refuses to be root: it runs as `nobody`, with our group, by which its packets are known."""
    listen = ["-i", scene.addresses[0], "-p", str(port), "-P", str(port)]
    return ["setpriv", "--reuid=nobody", "--clear-groups", "opentracker", *listen]


def _serve_pieces(scene: Scene, port: int) -> Sequence[str]:
    """Gives every update of the run to whoever asks; begins when the tracker is there."""
    tracker = place_of(scene, Random(scene.seed), "tracker")
    _wait_for(tracker)
    torrents = [_torrent(scene, path, tracker, path.name) for path in _shared_files(scene)]
    words = ["aria2c", *_QUIETLY, "--seed-ratio=0.0", "--check-integrity=true", f"--listen-port={port}"]
    words += ["--bt-seed-unverified=true", "--allow-overwrite=true", *_table(scene, port)]
    words += ["--bt-tracker-interval=10", "--max-concurrent-downloads=20", "--bt-max-peers=50"]
    return [*words, f"--dir={files(scene)}", *map(str, torrents)]


def _share(scene: Scene, rng: Random, budget: Budget) -> None:
    """Fetch a file in pieces from all who have some of it, and give back for a while."""
    tracker = place_of(scene, rng, "tracker")
    look_up(scene, rng, tracker)
    for _ in budget.actions_up_to(number(scene, rng, "torrents", 1, 3)):
        path = rng.choice(_shared_files(scene))
        if not budget.spend(packets_of(path.stat().st_size)):
            return
        torrent = _torrent(scene, path, tracker, f"{path.name}-{rng.randrange(1 << 30)}")
        target = scene.folder / torrent.stem
        low = rng.randrange(20_000, 60_000)  # of its ports
        words = ["aria2c", *_QUIETLY, f"--listen-port={low}-{low + 20}", f"--dir={target}", *_table(scene, low + 30)]
        words += ["--seed-time=0.03", "--bt-tracker-connect-timeout=3", "--bt-stop-timeout=8"]
        words += [f"--max-overall-download-limit={max(20_000, int(budget.packets_per_s * 1_000))}"]
        words += ["--bt-min-crypto-level=arc4", "--bt-require-crypto=true"] if rng.random() < 0.4 else []
        run_program(scene, budget, [*words, str(torrent)], seconds=25)
        budget.pause(pause_s(scene, rng, 1.0))


def _table(scene: Scene, port: int) -> list[str]:
    """aria2 asks trackers over UDP only with its table of peers, which knows nobody who is not in the run."""
    return ["--enable-dht=true", f"--dht-listen-port={port}", f"--dht-file-path={scene.folder}/table-{port}.dat"]


def _shared_files(scene: Scene) -> list[Path]:
    return sorted(files(scene).glob("update-*"))


def _torrent(scene: Scene, path: Path, tracker: Place, name: str) -> Path:
    """Describe a file for those who share it; some trackers are asked over HTTP, some over UDP."""
    address = verified(scene, tracker.addresses[0])
    scheme = "udp" if path.name[-1] in "13579" else "http"
    announce = f"{scheme}://{shown(address)}:{tracker.port}/announce"
    content = path.read_bytes()
    pieces = b"".join(
        hashlib.sha1(content[start : start + _PIECE_BYTES], usedforsecurity=False).digest()
        for start in range(0, len(content), _PIECE_BYTES)
    )
    about = {"length": len(content), "name": path.name, "piece length": _PIECE_BYTES, "pieces": pieces}
    made = scene.folder / f"{name}.torrent"
    made.write_bytes(bencoded({"announce": announce, "info": about}))
    return made


def bencoded(value: int | str | bytes | dict[str, object]) -> bytes:
    """
    >>> bencoded({"name": "tea", "length": 3})
    b'd6:lengthi3e4:name3:teae'
    """
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, dict):
        parts = (bencoded(key) + bencoded(value[key]) for key in sorted(value))  # type: ignore[arg-type]  # what is none of these kinds fails below
        return b"d" + b"".join(parts) + b"e"
    content = value.encode() if isinstance(value, str) else value
    return b"%d:" % len(content) + content


def _wait_for(place: Place) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection((place.addresses[0], place.port), timeout=1.0):
            return
        time.sleep(0.1)


TRACKER = ProgramService(
    name="tracker", port=6969, command=_serve_tracker, also=("udp",), needs=(OPENTRACKER,), application="bittorrent"
)
SEEDER = ProgramService(name="seeder", port=6881, command=_serve_pieces, needs=(ARIA2,), application="bittorrent")
SHARE = Habit(
    name="share-torrents",
    application="bittorrent",
    steps=_share,
    uses=("tracker", "seeder"),
    needs=(ARIA2,),
    options=("ipv6_share", "pause_factor", "torrents"),
)
