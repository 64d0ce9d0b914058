"""The one door of the engine from scratch: a job and a folder in, a finished run folder out. As torch's own door."""

import os
from pathlib import Path
from typing import Unpack

from striate.runs import Job, Summary
from striate.runs.driver import drive
from striate.runs.setting import Setting, Settings
from striate.scratch.engine import ScratchEngine


def train(job: Job, folder: Path, **settings: Unpack[Settings]) -> Summary | None:
    """Train `job` into `folder`, or go on with it, as `runs.driver.drive` promises; `recipe.engine` says on which library.

    Raises:
        StriateError: whatever is the user's to mend.
    """

    def make(setting: Setting, threads: int | None) -> ScratchEngine:
        return ScratchEngine(setting, threads or os.cpu_count() or 1)

    return drive(job, folder, make, **settings)
