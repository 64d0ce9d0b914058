"""The answers of all runs to the test images, and the two arms that a page looks at more closely."""

from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from striate.report.wording import abbreviated, count
from striate.runs.predictions import Answers, answers_of
from striate.studies.results import Results


@dataclass(frozen=True)
class StudyAnswers:
    """What the runs that trained answer, by arm and seed. Files are read once, and arms only when they are asked for."""

    results: Results

    @cached_property
    def _cache(self) -> dict[str, dict[int, Answers]]:
        return {}

    def of(self, arm: str) -> dict[int, Answers]:
        """By seed; only runs on the same test images as the first of them."""
        if arm not in self._cache:
            found = {
                row.seed: answers
                for row in self.results.of(arm)
                if row.trained and row.run and (answers := answers_of(row.run))
            }
            first = next(iter(found.values()), None)
            self._cache[arm] = {
                seed: a for seed, a in found.items() if first and np.array_equal(a.labels, first.labels)
            }
        return self._cache[arm]

    @cached_property
    def pair(self) -> tuple[str, ...]:
        """The baseline and the best other arm by mean test accuracy; one arm, or none, where there are no more results.

        The baseline is the second arm of the first planned comparison, or the first arm of the study.
        """
        means = {arm.name: accuracy for arm in self.results.arms if (accuracy := mean_accuracy(self.results, arm.name))}
        planned = [comparison.second for comparison in self.results.study.comparisons]
        baseline = next((name for name in [*planned, *means] if name in means), None)
        if baseline is None:
            return ()
        others = [name for name in means if name != baseline]
        return (baseline, max(others, key=lambda name: means[name])) if others else (baseline,)

    @property
    def pair_in_words(self) -> str:
        """How the pair was chosen."""
        if len(self.pair) < 2:
            return ""
        rule = "the second arm of the first planned comparison" if self.results.study.comparisons else "the first arm"
        others = len(self.results.arms) - 1
        best = (
            f", {abbreviated(self.pair[1])} the best of {count(others, 'other arm')} by mean test accuracy"
            if others > 1
            else ""
        )
        return f"{abbreviated(self.pair[0])} is the baseline ({rule}){best}."


def mean_accuracy(results: Results, arm: str) -> float | None:
    """In percent, over the runs that trained."""
    values = [row.test_accuracy for row in results.of(arm) if row.trained and row.test_accuracy is not None]
    return fmean(values) if values else None


def confusion(results: Results, arm: str) -> NDArray[np.int64] | None:
    """[i][j]: test images of class i called j, summed over the runs that trained; None where no run has recorded it."""
    tables = [
        np.array(row.summary.test.confusion)
        for row in results.of(arm)
        if row.trained and row.summary and row.summary.test and row.summary.test.confusion
    ]
    same = [table for table in tables if table.shape == tables[0].shape]
    return np.sum(same, axis=0) if same else None


def class_accuracies(results: Results, arm: str) -> NDArray[np.float64] | None:
    """(runs, classes) in percent; a class without images is NaN."""
    rows = [
        [np.nan if share is None else 100 * share for share in row.summary.test.per_class]
        for row in results.of(arm)
        if row.trained and row.summary and row.summary.test and row.summary.test.per_class
    ]
    same = [row for row in rows if len(row) == len(rows[0])]
    return np.array(same, dtype=np.float64) if same else None


def class_names(results: Results) -> tuple[str, ...]:
    """Of the first run that recorded its data."""
    return next((row.data.classes for row in results.rows if row.data and row.data.classes), ())
