"""Films in pieces (HLS) as ffmpeg makes and plays them."""

import fcntl
import subprocess
from pathlib import Path
from random import Random

from ..activity import Program, Scene
from .budget import Budget, number, pause_s
from .materials import authority, files
from .programs import Habit, run_program
from .targets import address_of, name_of, place_of
from .web import OPENSSL, SECURE, packets_of, url_of

FFMPEG = Program(name="ffmpeg", package="ffmpeg")
_FILMS = {"small": ("256x144", "150k"), "large": ("426x240", "500k")}
_FILM_S, _PIECE_S = 24, 4
_FILM_BYTES = 900_000  # about


def _watch(scene: Scene, rng: Random, budget: Budget) -> None:
    """A player that keeps ahead of what is seen: faster than a person would look, to fit into a run."""
    _make_films(files(scene))
    place = place_of(scene, rng, *SECURE)
    for _ in budget.actions_up_to(number(scene, rng, "films", 1, 2)):
        name, address = name_of(rng, place), address_of(scene, rng, place)
        if not budget.spend(packets_of(_FILM_BYTES)):
            return
        at = name if scene.resolver is not None and place.names else address
        film = f"{url_of(place, at)}/films/{rng.choice(sorted(_FILMS))}/list.m3u8"
        words = ["ffmpeg", "-nostdin", "-loglevel", "error", "-readrate", f"{rng.uniform(2, 6):.1f}"]
        words += ["-ca_file", str(authority(scene)), "-i", film]
        seen_s = rng.randint(8, _FILM_S)
        run_program(scene, budget, [*words, "-t", str(seen_s), "-c", "copy", "-f", "null", "-"], seconds=25)
        budget.pause(pause_s(scene, rng, 1.0))


def _make_films(folder: Path) -> None:
    """Whoever comes first makes them, the others wait for the lock."""
    with (folder.parent / "films.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "films").exists():
            return
        for name, (size, rate) in _FILMS.items():
            target = folder / ".films" / name
            target.mkdir(parents=True)
            words = ["ffmpeg", "-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate=10"]
            words += ["-f", "lavfi", "-i", "sine", "-t", str(_FILM_S), "-c:v", "mpeg2video", "-b:v", rate, "-g", "24"]
            words += ["-c:a", "mp2", "-f", "hls", "-hls_time", str(_PIECE_S), "-hls_playlist_type", "vod"]
            subprocess.run([*words, str(target / "list.m3u8")], check=True, capture_output=True)
        (folder / ".films").rename(folder / "films")


WATCH_HLS = Habit(
    name="watch-hls",
    application="video",
    steps=_watch,
    uses=("web-secure",),
    needs=(FFMPEG, OPENSSL),
    options=("films", "ipv6_share", "pause_factor"),
)
