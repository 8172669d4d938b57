"""A file in the making: written under a temporary name beside its target, and renamed when it is whole."""

from __future__ import annotations

import errno
import os
import uuid
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa

from ..errors import OutputError

STANDARD_OUTPUT = "-"


class FileInTheMaking:
    """Bytes go to `stream`; `commit` gives them their final name, `abort` leaves nothing behind."""

    def __init__(self, path: str | Path, *, overwrite: bool = False) -> None:
        self.path = str(path)
        self._files, self._target = fsspec.core.url_to_fs(self.path)
        self._is_local = is_local(self._files)
        self._done = False
        if not overwrite:
            refuse_existing(self._files, self._target, self.path)
        folder, _, name = self._target.rpartition("/")
        self._temporary = f"{folder}/.{name}.{uuid.uuid4().hex[:8]}.part"
        # An interruption may come before anyone can call `abort`: then the end of the object or of the process does.
        self._forget = weakref.finalize(self, _remove, self._files, self._temporary)
        with output_errors(self.path):
            self.stream: Any = (
                pa.OSFile(self._temporary, "wb") if self._is_local else self._files.open(self._temporary, "wb")
            )

    @property
    def replaces(self) -> bool:
        """Whether something has the final name already."""
        return bool(self._files.exists(self._target))

    def close(self) -> None:
        """End the writing; the file keeps its temporary name until `commit`."""
        with output_errors(self.path):
            self.stream.close()

    def commit(self) -> None:
        """Close and rename; after it the file is there, whole."""
        self.close()
        with output_errors(self.path):
            move(self._files, self._temporary, self._target)
        self._forget.detach()
        self._done = True

    def abort(self) -> None:
        """Close and delete. Harmless after `commit`."""
        if self._done:
            return
        self._done = True
        with suppress(Exception):
            self.stream.close()
        self._forget()


@contextmanager
def whole_file(path: str | Path, *, overwrite: bool = False) -> Iterator[Any]:
    """A stream of bytes whose file is there when the block has ended; an exception leaves nothing behind."""
    place = FileInTheMaking(path, overwrite=overwrite)
    try:
        with output_errors(place.path):
            yield place.stream
        place.commit()
    finally:
        place.abort()


def _remove(files: Any, path: str) -> None:
    with suppress(Exception):
        files.rm(path)


def is_local(files: Any) -> bool:
    protocol = files.protocol
    return "file" in (protocol if isinstance(protocol, tuple) else (protocol,))


def move(files: Any, source: str, target: str) -> None:
    """Rename within one file system, over whatever has the name; at once where the disk is local."""
    if is_local(files):
        Path(source).replace(target)
    else:
        files.mv(source, target)


def refuse_existing(files: Any, target: str, shown: str) -> None:
    if files.exists(target):
        raise OutputError(
            f"output: `{shown}` is already there and is not overwritten unasked",
            hint="choose another name, or allow it with `--overwrite` (`overwrite=True` in Python)",
        )


@contextmanager
def output_errors(path: str) -> Iterator[None]:
    """What the disk refuses becomes an `OutputError` that says what is needed."""
    try:
        yield
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        reason, hint = _REASONS.get(error.errno or 0, (os.strerror(error.errno) if error.errno else str(error), None))
        if path == STANDARD_OUTPUT:
            place, hint = "to standard output", hint and _CUT
        else:
            place = f"`{path}`"
        raise OutputError(f"output: cannot write {place}: {reason}", hint=hint) from error


_CUT = "make room or write elsewhere, and run it again: what was written so far stays, and is not the whole"
_ROOM = "make room or write to another disk; what was written so far has been removed"
_REASONS: dict[int, tuple[str, str | None]] = {
    errno.ENOSPC: ("no space is left on the disk", _ROOM),
    errno.EDQUOT: ("the disk quota is used up", _ROOM),
    errno.EFBIG: ("the file would be larger than the system allows", "raise `ulimit -f`, or write a lake: a folder"),
    errno.EACCES: ("permission denied", "write where you may, or run as a user who may write there"),
    errno.EPERM: ("permission denied", "write where you may, or run as a user who may write there"),
    errno.EROFS: ("the file system is read-only", "write to another folder"),
    errno.ENOENT: ("its folder does not exist", "make the folder first"),
    errno.ENOTDIR: ("a part of its path is a file, not a folder", "choose another path"),
    errno.EISDIR: ("it is a folder", "name a file, or end the name with `/` to write a lake"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter name"),
}
