"""A metric on the page: its values and differences with their units, and the titles of axes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from striate.report.wording import MINUS, NONE, between_signed, percent, plain, signed
from striate.studies.metrics import run_metric
from striate.studies.results import Results
from striate.verdicts import Metric, Verdict
from striate.verdicts.intervals import Interval
from striate.verdicts.summaries import interval_of, mean_of
from striate.verdicts.wording import digits_for, value

_TEST_ACCURACY = Metric()


def metric_words(results: Results) -> "MetricWords":
    """Of the metric that a study judges."""
    return words_for(run_metric(results.study.metric).metric, results.study.matters)


def words_for(metric: Metric, matters: float) -> "MetricWords":
    """Digits follow what matters; a ratio has one decimal of a percent."""
    return MetricWords(metric=metric, digits=1 if metric.scale == "ratio" else digits_for(matters))


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricWords:
    """How a page writes numbers of `metric`, with so many decimals (tables have one more)."""

    metric: Metric = _TEST_ACCURACY
    digits: int = 1

    @property
    def name(self) -> str:
        return self.metric.name

    @property
    def counts_images(self) -> bool:
        """Whether a value is a share of test images."""
        return self.metric.on_test_images and self.metric.scale == "percent" and not self.metric.lower_is_better

    @property
    def title(self) -> str:
        """The name, as a sentence begins."""
        return self.name[:1].upper() + self.name[1:]

    @property
    def in_unit(self) -> str:
        """`in percent`; empty where the unit is not known."""
        unit = "percent" if self.metric.scale == "percent" else self.metric.unit
        return f" in {unit}" if unit else ""

    @property
    def axis(self) -> str:
        unit = "%" if self.metric.scale == "percent" else self.metric.unit
        return f"{self.name} ({unit})" if unit else self.name

    @property
    def difference_axis(self) -> str:
        unit = {"percent": "points", "ratio": "%", "plain": self.metric.unit}[self.metric.scale]
        return f"difference of {self.name} ({unit})" if unit else f"difference of {self.name}"

    @property
    def difference_unit(self) -> str:
        """`in percentage points`, after the word difference."""
        names = {
            "percent": "percentage points",
            "ratio": "percent (a ratio: +30 % is 1.3 times)",
            "plain": self.metric.unit,
        }
        name = names[self.metric.scale]
        return f" in {name}" if name else ""

    def size(self, amount: float, text: str = "") -> str:
        """An amount that a difference has, without sign: 0.5 points; `text`: the number as it is to be written."""
        unit = {"percent": " points", "ratio": " %", "plain": f" {self.metric.unit}".rstrip()}[self.metric.scale]
        return f"{text or plain(amount, self.digits)}{unit}"

    def value(self, number: float | None) -> str:
        """A value with its unit."""
        if number is None:
            return NONE
        if self.metric.scale == "percent":
            return percent(number, self.digits)
        return value(number, self.metric, self.digits).replace("-", MINUS)

    def cell(self, number: float | None) -> str:
        """A value in a table of values."""
        if number is not None and self.metric.scale == "ratio":
            return _significant(number, 4)
        return plain(number, self.digits + 1)

    def difference(self, number: float | None) -> str:
        """With its sign, as its axis has it."""
        return signed(number, self.digits)

    def difference_of(self, first: float, second: float) -> float:
        """Of two means, as `difference` writes it."""
        return 100 * (first / second - 1) if self.metric.scale == "ratio" else first - second

    def between(self, limits: Interval) -> str:
        if self.metric.scale == "ratio":
            return f"{_significant(limits.low, 3)} to {_significant(limits.high, 3)}"
        return f"{plain(limits.low, self.digits)} to {plain(limits.high, self.digits)}"

    def between_cells(self, limits: Interval) -> str:
        return f"{self.cell(limits.low)} to {self.cell(limits.high)}"

    def between_differences(self, limits: Interval) -> str:
        return between_signed(limits.low, limits.high, self.digits)

    @property
    def limits(self) -> tuple[float, float]:
        """Beyond which no value can lie."""
        return (0.0, 100.0) if self.metric.scale == "percent" else (-math.inf, math.inf)

    def mean(self, values: Sequence[float]) -> float:
        return mean_of(values, self.metric)

    def interval(self, values: Sequence[float], images: int = 0) -> Interval:
        return interval_of(values, self.metric, images)

    @property
    def interval_name(self) -> str:
        """How an arm's interval is computed."""
        names = {
            "percent": "Wilson's, with the variance that the seeds show",
            "plain": "Student's t",
            "ratio": "Student's t of the logarithms",
        }
        return names[self.metric.scale]

    def mean_difference(self, verdict: Verdict) -> float:
        """Over the pairs; that of ratios is geometric."""
        if verdict.interval:
            return verdict.interval.mean
        values = list(verdict.differences.values())
        if self.metric.scale == "ratio":
            return 100 * math.expm1(math.fsum(math.log1p(value / 100) for value in values) / len(values))
        return sum(values) / len(values)


def _significant(number: float, digits: int) -> str:
    """With so many significant digits, and all those before the point: 4,490 and not 4.49e+03."""
    return f"{number:,.0f}" if abs(number) >= 10**digits - 0.5 else f"{number:.{digits}g}"
