"""nfcapd on the streams that our collector is measured with: records kept, and processor time for a million of them."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

from .captures import FOLDER

PORT = 29_952
PACE = 20_000  # datagrams a second


def measure_nfcapd(version: int, records: int) -> dict[str, Any]:
    """One run over the loopback interface; the sender is `netflow_decode.py --send`."""
    with tempfile.TemporaryDirectory(prefix="nfcapd-", dir=FOLDER) as folder:
        words = ["nfcapd", "-w", folder, "-b", "127.0.0.1", "-p", str(PORT), "-t", "3600", "-B", "100000000"]
        collector = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1.0)
        sender = ["benchmarks/netflow_decode.py", "--send", str(version), str(records), str(PORT), str(PACE)]
        begin = time.perf_counter()
        subprocess.run([sys.executable, *sender], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        sent_s = time.perf_counter() - begin
        time.sleep(1.0)
        collector.send_signal(signal.SIGTERM)
        _, status, usage = os.wait4(collector.pid, 0)
        collector.returncode = os.waitstatus_to_exitcode(status)
        kept = _count(folder)
    cpu_s = usage.ru_utime + usage.ru_stime
    return {
        "version": version,
        "records_sent": records,
        "records_kept": kept,
        "sent_s": sent_s,
        "cpu_s": cpu_s,
        "records_per_cpu_s": round(kept / cpu_s) if cpu_s else None,
    }


def _count(folder: str) -> int:
    """Flows as `nfdump -I` counts them in everything that nfcapd wrote."""
    result = subprocess.run(["nfdump", "-R", folder, "-I"], capture_output=True, text=True, check=False)
    lines = dict(line.split(":", 1) for line in result.stdout.splitlines() if ":" in line)
    return int(lines.get("Flows", "0"))
