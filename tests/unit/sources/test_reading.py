"""`read` and `scan`: what is recognised, what is refused in words, and a state that goes from call to call."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from comparing import comparable, settings
from flowlore.errors import InputError, SettingError, UnrecognisedInput
from flowlore.flows.table import Flows
from flowlore.sources.packets.meter import state as meter_state
from flowlore.sources.packets.meter.state import load_state
from flowlore.sources.reading import read, scan
from handmade import NANOSECONDS, ethernet, ipv4, udp, write_pcap

CSV = "src_ip,dst_ip\n10.0.0.1,10.0.0.2\n"


def frames(first_s: int, last_s: int) -> list[tuple[int, bytes]]:
    """A packet a second, of two flows in turn."""
    return [
        (second * NANOSECONDS, ethernet(ipv4(udp(src=1000 + second % 2), protocol=17)))
        for second in range(first_s, last_s)
    ]


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return write_pcap(tmp_path / "whole.pcap", frames(0, 40))


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    return [write_pcap(tmp_path / f"part{first}.pcap", frames(first, first + 20)) for first in (0, 20)]


def test_flows_come_in_order_of_start_with_what_was_recognised(parts: list[Path]) -> None:
    flows = read(parts[::-1], settings=settings(idle_timeout_s=1))
    starts = flows.to_arrow()["start"].to_pylist()
    assert starts == sorted(starts)
    assert flows.account.recognised == {
        str(path): "pcap, little-endian, nanoseconds, Ethernet" for path in sorted(parts, reverse=True)
    }


def test_flows_go_on_across_files(whole: Path, parts: list[Path]) -> None:
    assert comparable(read(parts, settings=settings())) == comparable(read(whole, settings=settings()))


def test_once_compiled_reading_a_capture_loads_nothing_heavy(whole: Path) -> None:
    list(scan(whole))
    code = f"import sys; from flowlore import scan; list(scan({str(whole)!r})); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"duckdb", "numba", "polars", "torch"} & set(done.stdout.split())


def test_a_state_goes_on_from_one_call_to_the_next(whole: Path, parts: list[Path], tmp_path: Path) -> None:
    state, chosen = tmp_path / "meter.state", settings(window_s=15)
    rows: list[dict[str, Any]] = []
    for part in parts:
        flows = read(part, settings=chosen, state=state)
        assert flows.account.packets == flows.account.packets_in_flows == 20
        rows += comparable(flows)
    rows += comparable(Flows.from_batches(load_state(state, chosen.meter).meter.finish()))
    assert sorted(rows, key=repr) == sorted(comparable(read(whole, settings=chosen)), key=repr)


def test_a_state_made_with_other_settings_is_refused(parts: list[Path], tmp_path: Path) -> None:
    state = tmp_path / "meter.state"
    read(parts[0], settings=settings(), state=state)
    with pytest.raises(SettingError, match=r"`meter.idle_timeout_s` = 60.0, not 30.0"):
        read(parts[1], settings=settings(idle_timeout_s=30), state=state)


def test_a_state_of_another_release_is_refused(
    parts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "meter.state"
    with monkeypatch.context() as earlier:
        earlier.setattr(meter_state, "FORMAT_VERSION", 1)
        read(parts[0], settings=settings(), state=state)
    with pytest.raises(InputError, match="has format 1, not 2\n\nhint: another release wrote it"):
        read(parts[1], settings=settings(), state=state)


@pytest.mark.parametrize("held", [b"", b"no state", b"PK\x03\x04" + bytes(50)])
def test_what_is_no_state_is_refused_in_words(whole: Path, tmp_path: Path, held: bytes) -> None:
    state = tmp_path / "meter.state"
    state.write_bytes(held)
    with pytest.raises(InputError, match="not a saved meter state, or a damaged one\n\nhint: name a file") as raised:
        read(whole, settings=settings(), state=state)
    assert "pickle" not in str(raised.value)


def test_whichever_byte_of_a_state_is_damaged_it_is_read_or_refused(parts: list[Path], tmp_path: Path) -> None:
    state = tmp_path / "meter.state"
    read(parts[0], settings=settings(), state=state)
    whole, refused = state.read_bytes(), 0
    for place in range(len(whole) - 3000, len(whole), 37):  # the directory of the archive
        state.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            load_state(state, settings().meter)
        except (InputError, SettingError):
            refused += 1
    assert refused > 10


def test_a_state_goes_with_captures_only(tmp_path: Path) -> None:
    (tmp_path / "conn.log").write_text("#separator \\x09\n#fields\tts\tuid\n#types\ttime\tstring\n1.0\tC1\n")
    with pytest.raises((SettingError, UnrecognisedInput)):
        read(tmp_path / "conn.log", settings=settings(), state=tmp_path / "state")


@pytest.mark.parametrize(
    ("held", "words"),
    [(b"\x00\x01\x02rubbish", "bytes that begin with 00 01 02"), (b"hello\nworld", "text that begins with `hello`")],
)
def test_what_nobody_reads_is_refused_with_what_it_looks_like(tmp_path: Path, held: bytes, words: str) -> None:
    path = tmp_path / "what"
    path.write_bytes(held)
    with pytest.raises(UnrecognisedInput, match=words):
        read(path)


@pytest.mark.parametrize("is_large", [False, True])
def test_parquet_of_nobody_in_a_folder_is_passed_over(whole: Path, tmp_path: Path, is_large: bool) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path / "in"
    folder.mkdir()
    whole.rename(folder / "a.pcap")
    values = list(range(20_000 if is_large else 3))  # a large file is known by its beginning only
    pq.write_table(pa.table({"price": values, "colour": [str(one) for one in values]}), folder / "shop.parquet")
    cut = (folder / "shop.parquet").read_bytes()[:-9]
    (folder / "cut.parquet").write_bytes(cut)
    account = read(folder, settings=settings()).account
    assert account.packets == 40
    assert account.notes["unrecognised-files"] == 2
    assert account.details["unrecognised"] == {
        str(folder / "cut.parquet"): "a Parquet file that is cut or damaged",
        str(folder / "shop.parquet"): "Parquet whose columns fit no map: price, colour",
    }
    for name, words in (("shop", "no column map fits"), ("cut", "cannot be read")):
        with pytest.raises(InputError, match=words):
            read([folder / "a.pcap", folder / f"{name}.parquet"], settings=settings())


def test_rows_are_filtered_and_counted(whole: Path) -> None:
    flows = read(whole, settings=settings(), where="src_port = 1000")
    assert flows.to_arrow()["src_port"].to_pylist() == [1000]
    assert flows.account.notes["rows-filtered"] == 1
    assert flows.account.flows == 2


def test_scanning_tells_how_far_it_has_come(whole: Path) -> None:
    running = scan(whole, settings=settings())
    assert (running.bytes_read, running.bytes_total) == (0, whole.stat().st_size)
    assert sum(batch.num_rows for batch in running) == 2
    assert running.bytes_read == running.bytes_total


def test_an_empty_capture_has_no_flows(tmp_path: Path) -> None:
    flows = read(write_pcap(tmp_path / "none.pcap", []), settings=settings())
    assert len(flows) == 0
    assert flows.account.packets == 0


def test_the_last_call_ends_what_the_state_holds(whole: Path, parts: list[Path], tmp_path: Path) -> None:
    """Two calls, of which the second is the last, give what one call gives, and leave no state behind."""
    state = tmp_path / "state"
    assert len(read(parts[0], state=state)) == 0
    assert state.exists()
    rest = read(parts[1], state=state, last=True)
    assert not state.exists()
    assert rest["flow_id"].to_pylist() == read(whole)["flow_id"].to_pylist()
    assert rest["packets_fwd"].to_pylist() == [20, 20]
