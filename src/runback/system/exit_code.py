"""How a command ends: one line for what is wrong, and an exit code."""

import sys
import traceback
from collections.abc import Callable

from runback.errors import RunbackError, Stopped
from runback.system.secrecy import redacted
from runback.system.text.escape import lines_for_terminal
from runback.system.text.terminal import say

LONGEST = 1000
"""Characters of an error's line: what it quotes may be much longer."""


def exit_code(command: Callable[[], int]) -> int:
    """Run a command and return its exit code: 0 fine, 1 failed, 2 bad input, 130 Ctrl-C.

    What it raises is printed: an error of runback's as one line, another one with its traceback.
    """
    try:
        return command()
    except RunbackError as error:
        return _fail(str(error), error.exit_code)
    except Stopped as stop:
        return _fail(stop.reason, stop.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except SystemExit as end:
        if not isinstance(end.code, str):
            raise
        return _fail(end.code, 1)
    except Exception:
        sys.stderr.write(lines_for_terminal(traceback.format_exc()))
        return 1


def _fail(message: str, code: int) -> int:
    line = redacted(" ".join(message.split()))
    say(f"runback: {line if len(line) <= LONGEST else line[: LONGEST - 1] + '…'}", stream=sys.stderr)
    return code
