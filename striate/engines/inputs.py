"""What a run starts from, what its door takes, and what it tells of itself: shared by the driver, the engines and their doors."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypedDict

import numpy as np

from striate.data import Dataset, Splits
from striate.nets.whitening import whitened
from striate.runs.records import Job


@dataclass(frozen=True)
class Progress:
    """Where a run is, several times a second."""

    epoch: int  # that runs, from 1
    epochs: int
    share: float  # of the whole run, 0 to 1
    loss: float | None
    images_per_second: float
    validation_accuracy: float | None  # after the last finished epoch


@dataclass(frozen=True)
class RunInputs:
    """What every engine starts from: the job, its images, their split, and how pixels are normalized."""

    job: Job
    dataset: Dataset
    splits: Splits
    mean: np.ndarray  # of each channel of the training split, in units of 0 to 1
    std: np.ndarray

    @cached_property
    def whitened(self) -> dict[str, np.ndarray]:
        """The initial weights that are made of the training images, by name."""
        data, shape = self.dataset, (self.dataset.channels, self.dataset.height, self.dataset.width)
        images, rows = data.train.images, self.splits.train
        return whitened(self.job.network, shape, len(data.classes), images, rows, self.mean, self.std)


class RunOptions(TypedDict, total=False):
    """What every door of an engine takes beside the job and its folder, and hands to `drive`."""

    dataset: Dataset  # the job's images, where they are loaded already
    threads: int | None  # a resumed run keeps the number that it began with, for the same bits
    report: Callable[[Progress], None]
    should_stop: Callable[[], bool]  # asked before each step
    loggers: Sequence[str]  # that get the numbers too
    note: Callable[[str], None]  # told of a logger that fails; the run goes on without it
    facts: Mapping[str, Any]  # that go into env.json beside the engine's own
