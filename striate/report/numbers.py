"""The numbers of each figure as rows for a CSV file: unrounded, one value a cell, so that others can draw them again."""

import csv
import io
import itertools
from dataclasses import dataclass

from striate.report.classes import ClassesFigure, ConfusionFigure
from striate.report.costs import CostFigure
from striate.report.curves import Panel
from striate.report.figures import AccuraciesFigure, DifferencesFigure, mean_difference
from striate.report.kinds import HeatMap, ScaleFigure
from striate.report.trust import CalibrationFigure
from striate.report.wording import one_line

Cell = str | int | float | bool | None
Row = tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Numbers:
    """A table of values."""

    head: tuple[str, ...]
    rows: tuple[Row, ...]

    def as_csv(self) -> str:
        """With lines that end in a line feed; what is not known is empty."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([one_line(name) for name in self.head])
        writer.writerows([_cell(item) for item in row] for row in self.rows)
        return text.getvalue()


def of_accuracies(figure: AccuraciesFigure) -> Numbers:
    """A row for each run, with the mean and interval of its arm."""
    rows = []
    for arm in figure.arms:
        ends = (arm.interval.low, arm.interval.high) if arm.interval else (None, None)
        rows += [(arm.arm, p.seed, p.value, p.trained, arm.mean, arm.standard_deviation, *ends) for p in arm.points]
    name = figure.words.name
    head = ("arm", "seed", name, "trained", "mean of arm", "standard deviation of arm", "low of arm", "high of arm")
    return Numbers(head=head, rows=tuple(rows))


def of_differences(figure: DifferencesFigure) -> Numbers:
    """A row for each pair of runs, with the mean, interval and verdict of its comparison."""
    rows: list[Row] = []
    for v in figure.verdicts:
        ends = (v.interval.low, v.interval.high) if v.interval else (None, None)
        facts = (mean_difference(v), *ends, v.label, v.matters)
        rows += [(v.first, v.second, seed, difference, *facts) for seed, difference in v.differences.items()]
    head = (
        "first",
        "second",
        "seed",
        f"difference of {figure.words.name}",
        "mean",
        "low",
        "high",
        "verdict",
        "matters",
    )
    return Numbers(head=head, rows=tuple(rows))


def of_curves(panel: Panel) -> Numbers:
    """A row for each run and epoch, and one for the mean of the arm at each epoch, without a seed."""
    rows: list[Row] = []
    for curve in panel.arms:
        rows += [(curve.arm, run.seed, epoch, y, None, None) for run in curve.lines for epoch, y in run.points]
        rows += [(curve.arm, None, m.epoch, m.mean, m.low, m.high) for m in curve.means]
    name = f"{panel.name} in percent" if panel.unit else panel.name
    return Numbers(head=("arm", "seed", "epoch", name, "low of mean", "high of mean"), rows=tuple(rows))


def of_cost(figure: CostFigure) -> Numbers:
    rows = [(a.arm, a.accuracy, a.low, a.high, a.seconds, a.parameters, a.macs, a.speed) for a in figure.arms]
    head = ("arm", "test accuracy", "low", "high", "seconds", "parameters", "multiply-adds an image", "images a second")
    return Numbers(head=head, rows=tuple(rows))


def of_classes(figure: ClassesFigure) -> Numbers:
    rows = [(c.name, *c.values, c.difference if len(c.values) > 1 else None, c.low, c.high) for c in figure.classes]
    return Numbers(head=("class", *figure.arms, "difference", "low", "high"), rows=tuple(rows))


def of_confusion(figure: ConfusionFigure) -> Numbers:
    """Counts, summed over the runs of each arm."""
    tables = figure.counts
    rows: list[Row] = [
        (true, answer, *(int(table[i][j]) for _, table in tables))
        for (i, true), (j, answer) in itertools.product(enumerate(figure.names), repeat=2)
    ]
    return Numbers(head=("true class", "answer", *(arm for arm, _ in tables)), rows=tuple(rows))


def of_calibration(figure: CalibrationFigure) -> Numbers:
    rows = [
        (curve.arm, confidence, accuracy, n)
        for curve in figure.curves
        for (confidence, accuracy), n in zip(curve.points, curve.counts, strict=True)
    ]
    return Numbers(head=("arm", "mean confidence", "accuracy", "answers"), rows=tuple(rows))


def of_map(figure: HeatMap) -> Numbers:
    rows = [
        (row, column, value)
        for row, values in zip(figure.rows, figure.values, strict=True)
        for column, value in zip(figure.columns, values, strict=True)
    ]
    return Numbers(head=(figure.row_factor or "row", figure.column_factor, figure.name), rows=tuple(rows))


def of_scale(figure: ScaleFigure) -> Numbers:
    """A row for each run, and one for the mean of an arm, without a seed."""
    rows: list[Row] = []
    for curve in figure.curves:
        rows += [(curve.name, p.parameters, p.seed, p.loss, None, None) for p in curve.points]
        rows += [(curve.name, m.parameters, None, m.mean, m.low, m.high) for m in curve.means]
    return Numbers(head=("which", "parameters", "seed", "loss", "low of mean", "high of mean"), rows=tuple(rows))


def _cell(item: Cell) -> str:
    if item is None:
        return ""
    if isinstance(item, bool):
        return "yes" if item else "no"
    return f"{item:.10g}" if isinstance(item, float) else one_line(str(item))
