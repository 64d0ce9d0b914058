"""What a run starts from, which options it takes, and what it reports: shared by the driver and the engines."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self, TypedDict

import numpy as np

from striate.core.errors import TrainingError
from striate.data import Dataset, Splits, is_unequal, mean_std, split
from striate.nets.layers import Shape
from striate.nets.user_code import differences
from striate.nets.whitening import whitening_weights
from striate.recipes import balanced_weights
from striate.runs.records import DataFacts, Job


@dataclass(frozen=True)
class Progress:
    """How far a run is; reported several times a second."""

    epoch: int  # the current one, from 1
    epochs: int
    share: float  # of the whole run, 0 to 1
    loss: float | None
    images_per_second: float
    validation_accuracy: float | None  # after the last epoch that ended


@dataclass(frozen=True)
class RunInputs:
    """What every engine starts from: the job, its images, their split, and how pixels are normalized."""

    job: Job
    dataset: Dataset
    splits: Splits
    mean: np.ndarray  # of each channel of the training split, in units of 0 to 1
    std: np.ndarray

    @classmethod
    def of(cls, job: Job, dataset: Dataset) -> Self:
        """The inputs of a planned run.

        Raises:
            TrainingError: when the images, the initial weights or the code of the user's module changed since the plan.
        """
        if dataset.digest != job.digest:
            raise TrainingError(
                f"the images of '{dataset.name}' are not those that this run was planned with; they changed meanwhile"
            )
        if job.network.weights_digest() != job.weights:
            raise TrainingError(f"the weights in {job.network.pretrained} are not those that this run was planned with")
        if job.code and (changed := differences(job.code, job.network.code())):
            raise TrainingError(
                f"the code of {', '.join(changed)} is not that which this run was planned with; bring it back, or plan again in "
                "another --out"
            )
        splits = split(dataset, job.data.validation, job.seed)
        return cls(job, dataset, splits, *mean_std(dataset.train.images, splits.train))

    @property
    def input_shape(self) -> Shape:
        """Channels, height, width."""
        return self.dataset.channels, self.dataset.height, self.dataset.width

    @property
    def class_count(self) -> int:
        return len(self.dataset.classes)

    def data_facts(self, *, chance: float, **of_test: str) -> DataFacts:
        """What the summary says of the images. `chance` is the accuracy of always predicting the most common class."""
        dataset, copies, sizes = self.dataset, self.splits.validation_copies, self.dataset.class_sizes
        return DataFacts(
            name=dataset.name,
            classes=tuple(dataset.classes),
            train=self.splits.size("train"),
            validation=self.splits.size("validation"),
            test=dataset.test_size,
            shape=self.input_shape,
            mean=tuple(self.mean.tolist()),
            std=tuple(self.std.tolist()),
            notes=tuple(dataset.notes),
            digest=dataset.digest,
            chance=chance,
            **({"class_sizes": tuple(sizes.tolist())} if is_unequal(sizes) else {}),
            **({"bits": dataset.bits} if dataset.bits else {}),
            **({"validation_copies": copies} if copies else {}),
            **of_test,
        )

    @cached_property
    def class_weights(self) -> np.ndarray | None:
        """The weight of each class in the training loss, float32; None where all images weigh the same."""
        if self.job.recipe.class_weights == "none":
            return None
        labels = self.dataset.train.labels[self.splits.train]
        counts = np.bincount(labels, minlength=self.class_count)
        return np.array(balanced_weights(counts.tolist()), np.float32)

    @cached_property
    def whitened(self) -> dict[str, np.ndarray]:
        """The initial weights that are computed from the training images, by name."""
        images, rows = self.dataset.train.images, self.splits.train
        return whitening_weights(
            self.job.network, self.input_shape, self.class_count, images, rows, self.mean, self.std
        )


class RunOptions(TypedDict, total=False):
    """The options of a run that decide none of its numbers, except the last bits (`threads`)."""

    dataset: Dataset | None  # the job's images, if they are loaded already
    threads: int | None  # a resumed run keeps the number that it began with, for the same bits
    report: Callable[[Progress], None]
    should_stop: Callable[[], bool]  # asked before each step
    loggers: Sequence[str]
    note: Callable[[str], None]  # gets a sentence about each logger that fails; the run continues without it
    runs_at_once: int | None  # on this machine, for env.json
