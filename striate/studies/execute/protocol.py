"""What a scheduler and its caller exchange: tasks one way, events the other.

Each task that a scheduler starts ends with exactly one of Finished, Failed and Stopped, and a task that fails stops no other.
When it is asked to stop, it saves and ends the tasks that run; a task that was not started has no event,
except a Note of what it waits for.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from striate.core.errors import StriateError
from striate.engines import inputs
from striate.engines.precision import PrecisionChoice
from striate.runs import Job, RunWriter, Summary


@dataclass(frozen=True)
class Task:
    """One run to train."""

    label: str
    job: Job
    folder: Path
    loggers: tuple[str, ...] = ()
    precision: PrecisionChoice | None = None  # of its study, for a recipe that says auto


@dataclass(frozen=True)
class Event:
    """Something that happened to a task; what it was is the class."""

    task: Task


@dataclass(frozen=True)
class Started(Event):
    """The task was given to a process."""


@dataclass(frozen=True)
class Progress(Event):
    """How far the run is."""

    progress: inputs.Progress


@dataclass(frozen=True)
class Note(Event):
    """Something that the user should know; the run continues."""

    text: str


@dataclass(frozen=True)
class Finished(Event):
    """The run has a result: it finished or diverged."""

    summary: Summary


@dataclass(frozen=True)
class Failed(Event):
    """An error ended the run. The same command tries it again."""

    reason: str


@dataclass(frozen=True)
class Stopped(Event):
    """The run was saved and ended, because the scheduler was asked to stop. The same command resumes it."""


Ended = Finished | Failed | Stopped


class Scheduler(Protocol):
    """Trains tasks somewhere, each in the precision that it names."""

    def run(self, tasks: Sequence[Task], should_stop: Callable[[], bool]) -> Generator[Event, None, None]: ...


def closed(task: Task, reason: str) -> Finished | Failed:
    """The end of a run that could not say so itself: its folder gets the reason, unless the run has a result."""
    try:
        with RunWriter(task.folder, task.job) as writer:
            summary = writer.finish(Summary.failed(reason))
        if summary.state != "failed":
            return Finished(task, summary)
    except StriateError as error:
        reason = f"{reason}; and {error}"
    return Failed(task, reason)
