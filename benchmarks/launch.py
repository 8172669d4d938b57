"""Starts one command and writes what it used: `launch.py REPORT CORES COMMAND...`.

A process of its own, because Linux counts the memory of whoever starts a process into that process's peak: this one
imports next to nothing, and so adds next to nothing.
"""

import os
import sys
import time

if __name__ == "__main__":
    report, cores, *command = sys.argv[1:]
    begin = time.perf_counter()
    child = os.fork()
    if child == 0:
        try:
            if cores:
                os.sched_setaffinity(0, map(int, cores.split(",")))
            os.execvp(command[0], command)
        except OSError as error:
            sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        os._exit(127)
    _, status, usage = os.wait4(child, 0)
    wall_s = time.perf_counter() - begin
    with open(report, "w") as file:  # noqa: PTH123 - pathlib would be a third of this process
        file.write(
            f'{{"wall_s": {wall_s}, "cpu_s": {usage.ru_utime + usage.ru_stime},'
            f' "peak_rss_kib": {usage.ru_maxrss}, "exit_code": {os.waitstatus_to_exitcode(status)}}}'
        )
