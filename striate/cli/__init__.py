"""The command line: verbs, exit codes, and nothing that takes time to import.

Exit codes: 0 all done; 1 an error of use, one sentence on stderr; 3 finished, but some runs failed or diverged;
130 stopped by Ctrl-C after saving. An error that is ours keeps its traceback.
"""

import io
import sys

FAILED_RUNS = 3
INTERRUPTED = 130


def main() -> None:
    """Run the command that `sys.argv` names."""
    from striate.cli.app import app
    from striate.core.errors import StriateError

    # A terminal that cannot show a letter gets it spelled out, rather than an error after hours of work.
    for channel in (sys.stdout, sys.stderr):
        if isinstance(channel, io.TextIOWrapper):
            channel.reconfigure(errors="backslashreplace")
    try:
        code = app(standalone_mode=False)
    except StriateError as error:
        _complain(str(error))
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output is gone (`| head`); there is no one to tell
        sys.exit(1)
    except Exception as error:
        # What the command-line library raises for a wrong option or a missing argument.
        if not hasattr(error, "format_message"):
            raise
        _complain(f"{error.format_message().rstrip('.')}; see 'striate --help'")
    sys.exit(code if isinstance(code, int) else 0)


def _complain(sentence: str) -> None:
    print(f"striate: {sentence}", file=sys.stderr)
    sys.exit(1)
