import bz2
import gzip
import io
import lzma
import os
import sys
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest
import zstandard

from flowlore.errors import InputError, MissingDependency
from flowlore.sources.compressed import break_reason, compression_of, decompressed
from flowlore.sources.inputs import HEAD_BYTES, FileInput, StandardInput, gather_inputs

TEXT = b"".join(b"line %d of something that compresses\n" % number for number in range(20_000))

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstandard": zstandard.ZstdCompressor(write_checksum=True).compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
}


@pytest.fixture(params=COMPRESSORS)
def compression(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def read_all(data: bytes) -> tuple[bytes, str | None]:
    raw = io.BytesIO(data)
    with decompressed(raw, raw.read(6)) as stream:
        return stream.read(), break_reason(stream)


def test_compression_is_recognised_by_content_and_undone(compression: str) -> None:
    packed = COMPRESSORS[compression](TEXT)
    assert compression_of(packed) == compression
    assert read_all(packed) == (TEXT, None)


def test_members_follow_each_other_with_padding(compression: str) -> None:
    compress = COMPRESSORS[compression]
    assert read_all(compress(TEXT) + compress(b"") + compress(b"end") + bytes(8)) == (TEXT + b"end", None)


def test_cut_stream_keeps_what_came_before(compression: str) -> None:
    noise = os.urandom(400_000)
    packed = COMPRESSORS[compression](TEXT + noise)
    data, reason = read_all(packed[: len(packed) - 300_000 if compression != "bzip2" else -1])
    assert (TEXT + noise).startswith(data)
    assert reason == "cut-compressed-stream"
    if compression != "bzip2":  # which gives whole blocks of 900 kB only
        assert len(data) > len(TEXT)


def test_damage_keeps_what_came_before(compression: str) -> None:
    noise = os.urandom(300_000)
    packed = bytearray(COMPRESSORS[compression](noise))
    packed[len(packed) - 4] ^= 0xFF  # in the checksum or the index
    data, reason = read_all(bytes(packed))
    assert reason == "bad-compressed-stream"
    assert noise.startswith(data)
    if compression == "gzip":
        assert data == noise


def test_bytes_behind_a_member_are_told() -> None:
    assert read_all(gzip.compress(TEXT) + b"and then some") == (TEXT, "bad-compressed-stream")


def test_small_file_that_unfolds_into_much_stays_in_small_pieces(compression: str) -> None:
    packed = COMPRESSORS[compression](bytes(16 << 20))
    raw = io.BytesIO(packed)
    stream = decompressed(raw, raw.read(6))
    total = 0
    while piece := stream.read(1 << 20):
        total += len(piece)
    assert total == 16 << 20
    assert break_reason(stream) is None


def test_plain_file_is_unbuffered_and_can_be_read_again(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(TEXT)
    (item,) = gather_inputs(tmp_path / "a")
    assert item.head().data == TEXT[:HEAD_BYTES]
    assert not item.head().complete
    for _ in range(2):
        with item.open() as stream:
            assert isinstance(stream, io.FileIO)
            assert stream.read() == TEXT


def test_head_of_a_small_compressed_file_is_complete(tmp_path: Path) -> None:
    (tmp_path / "a.dat").write_bytes(zstandard.compress(b"short"))
    (item,) = gather_inputs([tmp_path / "a.dat"])
    assert (item.head().data, item.head().complete) == (b"short", True)


@pytest.mark.parametrize("content", [b"", b"x", b"short", TEXT, gzip.compress(TEXT)])
def test_standard_input_is_looked_at_then_replayed_once(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = gzip.decompress(content) if compression_of(content[:6]) else content
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    (item,) = gather_inputs("-")
    assert item.head() == item.head()
    assert item.head().data == plain[:HEAD_BYTES]
    assert item.head().complete == (len(plain) <= HEAD_BYTES)
    assert item.open().read() == plain
    with pytest.raises(InputError, match="only once"):
        item.open()


def test_standard_input_that_is_a_terminal_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    with pytest.raises(InputError, match="terminal"):
        StandardInput().head()


def test_cut_standard_input_is_told_after_the_replay() -> None:
    packed = gzip.compress(TEXT)
    item = StandardInput(io.BytesIO(packed[:-100]))
    item.head()
    stream = item.open()
    assert TEXT.startswith(stream.read())
    assert break_reason(stream) == "cut-compressed-stream"


def test_folder_is_walked_in_sorted_order_without_hidden_files(tmp_path: Path) -> None:
    for name in ("b", "a", ".hidden", "sub/c", "sub/.git/d", "empty"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if name == "empty" else b"x")
    os.mkfifo(tmp_path / "pipe")
    names = [Path(item.name).relative_to(tmp_path).as_posix() for item in gather_inputs(tmp_path)]
    assert names == ["a", "b", "empty", "sub/c"]


def test_named_pipe_is_read_as_a_stream(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"from a pipe")
    os.close(writing)
    try:
        (item,) = gather_inputs(f"/dev/fd/{reading}")
        assert item.head().data == b"from a pipe"
        with item.open() as stream:
            assert stream.read() == b"from a pipe"
    finally:
        os.close(reading)


def test_user_mistakes_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "morning.pcap").write_bytes(b"x")
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / ".keep").touch()
    (tmp_path / "hollow.pcap").touch()
    mistakes = {
        "no path was given": [],
        "does not exist": [tmp_path / "mornin.pcap"],
        "holds no files": [tmp_path / "none"],
        "is empty": [tmp_path / "hollow.pcap"],
        "is given twice": [tmp_path, tmp_path / "morning.pcap"],
        "cannot be opened": ["nosuchprotocol://x"],
    }
    for problem, paths in mistakes.items():
        with pytest.raises(InputError, match=problem) as raised:
            gather_inputs(paths)
        assert raised.value.hint, problem
    with pytest.raises(InputError, match=r"did you mean `.*morning.pcap`"):
        gather_inputs(str(tmp_path / "mornin.pcap"))


def test_unreadable_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_bytes(b"x")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match="secret` cannot be read: permission denied"):
        gather_inputs(tmp_path / "secret")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match="secret` cannot be read"):
        gather_inputs(tmp_path)


def test_remote_files_are_found_and_decompressed() -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe({"/flowlore/b.gz": gzip.compress(TEXT), "/flowlore/a": b"plain", "/flowlore/.hidden": b"x"})
    try:
        items = gather_inputs("memory://flowlore")
        assert [item.name for item in items] == ["memory://flowlore/a", "memory://flowlore/b.gz"]
        assert [item.open().read() for item in items] == [b"plain", TEXT]
        (single,) = gather_inputs("memory://flowlore/a")
        assert single.head().data == b"plain"
        with pytest.raises(InputError, match="nothing is at"):
            gather_inputs("memory://flowlore/nowhere")
    finally:
        memory.rm("/flowlore", recursive=True)


def test_size_on_disk_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert FileInput(tmp_path / "a").size_bytes == 5


def test_what_is_missing_is_helped_by_what_is_there(tmp_path):
    with pytest.raises(InputError, match=r"hint: `ls .*` shows what is there"):
        gather_inputs(tmp_path / "x.pcap")
    with pytest.raises(InputError, match=r"hint: there is no folder `.*nowhere` either"):
        gather_inputs(tmp_path / "nowhere" / "x.pcap")


def test_a_remote_file_says_which_package_it_needs(monkeypatch):
    def missing(url):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(MissingDependency, match=r"hint: `pip install s3fs`"):
        gather_inputs("s3://bucket/x.pcap")
    with pytest.raises(MissingDependency, match=r"hint: `pip install aiohttp requests`"):
        gather_inputs("https://example.org/x.pcap")


@pytest.mark.parametrize("wrong", [None, 5, [None], [b"x", 3]])
def test_what_is_no_path_is_told(wrong: object) -> None:
    with pytest.raises(InputError, match="is no path"):
        gather_inputs(wrong)  # type: ignore[arg-type]
