"""The scheduler of this machine: worker processes, each of which trains one run after another."""

import queue
import signal
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Self

from striate.core.errors import StudyError
from striate.core.processes import Child, Message, cpu_count
from striate.engines.precision import PrecisionChoice, PrecisionQuestion
from striate.studies.execute.messages import (
    Accepted,
    Answer,
    Check,
    Refused,
    Request,
    Stop,
    Timed,
    TimeSteps,
    Train,
    decode_answer,
    decode_event,
    encode,
)
from striate.studies.execute.protocol import Ended, Event, Failed, Started, Task, closed
from striate.studies.plan import Plan
from striate.studies.study import Arm

# How long a worker may take to save and end.
GOODBYE_SECONDS = 60.0
# How often `should_stop` is asked.
LISTEN_SECONDS = 0.2

Inbox = queue.SimpleQueue[tuple["_Worker", Message | None]]


@contextmanager
def local_scheduler(
    plan: Plan, jobs: int | None, device: str, should_stop: Callable[[], bool]
) -> Iterator["LocalScheduler"]:
    """The scheduler for `plan`, once every arm's engine has checked it; `jobs` None chooses how many runs at once.

    The workers do the check. Importing an engine takes seconds, so this process does without, and where nothing is missing
    none is imported.

    Raises:
        StriateError: for what an engine does not have, or an impossible number of jobs.
    """
    most, _ = runs_and_threads(plan, jobs, {"cpu"})
    # A GPU trains one run at a time, and each process that uses it takes memory there.
    first = 1 if device != "cpu" and may_have_gpu() else most
    with WorkerPool(min(first, len(plan.missing))) as pool:
        devices = {pool.check(arm, device, should_stop) for arm in plan.arms} if plan.missing else set()
        yield LocalScheduler(*runs_and_threads(plan, jobs, devices), device, pool)


def runs_and_threads(plan: Plan, jobs: int | None, devices: set[str]) -> tuple[int, int]:
    """How many runs train at once on these kinds of devices, and the threads of each.

    On a CPU as many runs as there are seeds, up to the cores, and the threads divided among them: two processes of one
    thread do more than one of two. It is not the number of runs, because the threads change the last bits, and adding an
    arm must not change another arm's numbers. A GPU trains one run at a time.

    Raises:
        StudyError: for a number of jobs below 1.
    """
    if jobs is not None and jobs < 1:
        raise StudyError(f"--jobs: must be 'auto' or a number from 1 up, got {jobs}")
    cores = cpu_count()
    at_once = jobs or (min(cores, len(plan.study.seeds)) if devices == {"cpu"} else 1)
    return at_once, max(1, cores // at_once)


def may_have_gpu() -> bool:
    """Whether there is a driver; an engine would know for certain, and takes seconds to import."""
    return sys.platform == "darwin" or any(Path("/dev", name).exists() for name in ("nvidiactl", "kfd", "dxg"))


class LocalScheduler:
    """Up to `at_once` runs at a time, each with `threads` threads, on `device`; in the workers of `pool`, if it is given."""

    def __init__(
        self, at_once: int = 1, threads: int | None = None, device: str = "auto", pool: "WorkerPool | None" = None
    ) -> None:
        self.at_once, self.threads, self.device = at_once, threads, device
        self.pool = pool

    def run(
        self, tasks: Sequence[Task], should_stop: Callable[[], bool] = lambda: False
    ) -> Generator[Event, None, None]:
        """Train the tasks and yield what happens. Closing the generator saves and ends the runs."""
        waiting = deque(tasks)
        with self.pool or WorkerPool(0) as pool:
            pool.resize(min(self.at_once, len(tasks)))
            for index in range(len(pool.workers)):
                if not should_stop():
                    yield self._start(waiting.popleft(), pool.living(index))
            while any(worker.task for worker in pool.workers):
                if should_stop():
                    waiting.clear()
                    for worker in pool.workers:
                        worker.stop()
                try:
                    worker, message = pool.inbox.get(timeout=LISTEN_SECONDS)
                except queue.Empty:
                    continue
                if worker.task is None:
                    continue  # its process died between two tasks; it is replaced when there is another
                event = worker.died() if message is None else worker.event(message)
                yield event
                if isinstance(event, Ended) and waiting:
                    index = pool.workers.index(worker)
                    # An error may leave the process unusable: on a GPU each further call would fail.
                    worker = pool.replaced(index) if isinstance(event, Failed) else pool.living(index)
                    yield self._start(waiting.popleft(), worker)

    def _start(self, task: Task, worker: "_Worker") -> Event:
        worker.task = task
        # Absolute, because this process may have changed its working directory since the worker started.
        absolute = replace(task, folder=task.folder.absolute())
        worker.send(Train(absolute, self.device, self.threads, self.at_once))
        return Started(task)


class WorkerPool:
    """Worker processes, which save and end with the context. Each imports an engine at its first request."""

    def __init__(self, size: int) -> None:
        self.inbox = Inbox()
        self.workers: list[_Worker] = []
        self.resize(size)

    def resize(self, size: int) -> None:
        """Start or end workers, until there are `size`."""
        self.workers += [_Worker(self.inbox) for _ in range(len(self.workers), size)]
        spare, self.workers = self.workers[size:], self.workers[:size]
        for worker in spare:
            if worker.task:
                worker.stop()
            else:
                worker.kill()  # it has nothing to save, and may be busy importing torch
        for worker in spare:
            worker.end()

    def living(self, index: int) -> "_Worker":
        """The worker at `index`, replaced if its process has ended."""
        worker = self.workers[index]
        return self.replaced(index) if worker.has_ended() else worker

    def replaced(self, index: int) -> "_Worker":
        """A new worker in the place of that at `index`."""
        self.workers[index].end()
        self.workers[index] = _Worker(self.inbox)
        return self.workers[index]

    def check(self, arm: Arm, device: str, should_stop: Callable[[], bool]) -> str:
        """The kind of device that the arm's engine would use; "" when `should_stop` is true before all have answered.

        Every worker is asked, so that each has imported the engine afterwards.

        Raises:
            StriateError: for what the engine refuses.
            StudyError: when a worker's process has ended.
        """
        for worker in self.workers:
            worker.send(Check(arm.recipe, arm.network, device))
        devices: list[str] = []
        while len(devices) < len(self.workers):
            answer = self._answer(should_stop)
            if answer is None:
                return ""
            if isinstance(answer, Refused):
                with arm.error_context():
                    raise answer.exception()
            assert isinstance(answer, Accepted)
            devices.append(answer.device)
        return devices[0]

    def choose_precision(self, asked: PrecisionQuestion, should_stop: Callable[[], bool]) -> PrecisionChoice | None:
        """The answer of one worker, while the others wait; None when `should_stop` is true before.

        Raises:
            StriateError: for a device that is not there.
            StudyError: when a worker's process has ended.
        """
        self.living(0).send(asked)
        answer = self._answer(should_stop)
        if isinstance(answer, Refused):
            raise answer.exception()
        assert answer is None or isinstance(answer, PrecisionChoice)
        return answer

    def time_steps(self, asked: TimeSteps, should_stop: Callable[[], bool]) -> Timed | None:
        """How fast runs are while every worker trains one, the slowest of them; None when `should_stop` is true before.

        Raises:
            StriateError: for a network, a recipe or images that cannot be trained.
            StudyError: when a worker's process has ended.
        """
        for index in range(len(self.workers)):
            self.living(index).send(asked)
        timed: list[Timed] = []
        while len(timed) < len(self.workers):
            answer = self._answer(should_stop)
            if answer is None:
                return None
            if isinstance(answer, Refused):
                raise answer.exception()
            assert isinstance(answer, Timed)
            timed.append(answer)
        return Timed(
            train=min(each.train for each in timed),
            evaluate=min(each.evaluate for each in timed),
            start_seconds=max(each.start_seconds for each in timed),
        )

    def _answer(self, should_stop: Callable[[], bool]) -> Answer | None:
        """The next answer of a worker; None when `should_stop` is true before."""
        while not should_stop():
            try:
                worker, message = self.inbox.get(timeout=LISTEN_SECONDS)
            except queue.Empty:
                continue
            if message is None:
                raise StudyError(f"a worker {worker.how_it_ended()}")
            return decode_answer(message)
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for worker in self.workers:
            if (
                kind is KeyboardInterrupt and worker.is_stopping
            ):  # it was asked to save, and the user does not want to wait
                worker.kill()
        self.resize(0)


class _Worker:
    """One worker process, and the task that it trains."""

    def __init__(self, inbox: Inbox) -> None:
        self.task: Task | None = None
        self.is_stopping = False
        self._child = Child("striate.studies.execute.worker", hear=lambda message: inbox.put((self, message)))

    def send(self, request: Request) -> None:
        self._child.send(encode(request))

    def event(self, message: Message) -> Event:
        assert self.task is not None
        event = decode_event(message, self.task)
        if isinstance(event, Ended):
            self.task = None
        return event

    def died(self) -> Event:
        """The process ended before the task did: the run's folder gets the reason, unless the run has a result."""
        assert self.task is not None
        task, self.task = self.task, None
        return closed(task, f"the {self.how_it_ended()}")

    def how_it_ended(self) -> str:
        """The end of the process, in words."""
        was_killed = self._child.exit_code() == -signal.SIGKILL
        hint = "; the machine may be out of memory: try --jobs 1 or a smaller batch_size" if was_killed else ""
        return f"process {self._child.how_it_ended()}{hint}"

    def has_ended(self) -> bool:
        return self._child.has_ended()

    def kill(self) -> None:
        self._child.kill()

    def stop(self) -> None:
        """Ask for a save and an end, once."""
        if not self.is_stopping:
            self.is_stopping = True
            self.send(Stop())

    def end(self) -> None:
        """Wait for the process to end, and kill it after GOODBYE_SECONDS or at an interrupt."""
        self._child.end(GOODBYE_SECONDS)
