"""Where the baseline and the best arm differ: accuracy of each class, and which classes are taken for which."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from striate.report import heat
from striate.report.answers import StudyAnswers, class_accuracies, class_names, confusion
from striate.report.wording import NONE, Table, abbreviated, count, pair, plain, signed
from striate.verdicts.intervals import interval

MOST_IN_MATRIX = 45  # classes; more are a table of pairs
MOST_PAIRS = 20
MOST_CLASSES = 60  # rows of the chart


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassAccuracy:
    """One class; accuracies in percent, means over the runs of each arm of the pair."""

    name: str
    values: tuple[float, ...]
    low: float | None = None  # 95 % interval of the difference, over paired seeds; of each class alone
    high: float | None = None

    @property
    def difference(self) -> float:
        return self.values[-1] - self.values[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassesFigure:
    title: str
    caption: str
    arms: tuple[str, ...]  # the baseline, then the best other arm
    classes: tuple[ClassAccuracy, ...]
    table: Table


@dataclass(frozen=True, kw_only=True, slots=True)
class Matrix:
    title: str
    svg: Markup


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfusionFigure:
    title: str
    caption: str
    matrices: tuple[Matrix, ...]  # none for many classes
    table: Table
    names: tuple[str, ...]  # of the classes
    counts: tuple[tuple[str, NDArray[np.int64]], ...]  # each arm's, summed over its runs


def per_class(answers: StudyAnswers) -> ClassesFigure | None:
    """None where no run has recorded it."""
    results, names = answers.results, class_names(answers.results)
    known = [(arm, table) for arm in answers.pair if (table := class_accuracies(results, arm)) is not None]
    tables = [table for _, table in known if table.shape[1] == len(names)]
    if not tables or len(tables) < len(answers.pair):
        return None
    means = [np.nanmean(table, axis=0) if len(table) else table for table in tables]
    present = [k for k in range(len(names)) if all(np.isfinite(mean[k]) for mean in means)]
    classes = [_class(names[k], [float(mean[k]) for mean in means], [table[:, k] for table in tables]) for k in present]
    if not classes:
        return None
    # From what the best arm gains most to what it loses; of one arm, from the best class to the worst.
    classes.sort(key=lambda c: (-c.difference if len(tables) > 1 else -c.values[0], c.name))
    arms = answers.pair
    return ClassesFigure(
        title=_class_title(arms, classes),
        caption=_class_caption(answers, len(classes)),
        arms=arms,
        classes=tuple(classes),
        table=_class_table(arms, classes),
    )


def _class(name: str, means: list[float], runs: list[NDArray[np.float64]]) -> ClassAccuracy:
    low = high = None
    if len(runs) == 2 and len(runs[0]) == len(runs[1]) > 1:
        differences = [float(d) for d in runs[1] - runs[0]]
        if np.isfinite(differences).all():
            span = interval(differences)
            low, high = span.low, span.high
    return ClassAccuracy(name=name, values=tuple(means), low=low, high=high)


def _class_title(arms: tuple[str, ...], classes: list[ClassAccuracy]) -> str:
    if len(arms) == 1:
        return f"Accuracy is highest for {classes[0].name} and lowest for {classes[-1].name}"
    best, worst = classes[0], classes[-1]
    gain = f"{abbreviated(arms[1])} differs from {abbreviated(arms[0])} most for "
    largest = best if abs(best.difference) >= abs(worst.difference) else worst
    return f"{gain}{largest.name} ({signed(largest.difference)} points)"


def _class_caption(answers: StudyAnswers, classes: int) -> str:
    sentences = ["Accuracy of each class in percent, mean over the runs that trained."]
    if len(answers.pair) > 1:
        sentences += [answers.pair_in_words, f"Of {count(classes, 'class', 'classes')}, some differ by chance."]
    if classes > MOST_CLASSES:
        sentences.append(f"The chart has the {MOST_CLASSES} classes that differ most; the table has all.")
    return " ".join(sentences)


def _class_table(arms: tuple[str, ...], classes: list[ClassAccuracy]) -> Table:
    if len(arms) == 1:
        return Table(head=("class", arms[0]), rows=tuple((c.name, plain(c.values[0])) for c in classes))
    rows = tuple((c.name, plain(c.values[0]), plain(c.values[1]), signed(c.difference), _span(c)) for c in classes)
    return Table(
        head=("class", *arms, "difference", "95 % interval of this class alone"),
        rows=rows,
        note="The intervals are over the seeds, on these test images, and each holds for itself.",
    )


def _span(one: ClassAccuracy) -> str:
    return NONE if one.low is None or one.high is None else f"{signed(one.low)} to {signed(one.high)}"


def confusions(answers: StudyAnswers) -> ConfusionFigure | None:
    """None where no run has recorded it, as above 200 classes."""
    results, names = answers.results, class_names(answers.results)
    known = [(arm, table) for arm in answers.pair if (table := confusion(results, arm)) is not None]
    if not known or any(len(table) != len(names) for _, table in known):
        return None
    shares = [(arm, _shares(table)) for arm, table in known]
    return ConfusionFigure(
        title=_confusion_title(names, shares[-1]),
        caption=_confusion_caption(len(names), len(shares)),
        matrices=_matrices(names, shares) if len(names) <= MOST_IN_MATRIX else (),
        table=_pairs(names, known),
        names=names,
        counts=tuple(known),
    )


def _shares(table: NDArray[np.int64]) -> NDArray[np.float64]:
    """In percent of each class."""
    of_class = table.sum(1, keepdims=True)
    return np.divide(100.0 * table, of_class, out=np.zeros(table.shape), where=of_class > 0)


def _matrices(names: Sequence[str], shares: list[tuple[str, NDArray[np.float64]]]) -> tuple[Matrix, ...]:
    drawn = []
    for arm, table in shares:
        title = f"{abbreviated(arm)}: percent of each class"
        drawn.append(Matrix(title=title, svg=heat.heat_map(_errors(table), names, title, "var(--c1)", "var(--c1)")))
    if len(shares) == 2:
        (first, a), (second, b) = shares
        title = f"{abbreviated(pair(second, first))}: difference in points"
        drawn.append(Matrix(title=title, svg=heat.heat_map(b - a, names, title, "var(--up)", "var(--down)")))
    return tuple(drawn)


def _errors(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Without the diagonal, beside which no error would be seen."""
    return np.where(np.eye(len(table), dtype=bool), 0.0, table)


def _confusion_title(names: Sequence[str], share: tuple[str, NDArray[np.float64]]) -> str:
    arm, table = share
    errors = _errors(table)
    i, j = divmod(int(errors.argmax()), len(errors))
    if not errors[i, j]:
        return f"{abbreviated(arm)} makes no mistake"
    return (
        f"{abbreviated(arm)} takes {names[i]} for {names[j]} most often ({plain(float(errors[i, j]))} % of the class)"
    )


def _confusion_caption(classes: int, arms: int) -> str:
    read = (
        "Row: the true class. Column: the answer. Right answers are left out, or no mistake would be seen beside them."
    )
    if classes > MOST_IN_MATRIX:
        return f"With {classes} classes, the table has the most frequent mistakes."
    difference = (
        " In the difference, the diagonal has what is gained in right answers: blue more, orange less."
        if arms > 1
        else ""
    )
    return f"{read}{difference} Sums over the runs that trained; strength grows with the square root of the number."


def _pairs(names: Sequence[str], known: list[tuple[str, NDArray[np.int64]]]) -> Table:
    """The most frequent mistakes of all arms together, with counts."""
    total = np.sum([_errors(table.astype(np.float64)) for _, table in known], axis=0)
    order = np.argsort(-total, axis=None, kind="stable")[:MOST_PAIRS]
    rows = []
    for place in order:
        i, j = divmod(int(place), len(total))
        if total[i, j]:
            rows.append((f"{names[i]} as {names[j]}", *(str(int(table[i, j])) for _, table in known)))
    possible = int((total > 0).sum())
    note = f"The {MOST_PAIRS} most frequent of {possible} kinds of mistakes." if possible > MOST_PAIRS else ""
    return Table(head=("mistake", *(arm for arm, _ in known)), rows=tuple(rows), note=note)
