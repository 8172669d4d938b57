"""The command line: words over the library. `main` is the one place that turns errors into text and exit codes.

0 is success, 2 a mistake that the user can mend (printed without a traceback), 1 a mistake of ours (with one), 130 an
interruption by Ctrl-C or SIGTERM.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typer.exceptions import TyperException

INTERRUPTED = 130


def main() -> None:
    """Entry point of the `flowlore` program."""
    signal.signal(signal.SIGTERM, _interrupt)  # whoever ends us politely finds no unfinished files
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError as error:
        # Who reads our output may go, which is their right: `flowlore columns | head`. Anything else cuts what we say.
        if not isinstance(error, BrokenPipeError):
            code = code or _our_mistake(error)
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command; gives the exit code."""
    from typer.exceptions import TyperException

    from ..errors import FlowloreError
    from .app import app
    from .text import printable

    try:
        code = app(args=list(arguments), prog_name="flowlore", standalone_mode=False) or 0
    except FlowloreError as error:
        print("\n".join(printable(line) for line in str(error).split("\n")), file=sys.stderr)
        return 2
    except TyperException as error:
        return _wrong_usage(error)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        return 0
    except SystemExit as end:  # Typer's answer to a reader that has gone is 1; it is no mistake
        return 0 if isinstance(end.__context__, BrokenPipeError) else int(end.code or 0)
    except Exception as error:
        return _our_mistake(error)
    if code == INTERRUPTED:
        print("flowlore: interrupted; what was not finished is not kept", file=sys.stderr)
    return int(code)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _wrong_usage(error: "TyperException") -> int:
    """Words that are no command, in the form of every other error. Without any word there is help instead."""
    message = str(getattr(error, "message", error))
    context = getattr(error, "ctx", None)
    if context is None or message == context.get_help():
        print(message, file=sys.stderr)
        return 2
    problem = error.format_message().rstrip(".") if hasattr(error, "format_message") else message
    problem = _wrong_number(error) or problem[:1].lower() + problem[1:]
    print(f"{context.command_path}: {problem}\n\nhint: `{context.command_path} --help`", file=sys.stderr)
    return 2


def _wrong_number(error: Any) -> str | None:
    """A value that is no number, or out of its range, as settings say it; Typer leaves the words to pydantic."""
    found: list[dict[str, Any]] = getattr(error.__cause__, "errors", list)()
    wanted = _WANTED.get(found[0]["type"]) if found else None
    if wanted is None:
        return None
    option = max(error.param.opts, key=len)
    return f"`{option}` is `{found[0]['input']}`, but must be {wanted.format(**found[0].get('ctx', {}))}"


_WANTED = {
    "float_parsing": "a number",
    "int_parsing": "a whole number",
    "greater_than_equal": "at least {ge:g}",
    "less_than_equal": "at most {le:g}",
}


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
