"""Progress on standard error: how much was read, how fast, how long it will take."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

REDRAWN_EVERY_S = 0.2
BAR = 24


class Running(Protocol):
    """Something that is being read."""

    @property
    def bytes_read(self) -> int: ...

    @property
    def bytes_total(self) -> int | None: ...


@contextmanager
def progress_bar(running: Running, wanted: bool | None) -> Iterator[None]:
    """Show how far `running` has come until the block ends. By default only where standard error is a terminal."""
    if not (sys.stderr.isatty() if wanted is None else wanted):
        yield
        return
    bar = _Bar(running)
    bar.start()
    try:
        yield
    finally:
        bar.stop()


class _Bar(threading.Thread):
    def __init__(self, running: Running) -> None:
        super().__init__(name="progress", daemon=True)
        self._running = running
        self._began = time.monotonic()
        self._stopped = threading.Event()
        self._in_place = sys.stderr.isatty()

    def run(self) -> None:
        every_s = REDRAWN_EVERY_S if self._in_place else 10 * REDRAWN_EVERY_S
        while not self._stopped.wait(every_s):
            self._draw()

    def stop(self) -> None:
        self._stopped.set()
        self.join()
        if self._in_place:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
        else:
            self._draw()

    def _draw(self) -> None:
        line = progress_line(self._running.bytes_read, self._running.bytes_total, time.monotonic() - self._began)
        sys.stderr.write(f"\r\x1b[2K{line}" if self._in_place else f"{line}\n")
        sys.stderr.flush()


def progress_line(done_bytes: int, total_bytes: int | None, seconds: float) -> str:
    """
    >>> progress_line(250_000_000, 1_000_000_000, 2.0)
    '######..................  25 %  250 MB of 1 GB, 125 MB/s, 6 s left'
    >>> progress_line(250_000_000, None, 2.0)
    '250 MB, 125 MB/s'
    """
    from ..pages.words import bytes_words, duration_words

    rate = done_bytes / seconds if seconds > 0 else 0.0
    if not total_bytes:
        return f"{bytes_words(done_bytes)}, {bytes_words(rate)}/s"
    part = min(done_bytes / total_bytes, 1.0)
    filled = round(BAR * part)
    left = duration_words(round((total_bytes - done_bytes) / rate) * 1e9) if rate else "?"
    return (
        f"{'#' * filled}{'.' * (BAR - filled)} {100 * part:3.0f} %  {bytes_words(done_bytes)} of "
        f"{bytes_words(total_bytes)}, {bytes_words(rate)}/s, {left} left"
    )
