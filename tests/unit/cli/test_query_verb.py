"""`flowlore query`: answers of every type as CSV."""

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
