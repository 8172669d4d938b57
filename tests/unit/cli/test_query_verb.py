"""`flowlore query`: answers of every type, as CSV, as a table and as JSON."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flowlore.cli import run


def test_every_type_has_a_form_in_csv(tmp_path: Path, capfdbinary: pytest.CaptureFixture) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"dst_port": [443, 53], "gaps": [[1, 2], None], "raw": [b"\x01\xff", None]}), path)
    assert run(["query", "select *, interval 1 day as span, {'a': dst_port} as s from flows", str(path), "--csv"]) == 0
    assert capfdbinary.readouterr().out.decode().splitlines() == [
        '"dst_port","gaps","raw","span","s"',
        '443,"[1,2]","01ff","P0M1DT0S","{""a"":443}"',
        '53,,,"P0M1DT0S","{""a"":53}"',
    ]


def test_a_folder_without_flows_is_named(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(["query", "select count(*) as n from flows", str(tmp_path), "--json"]) == 0
    printed = capsys.readouterr()
    assert printed.out == '[{"n": 0}]\n'
    assert f"the folder `{tmp_path}` holds no flows" in printed.err


def test_columns_of_one_name_are_all_shown(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"dst_port": [443, 53]}), path)
    words = ["query", "select dst_port as port, dst_port + 1 as port from flows order by 1", str(path)]
    assert run(words) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["port", "port"],
        ["53", "54"],
        ["443", "444"],
    ]
    assert run([*words, "--json"]) == 2
    assert "two columns are called `port`" in capsys.readouterr().err
