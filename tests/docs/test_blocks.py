"""The examples run as they stand: every ```console and ```python block of the pages below, page by page, in order.

A block after the line `<!-- not run -->` needs what a test has not (an interface, a network) and is only read. Lines
below a command are its output: each must come, in order; `…` stands for any number of lines, and a number before `s`
for any number.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from flowlore.cli.demo import DEMO

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [
    "README.md",
    "docs/tutorial.md",
    *(f"docs/guides/{path.name}" for path in (REPOSITORY / "docs/guides").glob("*.md")),
]
FENCE = re.compile(r"^( *)```(\w*)$")
NOT_RUN = "<!-- not run -->"
SET_UP = ("make ", "pip ", "git ")  # what readers do once; the tests stand where it has been done


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    line: int
    runs: bool


def blocks(page: Path) -> Iterator[Block]:
    """Fenced blocks in order."""
    lines = page.read_text(encoding="utf-8").splitlines()
    start: int | None = None
    language = before = ""
    for number, line in enumerate(lines):
        fence = FENCE.match(line)
        if fence and start is None:
            start, language = number, fence[2]
            before = next((one for one in reversed(lines[:number]) if one.strip()), "")
        elif fence and start is not None:
            text = "\n".join(lines[start + 1 : number])
            yield Block(language, text, start + 1, runs=before.strip() != NOT_RUN)
            start = None
    assert start is None, f"{page}: a block that begins in line {start} has no end"


@pytest.mark.parametrize("page", sorted(PAGES))
def test_blocks_run(page: str, tmp_path: Path) -> None:
    for item in DEMO.iterdir():
        shutil.copy(item, tmp_path)
    python: list[str] = []
    for block in blocks(REPOSITORY / page):
        where = f"{page}:{block.line}"
        if not block.runs:
            continue
        if block.language == "console":
            for command, expected in commands(block.text):
                if not command.startswith(SET_UP):
                    compare(run(["bash", "-c", command], tmp_path, f"{where}: {command}"), expected, where)
        elif block.language == "python":
            python.append(block.text)
            run([sys.executable, "-c", "\n".join(python)], tmp_path, where)


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each command after `$ ` (with its continued lines), and the output that is shown for it."""
    command: str | None = None
    expected: list[str] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            if command is not None:
                yield command, expected
            command, expected = re.sub(r"\s+#.*$", "", line[2:]), []
        elif command is not None and command.endswith("\\") and not expected:
            command = command[:-1] + line
        elif command is not None:
            expected.append(line)
    if command is not None:
        yield command, expected


def run(arguments: list[str], folder: Path, where: str) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        arguments, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{where}\n{done.stdout}{done.stderr}"
    return done.stdout


def compare(printed: str, expected: list[str], where: str) -> None:
    """Every expected line comes, in order; between two of them others may come only where `…` stands."""
    lines = [without_times(line) for line in printed.splitlines()]
    place, may_skip = 0, False
    for wanted in map(without_times, expected):
        if wanted.strip() == "…":
            may_skip = True
            continue
        found = next((at for at in range(place, len(lines)) if lines[at] == wanted), None)
        assert found is not None and (may_skip or found == place), f"{where}: `{wanted}` is not in\n{printed}"
        place, may_skip = found + 1, False


def without_times(line: str) -> str:
    line = re.sub(r"\b[\d.,]+ (s|ms)\b", "N s", line.rstrip())
    return re.sub(r"\b[\d.,]+ a second", "N a second", line)


def test_the_runner_tells_a_wrong_output_from_a_right_one() -> None:
    compare("a\nb 1.5 s\nc\n", ["a", "b 0.2 s"], "here")
    compare("a\nb\nc\n", ["…", "c"], "here")
    with pytest.raises(AssertionError):
        compare("a\nb\nc\n", ["a", "c"], "here")
    with pytest.raises(AssertionError):
        compare("a\n", ["a", "…", "d"], "here")


def test_the_runner_finds_commands() -> None:
    text = "$ one  # why\nout\n$ two \\\n  more\n"
    assert list(commands(text)) == [("one", ["out"]), ("two   more", [])]
