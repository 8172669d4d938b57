"""Takes a run away when the process that plays it has gone, however it went; a process of its own.

`python -m flowlore.lab.keeper RUN`. It holds one end of a pipe, the run the other: nothing closes that like `kill -9`.
"""

import os
import signal
import sys
import time

from .world import take_away

_TIMES = 20


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    while os.read(0, 4096):
        pass
    for _ in range(_TIMES):  # a tool that the run had started may still make something
        if not take_away(sys.argv[1]):
            return
        time.sleep(0.2)


if __name__ == "__main__":
    main()
