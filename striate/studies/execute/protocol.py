"""What a scheduler and its caller say to each other.

A scheduler takes tasks and yields events; each task ends with exactly one of finished, failed or stopped, and
one that fails does not stop the others.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from striate.runs import Job

Kind = Literal["started", "progress", "finished", "failed", "stopped", "note"]
ENDINGS = ("finished", "failed", "stopped")


@dataclass(frozen=True)
class Task:
    """One run to train."""

    label: str
    job: Job
    folder: Path
    loggers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Event:
    """Something that happened to a task.

    `data`: progress as `runs.setting.Progress`, a summary, {"reason": ...}, or the {"text": ...} of a note.
    """

    task: Task
    kind: Kind
    data: dict[str, Any]


class Scheduler(Protocol):
    """Trains tasks somewhere."""

    def run(self, tasks: Sequence[Task], should_stop: Callable[[], bool]) -> Generator[Event, None, None]: ...
