"""The process that one logger runs in: `python -m striate.tracking.child MODULE:CLASS`.

JSON lines in (`start`, `row`, `finish`); for each a JSON line out with what the call returned, or its error. When the
input ends without a `finish`, the run was stopped or its process died: the log is closed so that it can be resumed.
"""

import importlib
import os
import queue
import sys
import threading
import time

from striate.core.processes import Channel, Message
from striate.runs.records import EpochRow, Summary
from striate.tracking.protocol import Logger, RunInfo

# How long a logger may take to finish after its run's process died.
ORPHAN_SECONDS = 60.0
# The training has priority where both need the processor.
NICENESS = 5


def main() -> None:
    """Serve until `finish`, an error or the end of the input."""
    os.nice(NICENESS)
    channel = Channel()
    inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(channel, inbox), daemon=True).start()
    try:
        logger = _make_logger(sys.argv[1])
        is_open = True
        while is_open:
            is_open = _serve(logger, inbox.get(), channel)
    except Exception as error:
        channel.send({"error": f"{type(error).__name__}: {error}"})


def _serve(logger: Logger, message: Message, channel: Channel) -> bool:
    """Make one call; whether another can follow."""
    ((call, content),) = message.items()
    match call:
        case "start":
            channel.send({"returned": logger.start(RunInfo(**content))})
        case "row":
            logger.row(EpochRow.model_validate(content))
            channel.send({"returned": None})
        case "finish":
            logger.finish(Summary.model_validate(content) if content else None)
            channel.send({"returned": None})
    return call != "finish"


def _make_logger(class_path: str) -> Logger:
    module, _, name = class_path.partition(":")
    logger: Logger = getattr(importlib.import_module(module), name)()
    return logger


def _listen(channel: Channel, inbox: queue.SimpleQueue[Message]) -> None:
    for message in channel.messages():
        inbox.put(message)
    inbox.put({"finish": None})
    time.sleep(ORPHAN_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
