"""The command line: words over the library. `main` is the one place that turns errors into text and exit codes.

0 is success, 2 a mistake that the user can mend (printed without a traceback), 1 a mistake of ours (with one), 130 an
interruption.
"""

import contextlib
import os
import sys
from collections.abc import Sequence


def main() -> None:
    """Entry point of the `flowlore` program."""
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # who reads our output has gone, which is their right: `flowlore columns | head`
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command; gives the exit code."""
    from ..errors import FlowloreError
    from .app import app

    try:
        app(args=list(arguments), prog_name="flowlore")
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else 0 if exit_.code is None else 2
    except FlowloreError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0
    except Exception as error:
        return _our_mistake(error)
    return 0


def _our_mistake(error: Exception) -> int:
    import errno
    import traceback

    from .. import __version__

    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        where = f": `{error.filename}`" if error.filename else ""
        print(
            f"output: {os.strerror(error.errno)}{where}\n\nhint: free some space or choose another disk",
            file=sys.stderr,
        )
        return 2
    trace = traceback.TracebackException.from_exception(error)
    trace.stack = traceback.StackSummary.from_list([frame for frame in trace.stack if "/typer/" not in frame.filename])
    sys.stderr.writelines(trace.format())
    print(
        f"\nflowlore {__version__}: this is our mistake, not yours; please report the lines above with the command "
        "and, where you may, the input",
        file=sys.stderr,
    )
    return 1
