"""How far reading has come: an input that counts what is taken from it."""

import io
from typing import IO, Any, cast

from .source import Head, Input


class CountedInput:
    """Another input, with the bytes taken from the disk counted for a progress bar."""

    def __init__(self, item: Input) -> None:
        self.name = item.name
        self._item = item
        self._stream: Any = None

    @property
    def item(self) -> Input:
        return self._item

    @property
    def size_bytes(self) -> int | None:
        """As it lies on the disk; None where that is not known."""
        return getattr(self._item, "size_bytes", None)

    @property
    def bytes_read(self) -> int:
        if self._stream is None:
            return 0
        try:
            return int(self._stream.tell())
        except (OSError, ValueError, io.UnsupportedOperation):
            return self.size_bytes or 0

    def head(self) -> Head:
        return self._item.head()

    def open(self) -> IO[bytes]:
        self._stream = self._item.open()
        return cast(IO[bytes], self._stream)
