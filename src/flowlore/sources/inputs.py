"""Paths → inputs: files, folders, standard input, pipes and remote files, decompressed by content."""

import contextlib
import difflib
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from ..errors import InputError, MissingDependency
from .compressed import LONGEST_MAGIC, compression_of, decompressed, replayed
from .source import Head, Input

HEAD_BYTES = 64 * 1024  # enough to recognise any source

_PACKAGES = {  # what fsspec needs beyond itself, by the beginning of an address
    **dict.fromkeys(("http", "https"), "aiohttp requests"),
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "abfs", "adl"), "adlfs"),
    **dict.fromkeys(("sftp", "ssh"), "paramiko"),
}

PathLike = str | os.PathLike[str]


def gather_inputs(paths: PathLike | Sequence[PathLike]) -> list[Input]:
    """What is to be read, in the order given; a folder's files in sorted order, with its subfolders.

    `-` is standard input; `s3://…` and the like go through fsspec; a named pipe is read once. In folders, hidden files
    and whatever is not a regular file are passed over. A file of no bytes that was named is an error; one in a folder
    stays in the list, so that it is counted. The same file twice is an error, for its packets would count twice.
    """
    asked = [paths] if isinstance(paths, str | os.PathLike) else list(paths) if isinstance(paths, Iterable) else [paths]
    for path in asked:
        if not isinstance(path, str | os.PathLike):
            raise InputError(
                f"inputs: `{path!r}` is no path", hint="name a file, a folder, or `-`; bytes in memory go into a file"
            )
    if not asked:
        raise InputError("inputs: no path was given", hint="name a file, a folder, or `-` for standard input")
    found: list[Input] = []
    for path in asked:
        text = os.fspath(path)
        if text == "-":
            found.append(StandardInput())
        elif "://" in text:
            found.extend(_remote_inputs(text))
        else:
            found.extend(_local_inputs(Path(text)))
    _refuse_repeats(found)
    return found


class FileInput:
    """A file on this machine, read from its beginning as often as asked."""

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)
        self.name = str(path)

    @property
    def size_bytes(self) -> int:
        """As it lies on the disk."""
        return self.path.stat().st_size

    def head(self) -> Head:
        return _head_of(self)

    def open(self) -> IO[bytes]:
        """Unbuffered where the file is plain, so that `readinto` copies once."""
        return _decompressed_by_content(_open_file(self.path))


class StandardInput:
    """Standard input, or a pipe: `head()` looks ahead, `open()` replays what it saw, once."""

    def __init__(self, stream: IO[bytes] | None = None, name: str = "standard input") -> None:
        self.name = name
        self._raw = stream
        self._head: Head | None = None
        self._stream: IO[bytes] | None = None
        self._opened = False

    def head(self) -> Head:
        if self._head is None:
            if self._opened:
                raise self._read_twice()
            stream = self._started()
            data = _read_up_to(stream, HEAD_BYTES + 1)
            self._head = Head(name=self.name, data=data[:HEAD_BYTES], complete=len(data) <= HEAD_BYTES)
            self._stream = replayed(data, stream)
        return self._head

    def open(self) -> IO[bytes]:
        if self._opened:
            raise self._read_twice()
        self._opened = True
        return self._stream or self._started()

    def _started(self) -> IO[bytes]:
        raw = self._raw
        if raw is None:
            if sys.stdin is None or sys.stdin.isatty():
                raise InputError(
                    "inputs: standard input is a terminal, not data",
                    hint="pipe something into it, e.g. `tcpdump -w - | flowlore flows - -o flows.parquet`",
                )
            raw = sys.stdin.buffer
        return decompressed(raw, _read_up_to(raw, LONGEST_MAGIC))

    def _read_twice(self) -> InputError:
        return InputError(
            f"inputs: {self.name} can be read only once", hint="save it to a file first, and read the file"
        )


class RemoteInput:
    """A file that fsspec reaches (`s3://…`, `memory://…`)."""

    def __init__(self, file_system: Any, path: str, name: str) -> None:
        self.name = name
        self._file_system = file_system
        self._path = path

    def head(self) -> Head:
        return _head_of(self)

    def open(self) -> IO[bytes]:
        return _decompressed_by_content(self._file_system.open(self._path, "rb"))


def _head_of(item: FileInput | RemoteInput) -> Head:
    with item.open() as stream:
        data = _read_up_to(stream, HEAD_BYTES + 1)
    return Head(name=item.name, data=data[:HEAD_BYTES], complete=len(data) <= HEAD_BYTES)


def _decompressed_by_content(raw: IO[bytes]) -> IO[bytes]:
    beginning = _read_up_to(raw, LONGEST_MAGIC)
    if compression_of(beginning):
        return decompressed(raw, beginning)
    raw.seek(0)
    return raw


def _read_up_to(stream: IO[bytes], size_bytes: int) -> bytes:
    """`size_bytes`, or fewer at the end of the stream; a raw stream may give less at a time."""
    parts = []
    missing = size_bytes
    while missing and (part := stream.read(missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _local_inputs(path: Path) -> Iterator[Input]:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise _missing(path) from None
    except OSError as error:
        raise _unreadable(path, error) from None
    if stat.S_ISDIR(mode):
        yield from _folder_inputs(path)
    elif stat.S_ISREG(mode):
        if path.stat().st_size == 0:
            raise InputError(f"inputs: `{path}` is empty (0 bytes)", hint="the program that wrote it may have failed")
        with _open_file(path):
            yield FileInput(path)
    elif stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        yield StandardInput(_open_file(path), name=str(path))
    else:
        raise InputError(f"inputs: `{path}` is neither a file, a folder nor a pipe")


def _folder_inputs(folder: Path) -> Iterator[Input]:
    found = False
    for path in _files_in(folder):
        found = True
        if not os.access(path, os.R_OK):
            raise _unreadable(path, PermissionError(13, "Permission denied"))
        yield FileInput(path)
    if not found:
        raise InputError(f"inputs: the folder `{folder}` holds no files", hint="hidden files are passed over")


def _files_in(folder: Path) -> Iterator[Path]:
    """Regular files, a folder's own before those of its subfolders."""

    def refuse(error: OSError) -> None:
        raise _unreadable(Path(error.filename), error)

    for root, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(root, name)
            if not name.startswith(".") and path.is_file():
                yield path


def _remote_inputs(url: str) -> Iterator[Input]:
    import fsspec

    protocol = url.partition("://")[0]
    try:
        file_system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        wanted = _PACKAGES.get(protocol, "")
        raise MissingDependency(
            f"inputs: `{url}` needs a package that is not installed ({error})",
            hint=f"`pip install {wanted}`" if wanted else "install what it names",
        ) from None
    except ValueError as error:
        raise InputError(f"inputs: `{url}` cannot be opened: {error}", hint="see fsspec's list of protocols") from None
    if file_system.isfile(path):
        yield RemoteInput(file_system, path, url)
        return
    files = [name for name in sorted(file_system.find(path)) if not name.rpartition("/")[2].startswith(".")]
    if not files:
        raise InputError(f"inputs: nothing is at `{url}`", hint="check the address and your credentials")
    for name in files:
        yield RemoteInput(file_system, name, f"{protocol}://{name.lstrip('/')}")


def _refuse_repeats(inputs: Sequence[Input]) -> None:
    seen: set[str] = set()
    for item in inputs:
        place = str(item.path.resolve()) if isinstance(item, FileInput) else item.name
        if place in seen:
            raise InputError(
                f"inputs: `{item.name}` is given twice, so its packets would count twice",
                hint="name it once; a folder already holds the files in it",
            )
        seen.add(place)


def _open_file(path: Path) -> IO[bytes]:
    try:
        return path.open("rb", buffering=0)
    except FileNotFoundError:
        raise _missing(path) from None
    except OSError as error:
        raise _unreadable(path, error) from None


def _missing(path: Path) -> InputError:
    hint = None
    with contextlib.suppress(OSError):
        neighbours = [item.name for item in path.parent.iterdir()]
        near = difflib.get_close_matches(path.name, neighbours, n=1, cutoff=0.6)
        hint = f"did you mean `{path.parent / near[0]}`?" if near else f"`ls {path.parent}` shows what is there"
    if not path.parent.is_dir():
        hint = f"there is no folder `{path.parent}` either"
    return InputError(f"inputs: `{path}` does not exist", hint=hint)


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"inputs: `{path}` cannot be read: {(error.strerror or str(error)).lower()}",
        hint=f"`ls -l {path}` shows who may read it" if isinstance(error, PermissionError) else None,
    )
