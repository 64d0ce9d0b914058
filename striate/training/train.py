"""The one door of the torch engine: a job and a folder in, a finished run folder out."""

from pathlib import Path
from typing import Unpack

from striate.runs import Job, Summary
from striate.runs.driver import drive
from striate.runs.setting import Setting, Settings
from striate.training.device import choose, own_random_numbers, prepare
from striate.training.engine import TorchEngine


def train(job: Job, folder: Path, *, device: str = "auto", **settings: Unpack[Settings]) -> Summary | None:
    """Train `job` into `folder`, or go on with it, as `runs.driver.drive` promises.

    Raises:
        TrainingError: when the device is not there, the images changed, or a batch does not fit into memory.
        StriateError: whatever else is the user's to mend.
    """

    def make(setting: Setting, threads: int | None) -> TorchEngine:
        setup = choose(job.recipe, device, threads)
        prepare(setup)
        return TorchEngine(setting, setup)

    with own_random_numbers(device):
        return drive(job, folder, make, **settings)
