"""Mean, standard deviation and 95 % interval of the values of one arm, as its metric asks for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from striate.verdicts.intervals import Interval, arm_interval, deviation, interval
from striate.verdicts.records import ArmResults, Metric


@dataclass(frozen=True, kw_only=True)
class ArmSummary:
    """Of the runs that trained; None where they are too few."""

    n: int
    mean: float | None
    deviation: float | None
    interval: Interval | None


def summarize(arm: ArmResults, metric: Metric) -> ArmSummary:
    values = list(arm.values.values())
    several = len(values) > 1
    return ArmSummary(
        n=len(values),
        mean=mean_of(values, metric) if values else None,
        deviation=deviation(values) if several else None,
        interval=interval_of(values, metric, arm.test_images) if several else None,
    )


def mean_of(values: Sequence[float], metric: Metric) -> float:
    """The geometric one of times and speeds, as they are judged by ratios."""
    if metric.scale == "ratio":
        return math.exp(math.fsum(map(math.log, values)) / len(values))
    return sum(values) / len(values)


def interval_of(values: Sequence[float], metric: Metric, images: int = 0) -> Interval:
    """The 95 % interval of the mean, of two values or more; `images`: how many a percentage was measured on."""
    if metric.scale == "percent":
        return arm_interval(values, images)
    if metric.scale == "plain":
        return interval(values)
    logs = interval([math.log(value) for value in values])
    mean, low, high = map(math.exp, (logs.mean, logs.low, logs.high))
    return Interval(mean=mean, low=low, high=high, confidence=logs.confidence, n=logs.n)
