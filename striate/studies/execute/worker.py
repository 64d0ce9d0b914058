"""A process that trains one run after another: `python -m striate.studies.execute.worker`.

JSON lines in, JSON lines out. It is a plain child process and not a `multiprocessing` one, so that a study can be
run from a notebook or an unguarded script, and nothing is pickled. When its input ends, the parent is gone or
wants no more: the run is saved and the process ends, so no training outlives its study.

How a worker's process keeps its memory.
"""

import ctypes
import dataclasses
import json
import os
import queue
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, TextIO

from striate.core.errors import StriateError


def main() -> None:
    """Serve until the input ends."""
    channel = _private_stdout()
    tasks: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    stop = threading.Event()
    threading.Thread(target=_listen, args=(tasks, stop), daemon=True).start()
    while (message := tasks.get()) is not None:
        if "ask" in message:
            _answer(message["ask"], channel)
        else:
            _serve(message, stop, channel)
    # All is written and said. Taking torch apart would keep the study waiting for a second.
    os._exit(0)


def _private_stdout() -> TextIO:
    """The pipe to the parent, under a number that a library's print cannot reach."""
    private = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return private


def _listen(tasks: queue.SimpleQueue[dict[str, Any] | None], stop: threading.Event) -> None:
    for line in sys.stdin:
        message = json.loads(line)
        if "stop" in message:
            break
        tasks.put(message)
    stop.set()
    tasks.put(None)


def _say(channel: TextIO, kind: str, data: dict[str, Any]) -> None:
    channel.write(json.dumps({"kind": kind, "data": data}) + "\n")
    channel.flush()


def _answer(question: dict[str, Any], channel: TextIO) -> None:
    """On which kind of device the engine would compute, or what it refuses."""
    from striate.engines import select as engines
    from striate.nets import NetworkConfig
    from striate.recipes import Recipe

    recipe = Recipe.model_validate(question["recipe"])
    try:
        engines.check(recipe, NetworkConfig.model_validate(question["network"]), question["device"])
        _say(channel, "ready", {"device": engines.device_of(recipe, question["device"])})
    except StriateError as error:
        _say(channel, "refused", {"error": type(error).__name__, "text": str(error)})


def _serve(task: dict[str, Any], stop: threading.Event, channel: TextIO) -> None:
    def say(kind: str, **data: Any) -> None:
        try:
            _say(channel, kind, data)
        except BrokenPipeError:
            stop.set()  # the parent was killed: save and go

    # Imported here, so that a process that cannot import torch still says why.
    try:
        from striate.engines.select import train
        from striate.runs import Job
        from striate.studies.execute.worker import keep_freed_memory

        keep_freed_memory()
        summary = train(
            Job.model_validate(task["job"]),
            Path(task["folder"]),
            task["device"],
            threads=task["threads"],
            report=lambda progress: say("progress", **dataclasses.asdict(progress)),
            should_stop=stop.is_set,
            runs_at_once=task["at_once"],
            loggers=task["loggers"],
            note=lambda text: say("note", text=text),
        )
    except StriateError as error:
        say("failed", reason=str(error))
    except Exception as error:
        traceback.print_exc()
        say("failed", reason=f"{type(error).__name__}: {error}")
    else:
        if summary is None:
            say("stopped")
        else:
            say("finished", **summary.model_dump(mode="json"))


if __name__ == "__main__":
    main()


def keep_freed_memory() -> None:
    """Let glibc keep what is freed, for the rest of this process.

    Each step asks for the same large arrays again, and getting zeroed pages from the kernel each time cost 9 %
    of a step (network D1, torch, two cores).
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD and M_MMAP_MAX of malloc.h
    if hasattr(libc, "mallopt"):
        libc.mallopt(mmap_max, 0)
        libc.mallopt(trim_threshold, 2**31 - 1)
