"""Every activity speaks with the services that it uses, in a namespace of its own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flowlore.lab.roles import ROLES

ACTIVITIES = [name for name in ROLES.names() if hasattr(ROLES.load(name), "act")]
ONE_WAY = {"send-logs"}  # syslog over UDP is never answered
QUICK = {
    *("ask-dns", "ask-dns-tls", "back-up", "browse-by-socks", "browse-curl", "call-api", "call-somebody"),
    *("fetch-ftp", "fetch-tftp", "guess-web", "scan-ports", "send-logs", "send-mail", "tunnel-dns", "use-redis"),
}
ALL = bool(os.environ.get("FLOWLORE_ALL_ROLES"))  # a minute and a half; otherwise one or two of each family
ALONE = ("unshare", "--net", "--pid", "--fork", "--mount-proc", "--kill-child")
pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root makes network namespaces"),
    pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare is not installed"),
]


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What each activity exchanged; all run one after the other beside all services."""
    names = [name for name in ACTIVITIES if ALL or name in QUICK]
    stage = Path(__file__).with_name("stage_of_roles.py")
    folder = tmp_path_factory.mktemp("stage")
    folder.chmod(0o755)
    done = subprocess.run(
        [*ALONE, sys.executable, str(stage), str(folder), *names],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    return {line["role"]: line for line in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("name", ACTIVITIES if ALL else sorted(QUICK))
def test_an_activity_reaches_its_services(sent: dict[str, dict[str, Any]], name: str) -> None:
    if name not in sent:
        pytest.skip("set FLOWLORE_ALL_ROLES=1 to run all")
    if "missing" in sent[name]:
        pytest.skip(f"not installed: {', '.join(sent[name]['missing'])}")
    assert sent[name]["error"] == ""
    assert sent[name]["packets"] >= 2
    if ROLES.load(name).uses:
        if name in ONE_WAY:
            return
        answered = sent[name].get("answered", 0) + sent[name].get("beside", 0)  # TFTP answers from another port
        assert sent[name].get("asked", 0) >= 1 and answered >= 1, sent[name]


@pytest.mark.parametrize("name", ACTIVITIES if ALL else sorted(QUICK))
def test_an_activity_keeps_to_its_bounds(sent: dict[str, dict[str, Any]], name: str) -> None:
    """4 seconds and the start of a Python; 4,000 packets."""
    if name not in sent or "missing" in sent[name]:
        pytest.skip("did not run")
    assert sent[name]["seconds"] < 4 + 3
    assert sent[name]["packets"] <= 4_000
