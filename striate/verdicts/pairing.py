"""Which runs of two arms a verdict is made from, and in which unit their differences are exact."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from striate.verdicts.looks import FEWEST_SEEDS
from striate.verdicts.outcomes import Failures, count_failures
from striate.verdicts.records import ArmResults, Design, Metric


@dataclass(frozen=True)
class Pairing:
    """Two arms, paired by seed. `up_to`: as if only so many of the planned seeds had been run."""

    first: ArmResults
    second: ArmResults
    design: Design
    up_to: int | None = None

    @property
    def arms(self) -> tuple[ArmResults, ArmResults]:
        return self.first, self.second

    @cached_property
    def planned(self) -> tuple[int, ...]:
        """The planned seeds in their order; without a plan, those that both arms have or should have."""
        missing = {seed for arm in self.arms for seed in arm.missing}
        seeds = self.design.seeds or sorted((_outcomes(self.first) & _outcomes(self.second)) | missing)
        return tuple(seeds[: self.up_to])

    @cached_property
    def looks(self) -> tuple[int, ...]:
        """The planned looks, as numbers of seeds; those of fewer than three can give no verdict."""
        looks = self.design.looks or (len(self.design.seeds or self.planned),)
        return tuple(n for n in looks if n >= FEWEST_SEEDS)

    @cached_property
    def taken(self) -> tuple[int, ...]:
        """The looks whose runs have all ended."""
        ended = set(self.ended)
        return tuple(n for n in self.looks if n <= len(self.planned) and ended.issuperset(self.planned[:n]))

    @cached_property
    def ended(self) -> tuple[int, ...]:
        """The seeds with an outcome in both arms: the planned ones in their order, then the others."""
        both = _outcomes(self.first) & _outcomes(self.second)
        others = () if self.up_to is not None else sorted(both - set(self.planned))
        return tuple(seed for seed in (*self.planned, *others) if seed in both)

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """The seeds at which both arms trained."""
        return self.trained(self.ended)

    def trained(self, seeds: Sequence[int]) -> tuple[int, ...]:
        return tuple(seed for seed in seeds if seed in self.first.values and seed in self.second.values)

    @property
    def beyond_plan(self) -> int:
        """How many pairs lie outside the looks that were taken."""
        return len(self.ended) - (self.taken[-1] if self.taken else 0)

    @property
    def left_out(self) -> dict[str, tuple[int, ...]]:
        """The seeds that only one arm has, by arm."""
        if self.up_to is not None:
            return {}
        ended = set(self.ended)
        alone = {arm.arm: tuple(sorted(_outcomes(arm) - ended)) for arm in self.arms}
        return {arm: seeds for arm, seeds in alone.items() if seeds}

    @property
    def missing(self) -> Iterator[tuple[str, str, tuple[int, ...]]]:
        """Arm, state and seeds of the runs that the first look still needs."""
        looks = self.design.looks or (len(self.planned),)
        for arm in self.arms:
            needed = [seed for seed in self.planned[: looks[0]] if seed not in _outcomes(arm)]
            states = {seed: arm.missing.get(seed, "missing") for seed in needed}
            for state in dict.fromkeys(states.values()):
                yield arm.arm, state, tuple(seed for seed in needed if states[seed] == state)

    @property
    def is_on_different_images(self) -> bool:
        digests = [arm.test_digest for arm in self.arms]
        return all(digests) and digests[0] != digests[1] and self.design.metric.on_test_images

    @property
    def failures(self) -> tuple[Failures, Failures]:
        first, second = (count_failures(arm.arm, arm.failures, self.ended) for arm in self.arms)
        return first, second

    @cached_property
    def unit(self) -> "Unit":
        values = [arm.values[seed] for arm in self.arms for seed in self.seeds]
        counts = [arm.test_images for arm in self.arms]
        return Unit.of(self.design.metric, values, counts)

    def differences(self, seeds: Sequence[int]) -> list[float]:
        """First minus second at each of `seeds`, in the exact unit."""
        return [self.unit.exact(self.first.values[seed]) - self.unit.exact(self.second.values[seed]) for seed in seeds]


@dataclass(frozen=True, kw_only=True)
class Unit:
    """The unit in which differences are exact: whole test images where every percentage is of the same number of images,
    logarithms for ratios, else that of the metric."""

    metric: Metric
    images: int  # 0: not in whole images
    step: float  # one test image, the smallest difference that there is; 0: none is known

    @classmethod
    def of(cls, metric: Metric, values: Sequence[float], images: Sequence[int]) -> "Unit":
        """For these values of both arms, measured on these numbers of images."""
        fewest = min(images) if metric.scale == "percent" else 0
        counts = (value * fewest / 100 for value in values)
        if fewest and fewest == max(images) and all(abs(count - round(count)) < 1e-3 for count in counts):
            return cls(metric=metric, images=fewest, step=1.0)
        return cls(metric=metric, images=0, step=100 / fewest if fewest else 0.0)

    def exact(self, value: float) -> float:
        """A value of the metric."""
        if self.images:
            return round(value * self.images / 100)
        return math.log(value) if self.metric.scale == "ratio" else value

    def value(self, exact: float) -> float:
        """The opposite of `exact`."""
        if self.images:
            return exact * 100 / self.images
        return math.exp(exact) if self.metric.scale == "ratio" else exact

    def shown(self, difference: float) -> float:
        """A difference in points, in the unit of the metric, or in percent of a ratio."""
        if self.images:
            return difference * 100 / self.images
        return 100 * math.expm1(difference) if self.metric.scale == "ratio" else difference

    def threshold(self, matters: float) -> float:
        """The smallest difference of interest."""
        if self.images:
            return matters * self.images / 100
        return math.log1p(matters / 100) if self.metric.scale == "ratio" else matters


def _outcomes(arm: ArmResults) -> set[int]:
    return {*arm.values, *arm.failures}
