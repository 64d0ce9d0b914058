"""What goes into a verdict and what comes out of it, as records. Numbers of any origin can be judged with them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from striate.verdicts.intervals import Interval

Label = Literal[
    "not comparable",
    "too few seeds",
    "no difference that matters",
    "clearly better",
    "clearly worse",
    "better",
    "worse",
    "undecided",
]

FEWEST_SEEDS = 3


@dataclass(frozen=True, kw_only=True)
class ArmResults:
    """The test accuracies of one arm in percent, by seed, and what can make it impossible to compare."""

    arm: str
    accuracy: Mapping[int, float]
    missing: Mapping[int, str] = field(default_factory=dict)  # the state of each run without an accuracy, by seed
    diverged: int = 0  # runs
    at_chance: int = 0  # runs
    test_digest: str = ""  # arms with equal digests were tested on the same images; "" when no run has been tested
    test_images: int = 0
    declares_data: bool = False  # the arm changes the data, so a comparison of different images is intended


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The verdict on one planned comparison, `first - second`. Differences are in points of test accuracy."""

    first: str
    second: str
    label: Label
    sentence: str
    matters: float
    differences: Mapping[int, float]  # by seed
    interval: Interval | None = None  # of the mean difference
    p: float | None = None
    first_mean: float | None = None  # accuracies in percent, over the seeds of both arms
    second_mean: float | None = None
    more_seeds: int | None = None  # that would narrow an undecided interval to +-matters; None: not known, or too many

    @property
    def comparison(self) -> str:
        return f"{self.first} - {self.second}"

    def __str__(self) -> str:
        return self.sentence
