"""Installs the rivals that come from PyPI into virtual environments of their own under `build/benchmarks`."""

import shutil
import subprocess
import sys
from pathlib import Path

from .captures import FOLDER
from .contenders import CIC_VENV, VENV

PACKAGES = ("nfstream==6.6.0", "dpkt==1.9.8", "scapy==2.8.0")
WORDS_VENV = FOLDER / "venv-gensim"
WORDS_PACKAGES = ("gensim==4.4.0",)
DECODERS = FOLDER / "decoders"  # pure Python, imported beside ours
DECODER_PACKAGES = ("netflow==0.12.2", "netflume==0.6.0")


def set_up_rivals() -> list[str]:
    """Make what is missing; each line of the answer says what could not be made and why."""
    problems = []
    if not (VENV / "bin" / "python").exists():
        problems += _make(VENV, sys.executable, *PACKAGES)
    if not DECODERS.exists():
        words = ["-m", "pip", "install", "-q", "--no-deps", "--target", str(DECODERS), *DECODER_PACKAGES]
        problems += _run(DECODERS, [str(VENV / "bin" / "python"), *words])
    newer = _python_for_cicflowmeter()
    if not (CIC_VENV / "bin" / "python").exists():
        if newer is None:
            problems.append("cicflowmeter 0.5 needs Python 3.12 or newer, and none was found")
        else:
            problems += _make(CIC_VENV, newer, "cicflowmeter==0.5.0")
    return problems


def set_up_words() -> list[str]:
    """The same for vectors of words."""
    if (WORDS_VENV / "bin" / "python").exists():
        return []
    return _make(WORDS_VENV, sys.executable, *WORDS_PACKAGES)


def _make(folder: Path, python: str, *packages: str) -> list[str]:
    interpreter = str(folder / "bin" / "python")
    return _run(folder, [python, "-m", "venv", str(folder)], [interpreter, "-m", "pip", "install", "-q", *packages])


def _run(folder: Path, *commands: list[str]) -> list[str]:
    for command in commands:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            shutil.rmtree(folder, ignore_errors=True)
            lines = result.stderr.strip().splitlines()
            return [f"{folder.name}: {lines[-1] if lines else 'could not be made'}"]
    return []


def _python_for_cicflowmeter() -> str | None:
    if sys.version_info >= (3, 12):
        return sys.executable
    for name in ("python3.13", "python3.12", "python3.14"):
        found = shutil.which(name)
        if found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
            return found
    for root in (Path.home() / ".pyenv" / "versions",):
        for folder in sorted(root.glob("3.1[2-9]*")) if root.is_dir() else []:
            return str(folder / "bin" / "python")
    return None
