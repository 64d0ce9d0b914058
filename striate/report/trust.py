"""How far the numbers can be trusted: calibration, and how much the answers differ from seed to seed."""

import itertools
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from striate.report.answers import StudyAnswers
from striate.report.figures import arm_accuracy
from striate.report.wording import NONE, Table, abbreviated, percent, plain
from striate.runs.predictions import Answers

BINS = 10  # of confidence
FEWEST_IN_BIN = 20  # answers, for a point of the curve


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationCurve:
    """(mean confidence, accuracy), in percent, of each bin with enough answers, over all runs of an arm."""

    arm: str
    index: int  # in the study
    points: tuple[tuple[float, float], ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationFigure:
    title: str
    caption: str
    curves: tuple[CalibrationCurve, ...]
    table: Table


def calibration(answers: StudyAnswers) -> CalibrationFigure | None:
    """Of the baseline and the best other arm; None where no run has its answers."""
    order = [arm.name for arm in answers.results.arms]
    curves = tuple(
        _curve(arm, order.index(arm), list(found.values())) for arm in answers.pair if (found := answers.of(arm))
    )
    curves = tuple(curve for curve in curves if curve.points)
    if not curves:
        return None
    return CalibrationFigure(
        title=_title(curves[-1]),
        caption=(
            "Accuracy of the answers against their confidence (the probability that the network gives its answer), in percent, over all "
            f"runs that trained, in bins of {100 // BINS} points with at least {FEWEST_IN_BIN} answers. On the diagonal, confidence "
            "is what it says; below it, the network is too sure."
        ),
        curves=curves,
        table=_table(curves),
    )


def stability(answers: StudyAnswers) -> Table:
    """A row for each arm: spread between seeds, calibration error, and how many answers change with the seed."""
    rows = []
    for arm in answers.results.arms:
        accuracy = arm_accuracy(answers.results, arm.name)
        errors = [
            row.summary.test.calibration_error
            for row in answers.results.of(arm.name)
            if row.trained and row.summary and row.summary.test and row.summary.test.calibration_error is not None
        ]
        found = list(answers.of(arm.name).values())
        confidence = fmean(float(a.confidence.mean()) for a in found) if found else None
        rows.append(
            (
                arm.name,
                percent(accuracy.mean),
                plain(accuracy.standard_deviation, 2),
                percent(100 * confidence) if confidence is not None else NONE,
                plain(100 * fmean(errors)) if errors else NONE,
                _changed(found),
            )
        )
    head = (
        "arm", "mean test accuracy", "standard deviation between seeds", "mean confidence", "calibration error (points)",
        "answers that change with the seed",
    )  # fmt: skip
    return Table(head=head, rows=tuple(rows))


def _changed(found: list[Answers]) -> str:
    """The mean share of test images to which two runs answer differently."""
    if len(found) < 2:
        return NONE
    shares = [float((a.predicted != b.predicted).mean()) for a, b in itertools.combinations(found, 2)]
    return percent(100 * fmean(shares))


def _curve(arm: str, index: int, found: list[Answers]) -> CalibrationCurve:
    confidence = np.concatenate([answers.confidence for answers in found]).astype(np.float64)
    right = np.concatenate([answers.right for answers in found])
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    points, counts = [], []
    for k in range(BINS):
        inside = bins == k
        if (n := int(inside.sum())) >= FEWEST_IN_BIN:
            points.append((100 * float(confidence[inside].mean()), 100 * float(right[inside].mean())))
            counts.append(n)
    return CalibrationCurve(arm=arm, index=index, points=tuple(points), counts=tuple(counts))


def _title(curve: CalibrationCurve) -> str:
    total = sum(curve.counts)
    gap = sum(n * (x - y) for n, (x, y) in zip(curve.counts, curve.points, strict=True)) / total
    if abs(gap) < 0.5:
        return f"The confidence of {abbreviated(curve.arm)} is, on average, its accuracy"
    word = "above" if gap > 0 else "below"
    return f"The confidence of {abbreviated(curve.arm)} is, on average, {plain(abs(gap))} points {word} its accuracy"


def _table(curves: tuple[CalibrationCurve, ...]) -> Table:
    rows = tuple(
        (curve.arm, plain(x), plain(y), str(n))
        for curve in curves
        for (x, y), n in zip(curve.points, curve.counts, strict=True)
    )
    return Table(head=("arm", "mean confidence", "accuracy", "answers"), rows=rows)
