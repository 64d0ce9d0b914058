"""Results to figures, as numbers: what is drawn, said and tabulated of accuracies and of differences.

A figure is a frozen record with a title (one sentence, made from its numbers), a caption (n, unit, what band and dots
mean) and the table of its numbers. Nothing here knows of colors or pixels; `draw` does.
"""

from collections import Counter
from dataclasses import dataclass

from striate.report.wording import Table, between, between_signed, count, listed, pair, percent, plain, signed
from striate.studies.results import Results
from striate.studies.statistics import Interval, interval
from striate.studies.verdict import Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One run in a figure."""

    seed: int
    value: float
    diverged: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmAccuracy:
    """Test accuracies of one arm in percent; a run without one is not a point."""

    arm: str
    points: tuple[Point, ...]
    mean: float | None
    interval: Interval | None  # from two runs up

    @property
    def n(self) -> int:
        return len(self.points)


@dataclass(frozen=True, kw_only=True, slots=True)
class AccuraciesFigure:
    """A dot a run, the mean and its interval an arm."""

    title: str
    caption: str
    arms: tuple[ArmAccuracy, ...]
    table: Table


@dataclass(frozen=True, kw_only=True, slots=True)
class DifferencesFigure:
    """The planned comparisons that have differences: seeds, mean, interval, over the band of what does not matter."""

    title: str
    caption: str
    verdicts: tuple[Verdict, ...]
    matters: float
    table: Table


def accuracies(results: Results) -> AccuraciesFigure | None:
    """Nothing when no run has a test accuracy."""
    arms = tuple(arm_accuracy(results, arm.name) for arm in results.arms)
    if not any(arm.points for arm in arms):
        return None
    return AccuraciesFigure(
        title=_accuracies_title([arm for arm in arms if arm.mean is not None]),
        caption=_accuracies_caption(arms),
        arms=arms,
        table=_accuracies_table(arms, results.study.seeds),
    )


def arm_accuracy(results: Results, name: str) -> ArmAccuracy:
    points = tuple(
        Point(seed=row.seed, value=row.test_accuracy, diverged=row.state == "diverged")
        for row in results.of(name)
        if row.test_accuracy is not None
    )
    values = [point.value for point in points]
    mean = sum(values) / len(values) if values else None
    return ArmAccuracy(arm=name, points=points, mean=mean, interval=interval(values) if len(values) > 1 else None)


def differences(results: Results) -> DifferencesFigure | None:
    """Nothing when no planned comparison has a difference that may be shown."""
    shown = tuple(verdict for verdict in results.verdicts if verdict.differences and verdict.label != "not comparable")
    if not shown:
        return None
    return DifferencesFigure(
        title=_differences_title(shown, results.study.matters),
        caption=_differences_caption(shown, results.study.matters),
        verdicts=shown,
        matters=results.study.matters,
        table=_differences_table(shown, results.study.seeds),
    )


def confidences(levels: list[float]) -> str:
    """95 %, or 95 % to 99.3 %: what Holm's correction made of it."""
    ends = [f"{level * 100:.3g} %" for level in (min(levels), max(levels))]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def mean_difference(verdict: Verdict) -> float:
    values = list(verdict.differences.values())
    return sum(values) / len(values)


def _accuracies_title(arms: list[ArmAccuracy]) -> str:
    ranked = sorted(arms, key=lambda arm: arm.mean or 0.0)
    low, high = ranked[0], ranked[-1]
    if len(arms) == 1:
        return f"{high.arm} reaches {percent(high.mean)} test accuracy on average"
    if len(arms) == 2:
        return f"Mean test accuracy is {percent(high.mean)} for {high.arm} and {percent(low.mean)} for {low.arm}"
    return f"Mean test accuracy runs from {percent(low.mean)} ({low.arm}) to {percent(high.mean)} ({high.arm})"


def _accuracies_caption(arms: tuple[ArmAccuracy, ...]) -> str:
    said = f"Test accuracy in percent. Each dot is one run ({_seeds([arm.n for arm in arms])} an arm)"
    if any(arm.interval for arm in arms):
        said += "; the upright stroke is the mean, the bar its 95 % t interval over the seeds"
    if any(point.diverged for arm in arms for point in arm.points):
        said += "; a cross is a run that diverged and counts as chance"
    return said + ". The axis need not start at zero."


def _accuracies_table(arms: tuple[ArmAccuracy, ...], seeds: tuple[int, ...]) -> Table:
    rows = []
    for arm in arms:
        of_seed = {point.seed: point for point in arm.points}
        cells = [plain(of_seed[s].value, 2) + "*" * of_seed[s].diverged if s in of_seed else plain(None) for s in seeds]
        span = between(arm.interval.low, arm.interval.high, 2) if arm.interval else plain(None)
        rows.append((arm.arm, *cells, plain(arm.mean, 2), span, str(arm.n)))
    marked = any(point.diverged for arm in arms for point in arm.points)
    return Table(
        head=("arm", *(f"seed {seed}" for seed in seeds), "mean", "95 % interval", "n"),
        rows=tuple(rows),
        note="* diverged, counted as chance" if marked else "",
    )


def _differences_title(verdicts: tuple[Verdict, ...], matters: float) -> str:
    if len(verdicts) > 1:
        counts = Counter(verdict.label for verdict in verdicts)
        if len(counts) == 1:
            return f"All {len(verdicts)} planned comparisons: {verdicts[0].label}"
        return f"Of {len(verdicts)} planned comparisons: {listed(f'{n} {label}' for label, n in counts.items())}"
    verdict = verdicts[0]
    mean = mean_difference(verdict)
    side = "above" if mean >= 0 else "below"
    said = f"{verdict.first} is {plain(abs(mean))} points {side} {verdict.second}"
    match verdict.label:
        case "clearly better" | "clearly worse":
            return f"{said}, and the whole interval lies beyond the {matters:g} that matter"
        case "better" | "worse":
            return f"{said}; the interval excludes 0 and reaches into the {matters:g} that do not matter"
        case "no difference that matters":
            return f"{said}, and the whole interval lies within the {matters:g} that do not matter"
        case "undecided":
            return f"{said}, and the interval is too wide to decide"
    return f"{said}, from too few seeds to judge"


def _differences_caption(verdicts: tuple[Verdict, ...], matters: float) -> str:
    seeds = _seeds([len(verdict.differences) for verdict in verdicts])
    said = f"Difference of test accuracy in points, first minus second. Dots are seeds ({seeds}, paired)"
    levels = sorted({v.interval.confidence for v in verdicts if v.interval})
    if levels:
        said += f"; the upright stroke is their mean, the bar its {confidences(levels)} t interval"
        said += " (Holm's correction over the planned comparisons)" if len(verdicts) > 1 else ""
    return f"{said}. Grey: less than {matters:g} points either way, which does not matter."


def _differences_table(verdicts: tuple[Verdict, ...], seeds: tuple[int, ...]) -> Table:
    rows = []
    for verdict in verdicts:
        cells = [signed(verdict.differences.get(seed), 2) for seed in seeds]
        span = between_signed(verdict.interval.low, verdict.interval.high, 2) if verdict.interval else plain(None)
        rows.append((pair(verdict.first, verdict.second), *cells, signed(mean_difference(verdict), 2), span))
    return Table(head=("comparison", *(f"seed {seed}" for seed in seeds), "mean", "interval"), rows=tuple(rows))


def _seeds(counts: list[int]) -> str:
    low, high = min(counts), max(counts)
    return count(high, "seed") if low == high else f"{low} to {high} seeds"
