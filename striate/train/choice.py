"""Which network is the classifier: the arm and the seed that are best on validation. The test part takes no part in it."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from striate.core.errors import StudyError
from striate.runs import Run, layout
from striate.studies.results import Results
from striate.studies.rows import RunRow
from striate.verdicts.intervals import rate_bounds

BALANCED = "balanced accuracy"


@dataclass(frozen=True)
class ClassScore:
    """What a network makes of the test images of one class, or of all."""

    name: str
    right: int
    images: int

    @property
    def percent(self) -> float | None:
        return 100 * self.right / self.images if self.images else None

    @property
    def interval(self) -> tuple[float, float]:
        """Of 95 %, in percent: what other images of the same origin may give."""
        low, high = rate_bounds(self.right, self.images)
        return 100 * low, 100 * high

    def __str__(self) -> str:
        if not self.images:
            return "no test images"
        low, high = self.interval
        return f"{self.percent:.1f} % ({self.right:,} of {self.images:,}; 95 % interval {low:.1f} to {high:.1f} %)"


@dataclass(frozen=True)
class Choice:
    """The chosen run, and by what."""

    arm: str
    run: Run
    validation: Mapping[str, float]  # of each arm that finished: percent, mean over its seeds
    seeds: Mapping[str, int]  # of each arm that finished
    metric: str  # of validation
    overall: ClassScore  # on the test part
    classes: tuple[ClassScore, ...]

    @property
    def sentence(self) -> str:
        """What was chosen and by which numbers."""
        others = ", ".join(f"{arm} {value:.1f} %" for arm, value in self.validation.items() if arm != self.arm)
        against = f", {others}" if others else ""
        seeds = self.seeds[self.arm]
        mean = f"mean of {seeds} seeds" if seeds > 1 else "1 seed"
        return (
            f"Chosen on validation: {self.arm} ({self.metric} {self.validation[self.arm]:.1f} %, {mean}{against}); "
            f"of its seeds, {self.run.seed}."
        )


def choose(results: Results) -> Choice:
    """The best arm by the mean over its finished seeds, and of these the best; where scores are equal, the lower loss.

    Raises:
        StudyError: when no run has finished.
    """
    is_balanced = results.study.metric == BALANCED
    finished = {
        arm.name: [row for row in results.of(arm.name) if row.state == "finished" and row.summary]
        for arm in results.arms
    }
    scores = {arm: [_score(row, is_balanced) for row in rows] for arm, rows in finished.items() if rows}
    if not scores:
        raise StudyError(f"{results.folder}: no run has finished, so there is nothing to choose from")
    means = {
        arm: (statistics.fmean(a for a, _ in each), statistics.fmean(b for _, b in each))
        for arm, each in scores.items()
    }
    arm = max(means, key=means.__getitem__)
    row = max(finished[arm], key=lambda row: _score(row, is_balanced))
    assert row.run
    overall, classes = test_scores(row.run)
    return Choice(
        arm=arm,
        run=row.run,
        validation={name: 100 * mean for name, (mean, _) in means.items()},
        seeds={name: len(each) for name, each in scores.items()},
        metric="balanced accuracy" if is_balanced else "accuracy",
        overall=overall,
        classes=classes,
    )


def _score(row: RunRow, is_balanced: bool) -> tuple[float, float]:
    """The share of right validation images, or the mean of the classes' shares; then minus the loss."""
    summary = row.summary
    assert summary
    share = summary.validation_accuracy or 0.0
    if is_balanced and summary.validation and summary.validation.balanced_accuracy is not None:
        share = summary.validation.balanced_accuracy
    return share, -(summary.validation_loss if summary.validation_loss is not None else float("inf"))


def test_scores(run: Run) -> tuple[ClassScore, tuple[ClassScore, ...]]:
    """Of a finished run, from its own predictions: all test images, and those of each class."""
    facts = run.summary.data if run.summary else None
    assert facts
    with np.load(run.folder / layout.PREDICTIONS) as arrays:
        logits, labels = arrays["test_logits"], arrays["test_labels"]
    is_right = (logits.argmax(1) == labels) & np.isfinite(logits).all(1)
    classes = tuple(
        ClassScore(name, int(is_right[labels == index].sum()), int((labels == index).sum()))
        for index, name in enumerate(facts.classes)
    )
    return ClassScore("all", int(is_right.sum()), len(labels)), classes
