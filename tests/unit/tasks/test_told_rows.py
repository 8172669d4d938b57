"""Small files in which somebody tells what is known."""

from pathlib import Path

import pytest

from flowlore.errors import InputError
from flowlore.tasks.told_rows import told_rows

FIELDS = ("host", "label")


def rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    return [(line, dict(row)) for line, row in told_rows(path, "roles", "labels", FIELDS)]


def test_what_spreadsheets_write_is_read(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes('\ufeffhost,label\r\n10.0.0.7,"a printer,\r\nof two lines"\r\n10.0.0.8,phone\u2028\r\n'.encode())
    assert [row for _, row in rows(path)] == [
        {"host": "10.0.0.7", "label": "a printer,\nof two lines"},
        {"host": "10.0.0.8", "label": "phone\u2028"},
    ]


def test_lines_of_json_are_counted_as_an_editor_does(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text('{"host": "a", "label": "x\u2028y"}\n\n{"host": "b"}\n', encoding="utf-8")
    assert rows(path) == [(1, {"host": "a", "label": "x\u2028y"}), (3, {"host": "b"})]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("absent.csv", None, "the labels in `.*` cannot be read"),
        ("a.csv", "host,kind\n", "`.*` has no column `label`"),
        ("b.csv", "", "`.*` has no column `host`"),
        ("c.csv", f"host,label\na,{'x' * 200_000}\n", "line 2 of `.*` is no CSV: field larger"),
        ("d.jsonl", '{"host": "a"}\n{host}\n', "line 2 of `.*` is no JSON: "),
        ("e.jsonl", "[1]\n", "line 1 of `.*` is no JSON object"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, name: str, text: str | None, told: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=f"^roles: {told}"):
        rows(tmp_path / name)
