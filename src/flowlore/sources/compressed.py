"""Compressed streams, recognised by content: gzip, Zstandard, xz and bzip2, one or many members after another.

A stream that is cut or damaged ends where it can no longer be decoded. What came before counts; `break_reason` says why
it ended.
"""

import bz2
import io
import lzma
import zlib
from collections.abc import Callable
from typing import IO, Any, Protocol, cast

import zstandard

LONGEST_MAGIC = 6

_PIECE_BYTES = 1 << 18
_OUTPUT_BYTES = 1 << 20  # decoded at once, so that a small piece that unfolds into gigabytes stays small
_ZSTANDARD_PIECE_BYTES = 1 << 12  # its decoder has no bound on output: a piece unfolds into at most 128 MiB


def compression_of(beginning: bytes) -> str | None:
    """`gzip`, `zstandard`, `xz`, `bzip2`, or None, from the first six bytes."""
    if beginning[:3] == b"\x1f\x8b\x08":
        return "gzip"
    if beginning[:4] == b"\x28\xb5\x2f\xfd" or (beginning[1:4] == b"\x2a\x4d\x18" and beginning[0] >> 4 == 5):
        return "zstandard"
    if beginning[:6] == b"\xfd7zXZ\x00":
        return "xz"
    if beginning[:3] == b"BZh" and beginning[3:4] in b"123456789" and beginning[4:6] in (b"1A", b"\x17r"):
        return "bzip2"
    return None


def decompressed(raw: IO[bytes], beginning: bytes) -> IO[bytes]:
    """`raw` with `beginning` (bytes already taken from it) put back, and decompressed where its content asks for it."""
    compression = compression_of(beginning)
    if compression is None:
        return replayed(beginning, raw)
    return cast(IO[bytes], _DecompressedStream(raw, beginning, compression))


def replayed(beginning: bytes, rest: IO[bytes]) -> IO[bytes]:
    """A stream of `beginning`, then `rest`."""
    return cast(IO[bytes], _ReplayedStream(beginning, rest))


def break_reason(stream: IO[bytes]) -> str | None:
    """Why a stream that was read to its end ended too early, None where it did not.

    `cut-compressed-stream`: the file ends inside compressed data. `bad-compressed-stream`: its bytes are damaged.
    """
    reason: str | None = getattr(stream, "break_reason", None)
    return reason


class _Decoder(Protocol):
    """One member of a compressed stream."""

    @property
    def finished(self) -> bool: ...

    @property
    def hungry(self) -> bool:
        """True where nothing more comes out without more bytes in."""

    @property
    def unused(self) -> bytes:
        """What followed the end of the member."""

    def feed(self, piece: bytes) -> bytes: ...


class _DecompressedStream(io.RawIOBase):
    def __init__(self, raw: IO[bytes], beginning: bytes, compression: str) -> None:
        self.break_reason: str | None = None
        self._raw = raw
        self._compression = compression
        self._decoder: _Decoder | None = _DECODERS[compression]()
        self._pending = beginning
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        target = memoryview(buffer).cast("B")
        while not self._ready and self._decode_more():
            pass
        count = min(len(target), len(self._ready))
        target[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()

    def _decode_more(self) -> bool:
        """One step. False at the end of everything that can be decoded."""
        if self._decoder is None:
            return False
        if self._decoder.hungry and not self._pending:
            self._pending = self._raw.read(_PIECE_BYTES)
            if not self._pending:
                self.break_reason = "cut-compressed-stream"
                self._decoder = None
                return False
        try:
            piece, self._pending = self._pending, b""
            self._ready = memoryview(self._decoder.feed(piece))
        except _DamagedMember as damaged:
            self._ready = memoryview(damaged.decoded)
            self.break_reason = "bad-compressed-stream"
            self._decoder = None
            return bool(self._ready)
        if self._decoder.finished:
            self._begin_next_member(self._decoder.unused)
        return True

    def _begin_next_member(self, rest: bytes) -> None:
        """Members may follow each other, with zeros as padding between and after them."""
        self._decoder = None
        rest = rest.lstrip(b"\0")
        while len(rest) < LONGEST_MAGIC and (more := self._raw.read(_PIECE_BYTES)):
            rest = (rest + more).lstrip(b"\0")
        if not rest:
            return
        if compression_of(rest) == self._compression:
            self._decoder = _DECODERS[self._compression]()
            self._pending = rest
        else:
            self.break_reason = "bad-compressed-stream"


class _ReplayedStream(io.RawIOBase):
    def __init__(self, beginning: bytes, rest: IO[bytes]) -> None:
        self._beginning = memoryview(beginning)
        self._rest = rest

    @property
    def break_reason(self) -> str | None:
        return break_reason(self._rest)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._beginning:
            return cast(int, cast(io.RawIOBase, self._rest).readinto(buffer))
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._beginning))
        target[:count] = self._beginning[:count]
        self._beginning = self._beginning[count:]
        return count

    def close(self) -> None:
        self._rest.close()
        super().close()


class _DamagedMember(Exception):
    """A member cannot be decoded further. `decoded` came out before the damage."""

    def __init__(self, decoded: bytes = b"") -> None:
        super().__init__()
        self.decoded = decoded


class _GzipMember:
    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(31)

    @property
    def finished(self) -> bool:
        return self._zlib.eof

    @property
    def hungry(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused(self) -> bytes:
        return self._zlib.unused_data

    def feed(self, piece: bytes) -> bytes:
        piece = self._zlib.unconsumed_tail + piece
        before = self._zlib.copy()
        try:
            return self._zlib.decompress(piece, _OUTPUT_BYTES)
        except zlib.error:
            raise _DamagedMember(_decoded_before_damage(before, piece)) from None


def _decoded_before_damage(member: Any, piece: bytes) -> bytes:
    """zlib gives nothing of a piece in which it finds damage, be it a wrong checksum: go again byte by byte."""
    decoded = bytearray()
    try:
        for at in range(len(piece)):
            decoded += member.decompress(piece[at : at + 1])
            if len(decoded) >= _OUTPUT_BYTES:
                break
    except zlib.error:
        pass
    return bytes(decoded)


class _BlockMember:
    """xz and bzip2, whose decoders have the same face."""

    def __init__(self, decoder: lzma.LZMADecompressor | bz2.BZ2Decompressor) -> None:
        self._decoder = decoder

    @property
    def finished(self) -> bool:
        return self._decoder.eof

    @property
    def hungry(self) -> bool:
        return self._decoder.needs_input

    @property
    def unused(self) -> bytes:
        return self._decoder.unused_data

    def feed(self, piece: bytes) -> bytes:
        try:
            return self._decoder.decompress(piece, _OUTPUT_BYTES)
        except (lzma.LZMAError, OSError, EOFError, ValueError):
            raise _DamagedMember from None


class _ZstandardMember:
    def __init__(self) -> None:
        self._decoder = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
        self._waiting = b""

    @property
    def finished(self) -> bool:
        return self._decoder.eof

    @property
    def hungry(self) -> bool:
        return not self._waiting

    @property
    def unused(self) -> bytes:
        return self._decoder.unused_data + self._waiting

    def feed(self, piece: bytes) -> bytes:
        piece = self._waiting + piece if self._waiting else piece
        decoded = []
        size = 0
        at = 0
        try:
            while at < len(piece) and size < _OUTPUT_BYTES and not self._decoder.eof:
                decoded.append(self._decoder.decompress(piece[at : at + _ZSTANDARD_PIECE_BYTES]))
                size += len(decoded[-1])
                at += _ZSTANDARD_PIECE_BYTES
        except zstandard.ZstdError:
            raise _DamagedMember(b"".join(decoded)) from None
        self._waiting = piece[at:]
        return b"".join(decoded)


_DECODERS: dict[str, Callable[[], _Decoder]] = {
    "gzip": _GzipMember,
    "zstandard": _ZstandardMember,
    "xz": lambda: _BlockMember(lzma.LZMADecompressor(format=lzma.FORMAT_XZ)),
    "bzip2": lambda: _BlockMember(bz2.BZ2Decompressor()),
}
