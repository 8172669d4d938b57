"""A stream that gives its file descriptor back between two reads, so that thousands of files are read side by side."""

import io
from typing import IO, Any, cast

from ...compressed import break_reason
from ...source import Input


class ParkingStream(io.RawIOBase):
    """Opens its input on the first read, and again where it left off after `park()`."""

    def __init__(self, item: Input) -> None:
        self._input = item
        self._stream: IO[bytes] | None = None
        self._position = 0

    @property
    def break_reason(self) -> str | None:
        return break_reason(self._stream) if self._stream else None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._stream is None:
            self._stream = self._input.open()
            if self._position:
                self._stream.seek(self._position)
        return cast(int, cast(io.RawIOBase, self._stream).readinto(buffer))

    def park(self) -> None:
        """Close the file until the next read. A stream that cannot seek (compressed, piped) stays open."""
        if self._stream is not None and self._stream.seekable():
            self._position = self._stream.tell()
            self._stream.close()
            self._stream = None

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        super().close()
