"""The scheduler of this machine: worker processes, each training one run after another."""

import json
import queue
import signal
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import Any, Self

from striate.core import errors
from striate.core import processes as children
from striate.core.errors import StriateError, StudyError
from striate.runs import RunWriter, Summary
from striate.studies.execute.protocol import ENDINGS, Event, Task
from striate.studies.study import Arm

# How long a worker may take to save and go when asked to.
GOODBYE_SECONDS = 60.0
# How soon a wish to stop is noticed.
LISTEN_SECONDS = 0.2


class LocalScheduler:
    """Up to `at_once` runs at a time, each with `threads` threads, on `device`; by the workers of `crew`, if there is one."""

    def __init__(
        self, at_once: int = 1, threads: int | None = None, device: str = "auto", crew: "WorkerPool | None" = None
    ) -> None:
        self.at_once, self.threads, self.device = at_once, threads, device
        self._crew = crew

    def run(
        self, tasks: Sequence[Task], should_stop: Callable[[], bool] = lambda: False
    ) -> Generator[Event, None, None]:
        """Train the tasks; yields what happens. Closing the iterator stops the runs after saving them."""
        waiting = deque(tasks)
        with self._crew or WorkerPool(0) as crew:
            crew.resize(min(self.at_once, len(tasks)))
            for number in range(len(crew.workers)):
                if not should_stop():
                    yield crew.sound(number).give(waiting.popleft(), self)
            while any(worker.task for worker in crew.workers):
                if should_stop():
                    waiting.clear()
                    for worker in crew.workers:
                        worker.stop()  # says it once
                try:
                    worker, message = crew.inbox.get(timeout=LISTEN_SECONDS)
                except queue.Empty:
                    continue
                if worker.task is None:
                    continue  # gone with nothing to lose; another takes its place when there is something to do
                # Without a word the process is gone, and its task with it.
                event = worker.died() if message is None else worker.heard(message)
                yield event
                if event.kind in ENDINGS and waiting:
                    # An error may have left the process unsound: on a GPU each further call would fail.
                    number = crew.workers.index(worker)
                    able = crew.replaced(number) if event.kind == "failed" else crew.sound(number)
                    yield able.give(waiting.popleft(), self)


class WorkerPool:
    """Worker processes, which save and end with the context. Each imports its engine at its first question or task."""

    def __init__(self, size: int) -> None:
        self.inbox: queue.SimpleQueue[tuple[_Worker, dict[str, Any] | None]] = queue.SimpleQueue()
        self.workers: list[_Worker] = []
        self.resize(size)

    def resize(self, size: int) -> None:
        self.workers += [_Worker(self.inbox) for _ in range(len(self.workers), size)]
        spare, self.workers = self.workers[size:], self.workers[:size]
        for worker in spare:
            if worker.task:
                worker.stop()
            else:
                worker.kill()  # there is nothing to save, and it may be importing torch
        for worker in spare:
            worker.end()

    def sound(self, number: int) -> "_Worker":
        """The worker of that number, or another in its place if its process is gone."""
        worker = self.workers[number]
        return self.replaced(number) if worker.has_ended() else worker

    def replaced(self, number: int) -> "_Worker":
        self.workers[number].end()
        self.workers[number] = _Worker(self.inbox)
        return self.workers[number]

    def ask(self, arm: Arm, device: str, should_stop: Callable[[], bool]) -> str:
        """The kind of device that the engine of `arm` would compute on. All are asked, so that all are ready then.

        An empty word when `should_stop` said so before they had answered.

        Raises:
            StriateError: what the engine refuses.
            StudyError: when a process is gone.
        """
        question = {"recipe": arm.recipe.model_dump(mode="json"), "network": arm.network.model_dump(mode="json")}
        for worker in self.workers:
            worker.send({"ask": {**question, "device": device}})
        devices: list[str] = []
        while len(devices) < len(self.workers):
            if should_stop():
                return ""
            try:
                worker, message = self.inbox.get(timeout=LISTEN_SECONDS)
            except queue.Empty:
                continue
            if message is None:
                raise StudyError(f"a worker {worker.how_it_went()}")
            if message["kind"] == "refused":
                with arm.named():
                    raise getattr(errors, message["data"]["error"])(message["data"]["text"])
            devices.append(message["data"]["device"])
        return devices[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for worker in self.workers:
            if kind is KeyboardInterrupt and worker.is_stopping:  # it was asked to save, and the user waits no longer
                worker.kill()
        self.resize(0)


class _Worker:
    """One process and the task it has."""

    def __init__(self, inbox: queue.SimpleQueue[Any]) -> None:
        self.task: Task | None = None
        self.is_stopping = False
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in end()
        self._process = children.start("striate.studies.execute.worker", errors=self._errors)
        self._reader = threading.Thread(target=self._read, args=(inbox,), daemon=True)
        self._reader.start()

    def give(self, task: Task, how: LocalScheduler) -> Event:
        self.task = task
        self.send(
            {
                "job": task.job.model_dump(mode="json"),
                "folder": str(task.folder.absolute()),
                "device": how.device,
                "threads": how.threads,
                "at_once": how.at_once,
                "loggers": list(self.task.loggers),
            }
        )
        return Event(task, "started", {})

    def heard(self, message: dict[str, Any]) -> Event:
        assert self.task is not None
        event = Event(self.task, message["kind"], message["data"])
        if event.kind in ENDINGS:
            self.task = None
        return event

    def died(self) -> Event:
        """The process ended without a word: its folder gets the reason, unless the run was done by then."""
        assert self.task is not None
        task, self.task = self.task, None
        reason = f"the {self.how_it_went()}"
        try:
            with RunWriter(task.folder, task.job) as writer:
                summary = writer.finish(Summary.failed(reason))
            if summary.state != "failed":
                return Event(task, "finished", summary.model_dump(mode="json"))
        except StriateError as error:
            reason = f"{reason}; and {error}"
        return Event(task, "failed", {"reason": reason})

    def how_it_went(self) -> str:
        """The end of the process, in words."""
        code = self._process.wait()
        why = f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        hint = "; the machine may be out of memory: try --jobs 1 or a smaller batch_size" if code == -9 else ""
        return f"process {why}{hint}{self._last_words()}"

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def kill(self) -> None:
        self._process.kill()

    def stop(self) -> None:
        """Ask for a save and an end, once: more would fill the pipe of a worker that is busy saving."""
        if not self.is_stopping:
            self.is_stopping = True
            self.send({"stop": True})

    def end(self) -> None:
        """Wait for the end, or bring it about; an interrupt while waiting ends it at once."""
        try:
            assert self._process.stdin is not None
            self._process.stdin.close()
        except OSError:
            pass
        try:
            self._process.wait(GOODBYE_SECONDS)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            self._process.kill()
            self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()

    def send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except (OSError, ValueError):
            pass  # it is gone; its reader says so

    def _read(self, inbox: queue.SimpleQueue[Any]) -> None:
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                inbox.put((self, json.loads(line)))
        except ValueError:
            pass  # a line torn by a kill
        finally:
            inbox.put((self, None))

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return f" ({lines[-1].strip()})" if lines else ""
