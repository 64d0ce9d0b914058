"""What goes into a verdict and what comes out of it, as records. Numbers of any origin can be judged with them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from striate.verdicts.intervals import Interval
from striate.verdicts.outcomes import Failures
from striate.verdicts.seeds_needed import Promise

Label = Literal[
    "not comparable",
    "too few seeds",
    "trains more often",
    "trains less often",
    "no difference that matters",
    "clearly better",
    "clearly worse",
    "better",
    "worse",
    "undecided",
]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """The number of a run that is compared.

    `scale` says what a difference is: of percentages in points; of other numbers in their `unit`; of a time or a speed a
    ratio, shown in percent (+30 % is 1.3 times).
    """

    name: str = "test accuracy"
    scale: Literal["percent", "plain", "ratio"] = "percent"
    unit: str = ""
    lower_is_better: bool = False
    on_test_images: bool = True  # measured on test images, so that it would differ on others


@dataclass(frozen=True, kw_only=True)
class Design:
    """What was decided before the first result, as far as the numbers are concerned."""

    matters: float = 0.5
    """The smallest difference of interest: points, units of the metric, or percent for a ratio."""
    metric: Metric = Metric()
    seeds: tuple[int, ...] = ()
    """The planned seeds in their order; empty: those that the arms have."""
    looks: tuple[int, ...] = ()
    """After how many of the planned seeds results are looked at; empty: once, after all of them."""
    comparisons: int = 0
    """How many comparisons were ever planned, judged or not; 0: those that are judged."""


@dataclass(frozen=True, kw_only=True)
class ArmResults:
    """The metric of one arm by seed, and what else a verdict needs to know of its runs."""

    arm: str
    values: Mapping[int, float]
    """Of the runs that trained; accuracies in percent."""
    failures: Mapping[int, str] = field(default_factory=dict)
    """Runs that ended without training: "diverged", "at chance"; by seed. They are an outcome."""
    missing: Mapping[int, str] = field(default_factory=dict)
    """Runs without an outcome: "missing", "failed" (a crash), "unfinished"; by seed."""
    test_digest: str = ""
    """Arms with equal digests were tested on the same images; "" where that is not known."""
    test_images: int = 0
    """On so many images a percentage was measured; 0: not known, or not a percentage of images."""
    right: Mapping[int, np.ndarray] = field(default_factory=dict, compare=False)
    """By seed: for each test image, in one order for all runs, whether the run is right (bool). Empty: not known."""
    declares_data: bool = False
    """The arm changes the data, so a comparison on different images is intended."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Where the uncertainty of a comparison comes from. Accuracies in points; standard deviations between seeds."""

    first: float
    second: float
    differences: float
    correlation: float | None  # of the pairs
    correlation_interval: tuple[float, float]
    saved: float  # seeds of each arm that unpaired runs would have needed more (negative: pairing cost some)
    one_accuracy: float | None = None  # half a 95 % interval of one accuracy: the sampling error of the test part
    difference_on_new_images: float | None = None  # the same for the difference, from the images on which both differ
    only_first: float | None = None  # test images that only the first gets right, mean over seeds
    only_second: float | None = None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The verdict on one planned comparison, `first - second`. Differences are in points, units, or percent of a ratio."""

    first: str
    second: str
    label: Label
    sentence: str
    matters: float
    metric: Metric = Metric()
    comparisons: int = 1  # whose intervals hold together
    differences: Mapping[int, float] = field(default_factory=dict)  # by seed, of the pairs in which both trained
    interval: Interval | None = None  # of the mean difference; all intervals of a study hold together with 95 %
    new_images: Interval | None = None  # the same for new test images
    new_images_label: Label | None = None
    p: float | None = None  # of the paired t test of this comparison alone, at one look: not corrected
    first_mean: float | None = None  # over the pairs
    second_mean: float | None = None
    failures: tuple[Failures, Failures] | None = None  # of both arms
    looks: tuple[int, ...] = ()  # the planned looks that were taken
    planned_looks: tuple[int, ...] = ()
    beyond_plan: int = 0  # pairs outside the planned looks, which the sequence judges
    is_on_different_images: bool = False  # as the arms declare; the interval has the sampling errors of both
    left_out: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # seeds that only this arm has
    outliers: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # seeds by arm
    promise: Promise | None = None  # of an undecided one
    spread: Spread | None = None
    details: str = ""  # a few sentences: spread, sampling error, correlation and what pairing saved

    @property
    def comparison(self) -> str:
        return f"{self.first} - {self.second}"

    @property
    def more_seeds(self) -> int | None:
        """How many seeds make a verdict certain, if the spread stays within what is assumed; None: not known, or too many."""
        certain = self.promise.certain if self.promise else None
        return None if certain is None else certain - len(self.differences)

    @property
    def band(self) -> tuple[float, float]:
        """The differences that do not matter."""
        low = 100 / (1 + self.matters / 100) - 100 if self.metric.scale == "ratio" else -self.matters
        return low, self.matters

    def __str__(self) -> str:
        return self.sentence
