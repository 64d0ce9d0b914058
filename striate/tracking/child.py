"""The process that one logger lives in: `python -m striate.tracking.child MODULE:CLASS`.

JSON lines in (`start`, `row`, `finish`), for each a JSON line out: what it returned, or its error. When the input
ends without a `finish`, the run was stopped, or whoever trained it is gone: the log is closed to be taken up later.
"""

import importlib
import json
import os
import queue
import sys
import threading
import time
from typing import Any, TextIO

from striate.tracking.protocol import Logger, RunInfo

# How long a logger may go on alone once nobody waits for it.
ORPHAN_SECONDS = 60.0
# The training goes first where both want the processor.
NICENESS = 5


def main() -> None:
    """Serve until `finish`, an error or the end of the input."""
    os.nice(NICENESS)
    channel = _private_stdout()
    inbox: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(inbox,), daemon=True).start()
    try:
        logger = _make(sys.argv[1])
        is_open = True
        while is_open:
            is_open = _serve(logger, inbox.get(), channel)
    except Exception as error:
        _say(channel, {"error": f"{type(error).__name__}: {error}"})


def _serve(logger: Logger, message: dict[str, Any], channel: TextIO) -> bool:
    """One call; whether there is another to come."""
    ((verb, content),) = message.items()
    match verb:
        case "start":
            _say(channel, {"returned": logger.start(RunInfo(**content))})
        case "row":
            logger.row(content)
            _say(channel, {"returned": None})
        case "finish":
            logger.finish(content)
            _say(channel, {"returned": None})
    return verb != "finish"


def _make(place: str) -> Logger:
    module, _, name = place.partition(":")
    made: Logger = getattr(importlib.import_module(module), name)()
    return made


def _listen(inbox: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in sys.stdin:
        inbox.put(json.loads(line))
    inbox.put({"finish": None})
    time.sleep(ORPHAN_SECONDS)
    os._exit(1)


def _private_stdout() -> TextIO:
    """The pipe to the parent, under a number that neither a library's print nor its own processes can reach."""
    private = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return private


def _say(channel: TextIO, message: dict[str, Any]) -> None:
    try:
        channel.write(json.dumps(message) + "\n")
        channel.flush()
    except BrokenPipeError:
        pass  # nobody listens any more; the log is finished all the same


if __name__ == "__main__":
    main()
