"""SSH: the line with which each side says what it is."""

import numpy as np

from ....flows.compiled import kernel
from ..layout import Bytes, Counts
from .bytes import copy_bytes
from .http import begins_with, find_newline
from .items import LONGEST_TEXT, put_app, put_text
from .notes import APP_WRITTEN, COLLECTED, FLAGS, MEMORY_USED, OTHER_COLLECTED
from .tags import APP_PROTOCOLS, DONE, MORE, SSH_CLIENT, SSH_SERVER

APP_SSH = APP_PROTOCOLS.index("ssh")
SSH_MARK = np.frombuffer(b"SSH-", dtype=np.uint8).copy()
SIDE_BYTES = 256
READ = -1  # in place of a count: this side's line was read, or will not be


@kernel
def sniff_ssh(
    data: Bytes,
    start: int,
    stop: int,
    from_port: int,
    to_port: int,
    is_forward: bool,
    memory: Bytes,
    notes: Counts,
    out: Bytes,
) -> tuple[int, int]:
    """Collect each side's line in a part of `memory` of its own."""
    length = 0
    if notes[FLAGS] & APP_WRITTEN == 0:
        notes[FLAGS] |= APP_WRITTEN
        length = put_app(out, length, APP_SSH)
    counter = COLLECTED if is_forward else OTHER_COLLECTED
    base = 0 if is_forward else SIDE_BYTES
    have = int(notes[counter])
    if have != READ:
        end = find_newline(data, start, stop)
        count = min(end - start, SIDE_BYTES - have)
        copy_bytes(memory, base + have, data, start, count)
        have += count
        if have >= SSH_MARK.size and not begins_with(memory, base, base + have, SSH_MARK):
            notes[counter] = READ
        elif end < stop or have > LONGEST_TEXT:
            line_stop = base + have
            if memory[line_stop - 1] == 13:
                line_stop -= 1
            is_server = (from_port == 22 and to_port != 22) or (to_port != 22 and not is_forward)
            length = put_text(out, length, SSH_SERVER if is_server else SSH_CLIENT, memory, base, line_stop, False)
            notes[counter] = READ
        else:
            notes[counter] = have
    used = notes[COLLECTED] > 0 or notes[OTHER_COLLECTED] > 0
    notes[MEMORY_USED] = 2 * SIDE_BYTES if used else 0
    return DONE if notes[COLLECTED] == READ and notes[OTHER_COLLECTED] == READ else MORE, length
