"""A module of ours in a process of its own, which speaks lines over its pipes."""

import os
import subprocess
import sys
from typing import IO


def start(module: str, *words: str, errors: IO[bytes]) -> subprocess.Popen[str]:
    """`python -m module words`; what it says on stderr goes to `errors`.

    It can import whatever this process can, a user's own network among it. It has a session of its own: Ctrl-C in the
    terminal does not reach it, and what it starts can be killed with it.
    """
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        encoding="utf-8",
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
    )
