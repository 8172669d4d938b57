"""Where seeds come from: the capture that ships, and the real traffic where it is at hand."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
DEMO = REPOSITORY / "src" / "flowlore" / "data" / "demo" / "office.pcapng"
MOST_BYTES = 96_000
MOST_TEXT_BYTES = 12_000


def capture_seeds() -> list[bytes]:
    """Captures: broken ones of other analysers first, then nDPI's."""
    folders = ("hostile", "ndpi/pcap", "stopddos", "netflow/netgauze")
    return [_begin(DEMO), *_under(folders, (".pcap", ".pcapng", ".cap", ".trace", ".pcap.gz"))]


def datagram_seeds() -> list[bytes]:
    """Payloads of export datagrams, and captures of them."""
    return _under(("netflow",), (".dat", ".bin", ".pcap")) or [DATAGRAM_SEED]


def log_seeds() -> list[bytes]:
    """Beginnings of logs: whole lines."""
    folder = _data()
    files = sorted((folder / "records").rglob("*")) if folder else []
    seeds = [_lines(path) for path in files if path.is_file() and not path.name.startswith("nfcapd")]
    return [seed for seed in seeds if seed] or [LOG_SEED]


LOG_SEED = (
    b'{"ts":1.5,"uid":"C1","id.orig_h":"192.0.2.1","id.orig_p":1,"id.resp_h":"192.0.2.2",'
    b'"id.resp_p":53,"proto":"udp"}\n'
)


DATAGRAM_SEED = bytes.fromhex("0005 0001 00000000 65000000 00000000 00000000 0000 0000") + bytes(48)


def _data() -> Path | None:
    folder = Path(os.environ.get("FLOWLORE_DATA", REPOSITORY.parent / "shared" / "data"))
    return folder if folder.is_dir() else None


def _under(folders: tuple[str, ...], endings: tuple[str, ...]) -> list[bytes]:
    root = _data()
    if root is None:
        return []
    files = [path for folder in folders for path in sorted((root / folder).rglob("*"))]
    return [_begin(path) for path in files if path.is_file() and path.name.endswith(endings)]


def _begin(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MOST_BYTES)


def _lines(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MOST_TEXT_BYTES)
    return data[: data.rfind(b"\n") + 1]
