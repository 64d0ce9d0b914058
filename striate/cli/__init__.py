"""The command line. Importing it is instant; each command imports what it needs.

Exit codes: 0 all done; 1 a wrong use, with one sentence on stderr; 3 finished, but some runs failed or diverged;
130 stopped by Ctrl-C after saving. An error of Striate itself keeps its traceback.
"""

import io
import sys

FAILED_RUNS = 3
INTERRUPTED = 130


def main() -> None:
    """Run the command that `sys.argv` names."""
    from striate.cli.app import app
    from striate.core.errors import StriateError

    # A letter that the terminal cannot show is spelled out; it must not be an error after hours of work.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(standalone_mode=False)
    except StriateError as error:
        _exit_with(str(error))
    except BrokenPipeError:
        sys.stderr.close()  # the reader of the output has ended (`| head`); nobody is left to tell
        sys.exit(1)
    except Exception as error:
        # What the command-line library raises for a wrong option or a missing argument.
        if not hasattr(error, "format_message"):
            raise
        _exit_with(f"{error.format_message().rstrip('.')}; see 'striate --help'")
    sys.exit(code if isinstance(code, int) else 0)


def _exit_with(sentence: str) -> None:
    from striate.cli.output import out

    out(f"striate: {sentence}", error=True)
    sys.exit(1)
