"""What is printed is aligned, strict JSON, and cannot steer a terminal."""

import json

import pytest

from flowlore.cli.text import print_json, print_table


def test_json_is_one_strict_line(capsys: pytest.CaptureFixture) -> None:
    print_json({"a": [float("nan"), float("inf"), b"\x01\xff"], "b": "ü\n"})
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert json.loads(printed) == {"a": [None, None, "01ff"], "b": "ü\n"}


def test_tables_are_aligned(capsys: pytest.CaptureFixture) -> None:
    print_table(["name", "flows"], [["a", "1,000"], ["longer name", "7"]], numbers=(1,))
    assert capsys.readouterr().out == "name         flows\na            1,000\nlonger name      7\n"


def test_names_from_the_wire_cannot_steer_the_terminal(capsys: pytest.CaptureFixture) -> None:
    print_table(["name"], [["evil\x1b[2J\r\n\u202ename"]])
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "\u202e" not in printed
    assert printed.count("\n") == 2
