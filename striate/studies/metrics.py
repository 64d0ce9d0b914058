"""The numbers of a run that a study may compare: `metric:` of a study file, from a run's summary and epochs.

Accuracies are compared in points, losses in their own unit, times and speeds as ratios.
"""

import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from striate.core.config import suggest
from striate.core.errors import ConfigError
from striate.runs import EpochRow, Summary
from striate.verdicts import Metric

TEST_ACCURACY = "test accuracy"
CLASS = re.compile(r"accuracy of (.+)")
TARGET = re.compile(r"(epochs|seconds) to (\d+(?:\.\d+)?) %")


@dataclass(frozen=True)
class RunMetric:
    """A metric, and how to get it from a run that finished. `read` gives None where the run never had it."""

    metric: Metric
    read: Callable[[Summary, Sequence[EpochRow]], float | None]
    never: str = ""  # the outcome of a run that finished and has none
    is_score: bool = True  # it says how well a run learned, so it is of no use for one that stayed at chance
    counted: Callable[[Summary], int] = lambda summary: 0  # test images whose right answers a percentage counts


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _test_balanced(summary: Summary, rows: Sequence[EpochRow]) -> float | None:
    """The mean of the accuracies of the classes."""
    shares = [share for share in summary.test.per_class if share is not None] if summary.test else []
    return 100 * statistics.fmean(shares) if shares else None


_KNOWN = {
    TEST_ACCURACY: RunMetric(
        Metric(name=TEST_ACCURACY),
        lambda summary, rows: _percent(summary.test_accuracy),
        counted=lambda summary: summary.test_images,
    ),
    "balanced accuracy": RunMetric(
        Metric(name="balanced accuracy"), _test_balanced, counted=lambda summary: summary.test_images
    ),
    "top-5 accuracy": RunMetric(
        Metric(name="top-5 accuracy"),
        lambda summary, rows: _percent(summary.test.top5 if summary.test else None),
        counted=lambda summary: summary.test_images,
    ),
    "validation accuracy": RunMetric(
        Metric(name="validation accuracy", on_test_images=False),
        lambda summary, rows: _percent(summary.validation_accuracy),
    ),
    "test loss": RunMetric(
        Metric(name="test loss", scale="plain", lower_is_better=True), lambda summary, rows: summary.test_loss
    ),
    "calibration error": RunMetric(
        Metric(name="calibration error", lower_is_better=True),
        lambda summary, rows: _percent(summary.test.calibration_error if summary.test else None),
    ),
    "training time": RunMetric(
        Metric(name="training time", scale="ratio", unit="s", lower_is_better=True, on_test_images=False),
        lambda summary, rows: summary.seconds or None,
        is_score=False,
    ),
    "images a second": RunMetric(
        Metric(name="images a second", scale="ratio", on_test_images=False),
        lambda summary, rows: _median([row.images_per_second for row in rows if row.images_per_second]),
        is_score=False,
    ),
}
_PATTERNS = ("accuracy of CLASS", "epochs to 90 %", "seconds to 90 %")


def run_metric(name: str) -> RunMetric:
    """The metric called `name`.

    Raises:
        ConfigError: for an unknown name.
    """
    if name in _KNOWN:
        return _KNOWN[name]
    if match := TARGET.fullmatch(name):
        return _target(name, match[1], float(match[2]))
    if match := CLASS.fullmatch(name):
        return _of_class(name, match[1])
    raise ConfigError(f"must be a number of a run, got '{name}'; {suggest(name, (*_KNOWN, *_PATTERNS))}")


def is_of_images(name: str) -> bool:
    """Whether the metric counts test images one by one, so that what holds on new ones can be computed."""
    return name == TEST_ACCURACY or CLASS.fullmatch(name) is not None


def _target(name: str, unit: str, percent: float) -> RunMetric:
    """How long a run took to a validation accuracy; both are known at the ends of epochs."""

    def first(summary: Summary, rows: Sequence[EpochRow]) -> float | None:
        for row in rows:
            if row.validation_accuracy is not None and 100 * row.validation_accuracy >= percent:
                return float(row.epoch) if unit == "epochs" else row.seconds or None
        return None

    metric = Metric(
        name=f"{unit} to {percent:g} %",
        scale="ratio",
        unit=unit if unit == "epochs" else "s",
        lower_is_better=True,
        on_test_images=False,
    )
    return RunMetric(metric, first, never=f"never reached {percent:g} %")


def _of_class(name: str, class_name: str) -> RunMetric:
    def index(summary: Summary) -> int | None:
        classes = summary.data.classes if summary.data else ()
        return classes.index(class_name) if class_name in classes else None

    def share(summary: Summary, rows: Sequence[EpochRow]) -> float | None:
        row = index(summary)
        return None if row is None or not summary.test else _percent(summary.test.per_class[row])

    def count(summary: Summary) -> int:
        row = index(summary)
        return sum(summary.test.confusion[row]) if row is not None and summary.test and summary.test.confusion else 0

    return RunMetric(Metric(name=name), share, counted=count)


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None
