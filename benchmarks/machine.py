"""What a figure was measured on and with: the class of machine (no host names, no paths) and versions."""

import importlib.metadata
import os
import platform
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path


def machine_class() -> dict[str, object]:
    """CPU model, cores, memory and system; nothing that tells which machine it was."""
    model = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "?"
    )
    memory_kib = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return {
        "cpu": model,
        "cores": os.cpu_count() or 0,
        "memory_gib": round(memory_kib / 2**20),
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "python": platform.python_version(),
    }


def our_versions() -> dict[str, str]:
    """Versions of ours and of what carries the load."""
    return {name: importlib.metadata.version(name) for name in ("flowlore", "numba", "numpy", "pyarrow", "polars")}


def version_of(command: Sequence[str]) -> str:
    """The first version number in what a program prints about itself, or `?`."""
    try:
        result = subprocess.run(list(command), capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return "?"
    found = re.search(r"\d+\.\d+(?:\.\d+)*", result.stdout + result.stderr)
    return found.group() if found else "?"


def without_folders(text: str) -> str:
    """A message with the last part of each absolute path only: results do not tell how a machine is laid out.

    >>> without_folders("python: can't open file '/home/someone/flowlore/run.py'")
    "python: can't open file '…/run.py'"
    """
    return re.sub(r"(?<![\w.:/])/(?:[^\s/'\"`]+/)+", "…/", text)


def load() -> float:
    """Runnable processes of the last minute, so that a busy machine shows in the results."""
    return round(os.getloadavg()[0], 2)


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
