"""The sections and the figures of a page in their order, so that a sentence can name one by its number."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from striate.report import classes as class_figures
from striate.report import costs, figures, kinds, trust
from striate.report import curves as curve_figures
from striate.report.answers import StudyAnswers
from striate.studies.results import Results

SECTIONS = (
    ("answer", "Answer"),
    ("compared", "What was compared"),
    ("differences", "Differences"),
    ("looks", "Looks and seeds"),
    ("curves", "Training curves"),
    ("cost", "Cost"),
    ("classes", "Classes and confusion"),
    ("mistakes", "Mistakes"),
    ("inside", "Inside the network"),
    ("audit", "Twins in training"),
    ("trust", "Trust"),
    ("runs", "All runs"),
    ("reproduce", "Reproduce"),
    ("limits", "Limits and glossary"),
)
NUMBERS = {name: number for number, (name, _) in enumerate(SECTIONS, 1)}
TITLES = dict(SECTIONS)


def section(name: str) -> str:
    """`section 5`, as a sentence names it."""
    return f"section {NUMBERS[name]}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """The figures of a page in its order; None where there is nothing to show."""

    accuracies: figures.AccuraciesFigure | None = None
    differences: figures.DifferencesFigure | None = None
    maps: Mapping[str, kinds.HeatMap] = field(default_factory=dict)
    """By their names, map-1 and map-2."""
    scale: kinds.ScaleFigure | None = None
    curves: curve_figures.CurvesFigure | None = None
    cost: costs.CostFigure | None = None
    classes: class_figures.ClassesFigure | None = None
    confusion: class_figures.ConfusionFigure | None = None
    calibration: trust.CalibrationFigure | None = None

    def by_name(self) -> dict[str, Any]:
        """All, each heat map under its own name."""
        names = (name for name in self.__dataclass_fields__ if name != "maps")
        before = {"accuracies": self.accuracies, "differences": self.differences, **self.maps}
        return before | {name: getattr(self, name) for name in names}

    def numbers(self) -> dict[str, int]:
        """1, 2 and so on for those that are there."""
        return {name: n for n, name in enumerate((name for name, made in self.by_name().items() if made), 1)}


def study_figures(results: Results, answers: StudyAnswers) -> Figures:
    """The figures of a study."""
    return Figures(
        accuracies=figures.accuracies(results),
        differences=figures.differences(results),
        maps={f"map-{n}": made for n, made in enumerate(kinds.heat_maps(results), 1)},
        scale=kinds.scale_figure(results),
        curves=curve_figures.curves(results),
        cost=costs.cost(results),
        classes=class_figures.per_class(answers),
        confusion=class_figures.confusions(answers),
        calibration=trust.calibration(answers),
    )
