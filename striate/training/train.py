"""The one door of the torch engine: a job and a folder in, a finished run folder out."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from striate.data import Dataset
from striate.runs import Job, Summary
from striate.runs.driver import Progress, Setting, drive
from striate.training.device import choose, own_random_numbers, prepare
from striate.training.engine import TorchEngine


def train(
    job: Job,
    folder: Path,
    *,
    dataset: Dataset | None = None,
    device: str = "auto",
    threads: int | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Summary | None:
    """Train `job` into `folder`, or go on with it, as `runs.driver.drive` promises.

    A resumed run keeps the number of threads that it began with, for the same bits.

    Raises:
        TrainingError: when the device is not there, the images changed, or a batch does not fit into memory.
        StriateError: whatever else is the user's to mend.
    """

    def make(setting: Setting, before: Mapping[str, Any]) -> TorchEngine:
        setup = choose(job.recipe, device, before.get("threads") or threads)
        prepare(setup)
        return TorchEngine(setting, setup)

    with own_random_numbers(device):
        return drive(job, folder, make, dataset=dataset, report=report, should_stop=should_stop)
