"""The one door of the engine from scratch: a job and a folder in, a finished run folder out. As torch's own door."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from striate.data import Dataset
from striate.runs import Job, Summary
from striate.runs.driver import Progress, Setting, drive
from striate.runs.writer import say
from striate.scratch.engine import ScratchEngine


def train(
    job: Job,
    folder: Path,
    *,
    dataset: Dataset | None = None,
    threads: int | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
    loggers: Sequence[str] = (),
    note: Callable[[str], None] = say,
    facts: Mapping[str, Any] = MappingProxyType({}),
) -> Summary | None:
    """Train `job` into `folder`, or go on with it, as `runs.driver.drive` promises; `recipe.engine` says on which library.

    Raises:
        StriateError: whatever is the user's to mend.
    """

    def make(setting: Setting, before: Mapping[str, Any]) -> ScratchEngine:
        return ScratchEngine(setting, before.get("threads") or threads or os.cpu_count() or 1)

    return drive(
        job,
        folder,
        make,
        dataset=dataset,
        report=report,
        should_stop=should_stop,
        loggers=loggers,
        note=note,
        facts=facts,
    )
