"""The runs of a study as rows, and what a verdict needs to know of those of one arm."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from striate.runs import DataFacts, Run, Summary
from striate.runs.predictions import answers_of
from striate.studies.metrics import CLASS, RunMetric, is_of_images
from striate.studies.study import Arm
from striate.verdicts import ArmResults
from striate.verdicts.outcomes import is_at_chance


@dataclass(frozen=True, repr=False)
class RunRow:
    """One run of the plan; `run` is None where nothing of it is in the folder."""

    arm: str
    seed: int
    run: Run | None

    def __repr__(self) -> str:
        accuracy = "" if self.test_accuracy is None else f", {self.test_accuracy:.2f} % test accuracy"
        return f"<RunRow {self.arm} seed {self.seed}: {self.state}{accuracy}>"

    @property
    def state(self) -> str:
        """finished, diverged, failed, unfinished or missing."""
        return self.run.state if self.run else "missing"

    @property
    def is_result(self) -> bool:
        return self.run is not None and self.run.is_result

    @property
    def summary(self) -> Summary | None:
        """How the run ended; None while it has not."""
        return self.run.summary if self.run else None

    @property
    def data(self) -> DataFacts | None:
        """The images that the run used; None where it did not come so far."""
        return self.summary.data if self.summary else None

    @property
    def reason(self) -> str:
        """Why the run failed or diverged, or why it may have stayed at chance."""
        return self.summary.reason if self.summary else ""

    @cached_property
    def is_at_chance(self) -> bool:
        """Whether it finished, and tells the classes apart no better than a guess, on all validation and test images."""
        summary = self.summary
        if summary is None or summary.state != "finished":
            return False
        tables = [scores.confusion for scores in (summary.validation, summary.test) if scores and scores.confusion]
        if not tables:
            return summary.at_chance
        return is_at_chance([[sum(cells) for cells in zip(*rows, strict=True)] for rows in zip(*tables, strict=True)])

    @property
    def failure(self) -> Literal["", "diverged", "at chance"]:
        """How the run ended without learning; empty where it learned, or has not ended."""
        if self.state == "diverged":
            return "diverged"
        return "at chance" if self.is_at_chance else ""

    @property
    def trained(self) -> bool:
        """Whether it finished and learned something: its accuracy takes part in verdicts and means."""
        return self.state == "finished" and not self.is_at_chance

    @property
    def epochs_done(self) -> int:
        return len(self.run.metrics) if self.run else 0

    @property
    def test_accuracy(self) -> float | None:
        """In percent. Where the run diverged, that of a guess: the share of the commonest class."""
        if self.summary is None:
            return None
        share = self.summary.test_accuracy
        if self.state == "diverged":
            data = self.summary.data
            share = 1 / self.summary.classes if data is None or data.chance is None else data.chance
        return None if share is None else 100 * share

    @property
    def class_accuracies(self) -> tuple[float | None, ...]:
        """Of the test images of each class, in percent; None for a class without any. Empty without a result."""
        scores = self.summary.test if self.summary else None
        return tuple(None if share is None else 100 * share for share in scores.per_class) if scores else ()

    @property
    def balanced_accuracy(self) -> float | None:
        """The mean test accuracy of the classes, in percent: each counts alike, however large it is."""
        known = [accuracy for accuracy in self.class_accuracies if accuracy is not None]
        return sum(known) / len(known) if known else None

    @property
    def validation_accuracy(self) -> float | None:
        """In percent, at the best epoch by validation."""
        share = self.summary.validation_accuracy if self.summary else None
        return None if share is None else 100 * share


def measured(arm: Arm, rows: Sequence[RunRow], metric: RunMetric, *, with_images: bool = True) -> ArmResults:
    """What a verdict needs to know of the runs of `arm`. `with_images`: also which test images each run is right about."""
    values: dict[int, float] = {}
    failures: dict[int, str] = {}
    for row in rows:
        if row.failure == "diverged" or (row.failure and metric.is_score):
            failures[row.seed] = row.failure
        elif row.state == "finished" and row.summary and row.run:
            value = metric.read(row.summary, row.run.metrics)
            if value is not None:
                values[row.seed] = value
            elif metric.never:
                failures[row.seed] = metric.never
    finished = [row.summary for row in rows if row.summary and row.state == "finished"]
    return ArmResults(
        arm=arm.name,
        values=values,
        failures=failures,
        missing={
            row.seed: _missing(row, metric) for row in rows if row.seed not in values and row.seed not in failures
        },
        test_images=min((metric.counted(summary) for summary in finished), default=0),
        declares_data=any(key.split(".")[0] == "data" for key in arm.changes),
        test_digest=" ".join(sorted({summary.data.test_digest for summary in finished if summary.data})),
        right=_right(rows, metric) if with_images else {},
    )


def _missing(row: RunRow, metric: RunMetric) -> str:
    return f"without {metric.metric.name}" if row.state == "finished" else row.state


def _right(rows: Sequence[RunRow], metric: RunMetric) -> dict[int, np.ndarray]:
    """For each run that trained, which test images it is right about, as far as the metric counts them."""
    of_class = CLASS.fullmatch(metric.metric.name)
    if not is_of_images(metric.metric.name):
        return {}
    right = {}
    for row in rows:
        answers = answers_of(row.run) if row.run and row.trained else None
        if answers:
            classes = row.data.classes if row.data else ()
            kept = answers.labels == classes.index(of_class[1]) if of_class and of_class[1] in classes else slice(None)
            right[row.seed] = answers.right[kept]
    return right
