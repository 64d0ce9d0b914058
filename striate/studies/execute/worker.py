"""A process that trains one run after another: `python -m striate.studies.execute.worker`.

It is a plain child process and not a `multiprocessing` one: a study can be run from a notebook or an unguarded script, and
nothing is pickled. When its input ends, the parent is gone or wants no more: the run is saved and the process ends, so no
training outlives its study.
"""

import ctypes
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable

from striate.core.errors import StriateError, TrainingError
from striate.core.processes import Channel
from striate.data import Dataset
from striate.engines.precision import PrecisionChoice, PrecisionQuestion
from striate.studies.execute.messages import (
    Accepted,
    Check,
    Refused,
    Stop,
    Timed,
    TimeSteps,
    Train,
    decode_request,
    encode,
)
from striate.studies.execute.protocol import Event, Failed, Finished, Note, Progress, Stopped

Requests = queue.SimpleQueue[Check | PrecisionQuestion | TimeSteps | Train | None]


def main() -> None:
    """Serve until the input ends."""
    channel, requests, stop = Channel(), Requests(), threading.Event()
    threading.Thread(target=_listen, args=(channel, requests, stop), daemon=True).start()
    while (request := requests.get()) is not None:
        if isinstance(request, Check):
            channel.send(encode(answer_check(request)))
        elif isinstance(request, PrecisionQuestion):
            channel.send(encode(answer_precision(request)))
        elif isinstance(request, TimeSteps):
            channel.send(encode(answer_timing(request)))
        else:
            _train(request, channel, stop)
    # Everything is written and sent. Unloading torch would keep the study waiting for a second.
    os._exit(0)


def _listen(channel: Channel, requests: Requests, stop: threading.Event) -> None:
    """Queue the requests of the parent, until it asks for a stop or is gone, be it in the middle of a line."""
    try:
        for message in channel.messages():
            request = decode_request(message)
            if isinstance(request, Stop):
                break
            requests.put(request)
    finally:
        stop.set()
        requests.put(None)


def answer_check(check: Check) -> Accepted | Refused:
    """Whether an engine has what the recipe and the network need, asked in this process."""
    from striate.engines import select

    try:
        select.check(check.recipe, check.network, check.device)
        return Accepted(select.device_of(check.recipe, check.device))
    except StriateError as error:
        return Refused(type(error).__name__, str(error))


def answer_precision(asked: PrecisionQuestion) -> PrecisionChoice | Refused:
    """The precision that is best here, measured in this process."""
    from striate.engines import select

    keep_freed_memory()  # as where the runs are trained
    try:
        return select.choose_precision(asked)
    except StriateError as error:
        return Refused(type(error).__name__, str(error))


def answer_timing(asked: TimeSteps, dataset: Dataset | None = None) -> Timed | Refused:
    """How fast such runs are here; `dataset`: their images, if they are here already."""
    from striate.data import load
    from striate.engines import select

    keep_freed_memory()  # as where the runs are trained
    try:
        dataset = dataset or load(asked.data)
        return Timed(
            *select.speeds(
                asked.network, asked.recipe, dataset, asked.device, asked.threads, asked.seconds, asked.precision
            )
        )
    except StriateError as error:
        return Refused(type(error).__name__, str(error))
    except Exception as error:  # a step that torch refuses, or for which there is no memory
        return Refused(TrainingError.__name__, f"a step of training failed: {type(error).__name__}: {error}")


def _train(request: Train, channel: Channel, stop: threading.Event) -> None:
    def send(event: Event) -> None:
        if not channel.send(encode(event)):
            stop.set()  # the parent was killed: save and end

    train(request, send, stop.is_set)


def train(
    request: Train, send: Callable[[Event], None], should_stop: Callable[[], bool], dataset: Dataset | None = None
) -> None:
    """Train the task in this process, and send its events; the last one ends the task.

    `dataset`: the images of the task, if they are here already.
    """
    task = request.task
    try:
        # Imported here, so that a process that cannot import an engine still sends the reason.
        from striate.engines import select

        keep_freed_memory()
        summary = select.train(
            task.job,
            task.folder,
            request.device,
            task.precision,
            dataset=dataset,
            threads=request.threads,
            report=lambda progress: send(Progress(task, progress)),
            should_stop=should_stop,
            runs_at_once=request.at_once,
            loggers=task.loggers,
            note=lambda text: send(Note(task, text)),
        )
    except StriateError as error:
        send(Failed(task, str(error)))
    except Exception as error:
        traceback.print_exc()
        send(Failed(task, f"{type(error).__name__}: {error}"))
    else:
        send(Stopped(task) if summary is None else Finished(task, summary))


def keep_freed_memory() -> None:
    """Let glibc keep freed memory for the rest of this process.

    Each step allocates the same large arrays again, and getting zeroed pages from the kernel each time cost 9 % of a step
    (network D1, torch, two cores).
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD and M_MMAP_MAX of malloc.h
    if hasattr(libc, "mallopt"):
        libc.mallopt(mmap_max, 0)
        libc.mallopt(trim_threshold, 2**31 - 1)


if __name__ == "__main__":
    main()
