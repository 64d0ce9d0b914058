"""Results to figures, as numbers: the values of each arm, and the differences of the planned comparisons.

A figure is a frozen record: a title (one sentence, made from its numbers), a caption (n, unit, what dots and bars mean)
and a table of its numbers. Colors and pixels belong to `draw`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from striate.report.metric_words import MetricWords, metric_words
from striate.report.wording import (
    MINUS,
    Table,
    abbreviated,
    between_signed,
    count,
    listed,
    pair,
    plain,
    signed,
)
from striate.studies.metrics import TEST_ACCURACY
from striate.studies.results import Results
from striate.studies.study import Arm
from striate.verdicts import Verdict
from striate.verdicts.intervals import Interval, deviation

_ACCURACY = MetricWords()
MOST_DOTS = 4000  # of a chart; of more, every k-th in each row is drawn
MOST_COLUMNS = 100  # of seeds in a table


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One run in a figure. One that diverged stands at the accuracy of a guess."""

    seed: int
    value: float
    trained: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmAccuracy:
    """Values of one arm (test accuracies in percent); a run without one is not a point.

    Mean, standard deviation and interval are of the runs that trained.
    """

    arm: str
    points: tuple[Point, ...]
    mean: float | None
    standard_deviation: float | None  # this and the interval: from two runs up
    interval: Interval | None

    @property
    def n(self) -> int:
        """Runs that trained."""
        return sum(point.trained for point in self.points)


@dataclass(frozen=True, kw_only=True, slots=True)
class AccuraciesFigure:
    """For each arm a dot a run, the mean and its confidence interval."""

    title: str
    caption: str
    arms: tuple[ArmAccuracy, ...]
    table: Table
    words: MetricWords


@dataclass(frozen=True, kw_only=True, slots=True)
class DifferencesFigure:
    """For each planned comparison that has differences a dot a seed, the mean and its confidence interval."""

    title: str
    caption: str
    verdicts: tuple[Verdict, ...]
    matters: float  # smaller differences do not matter; in the unit of the differences
    table: Table
    words: MetricWords

    @property
    def band(self) -> tuple[float, float]:
        """The differences that do not matter."""
        return self.verdicts[0].band


def accuracies(results: Results) -> AccuraciesFigure | None:
    """All arms in the metric of the study, most often test accuracy; None when no run has it."""
    arms = tuple(arm_metric(results, arm) for arm in results.arms)
    if not any(arm.points for arm in arms):
        return None
    return values_figure(arms, results.seeds, metric_words(results))


def values_figure(
    arms: tuple[ArmAccuracy, ...], seeds: Sequence[int], words: MetricWords = _ACCURACY
) -> AccuraciesFigure:
    """The values of arms, at least one of which has some."""
    return AccuraciesFigure(
        title=_accuracies_title([arm for arm in arms if arm.mean is not None], words),
        caption=_accuracies_caption(arms, words),
        arms=arms,
        table=_accuracies_table(arms, seeds, words),
        words=words,
    )


def arm_metric(results: Results, arm: Arm) -> ArmAccuracy:
    """The values of an arm in the metric of the study."""
    words = metric_words(results)
    if words.name == TEST_ACCURACY:
        return arm_accuracy(results, arm.name)
    found = results.arm_values[arm.name]
    points = tuple(Point(seed=seed, value=value) for seed, value in sorted(found.values.items()))
    return arm_values(arm.name, points, found.test_images, words)


def arm_accuracy(results: Results, name: str) -> ArmAccuracy:
    """The test accuracies of the arm `name`."""
    points = tuple(
        Point(seed=row.seed, value=row.test_accuracy, trained=row.trained)
        for row in results.of(name)
        if row.test_accuracy is not None
    )
    images = min((row.summary.test_images for row in results.of(name) if row.summary and row.trained), default=0)
    return arm_values(name, points, images)


def arm_values(name: str, points: tuple[Point, ...], images: int = 0, words: MetricWords = _ACCURACY) -> ArmAccuracy:
    """An arm with these runs; `images`: how many a percentage was measured on."""
    values = [point.value for point in points if point.trained]
    several = len(values) > 1
    return ArmAccuracy(
        arm=name,
        points=points,
        mean=words.mean(values) if values else None,
        standard_deviation=deviation(values) if several else None,
        interval=words.interval(values, images) if several else None,
    )


def differences(results: Results) -> DifferencesFigure | None:
    """The differences of the planned comparisons; None when none has differences that may be shown."""
    return differences_figure(results.verdicts, results.study.matters, results.seeds, metric_words(results))


def differences_figure(
    verdicts: Sequence[Verdict], matters: float, seeds: Sequence[int], words: MetricWords = _ACCURACY
) -> DifferencesFigure | None:
    """The differences of these verdicts; None when none has differences that may be shown."""
    shown = tuple(v for v in verdicts if v.differences and v.label != "not comparable")
    if not shown:
        return None
    return DifferencesFigure(
        title=_differences_title(shown, matters, words),
        caption=_differences_caption(shown, matters, words),
        verdicts=shown,
        matters=matters,
        table=_differences_table(shown, seeds, words),
        words=words,
    )


def mean_difference(verdict: Verdict) -> float:
    return MetricWords(metric=verdict.metric).mean_difference(verdict)


def _accuracies_title(arms: list[ArmAccuracy], words: MetricWords) -> str:
    if not arms:
        return f"No run learned anything, so no arm has a mean {words.name}"
    ranked = sorted(arms, key=lambda arm: arm.mean or 0.0)
    low, high = ranked[0], ranked[-1]
    if len(arms) == 1:
        return f"{abbreviated(high.arm)} has a mean {words.name} of {words.value(high.mean)}"
    if len(arms) == 2:
        first, second = (f"{words.value(arm.mean)} for {abbreviated(arm.arm)}" for arm in (high, low))
        return f"Mean {words.name} is {first} and {second}"
    first, last = (f"{words.value(arm.mean)} ({abbreviated(arm.arm)})" for arm in (low, high))
    return f"Mean {words.name} ranges from {first} to {last}"


def _accuracies_caption(arms: tuple[ArmAccuracy, ...], words: MetricWords) -> str:
    sentences = [f"{words.title}{words.in_unit}. Each dot is one run ({_seeds([arm.n for arm in arms])} per arm)."]
    if any(arm.interval for arm in arms):
        sentences.append(
            f"The vertical line is the mean. The bar is its 95 % confidence interval over the seeds ({words.interval_name})."
        )
    if any(not point.trained for arm in arms for point in arm.points):
        sentences.append("A cross is a run that diverged (drawn at chance) or stayed at chance; it is not in the mean.")
    return " ".join([*sentences, *_thinned([len(arm.points) for arm in arms]), "The axis may not start at 0."])


def _accuracies_table(arms: tuple[ArmAccuracy, ...], seeds: Sequence[int], words: MetricWords) -> Table:
    rows, (seeds, left_out) = [], _columns(seeds)
    for arm in arms:
        by_seed = {point.seed: point for point in arm.points}
        cells = [
            f"{words.cell(by_seed[seed].value)}{'' if by_seed[seed].trained else '*'}"
            if seed in by_seed
            else plain(None)
            for seed in seeds
        ]
        span = words.between_cells(arm.interval) if arm.interval else plain(None)
        rows.append((arm.arm, *cells, words.cell(arm.mean), words.cell(arm.standard_deviation), span, str(arm.n)))
    any_failed = any(not point.trained for arm in arms for point in arm.points)
    return Table(
        head=("arm", *map(_seed, seeds), "mean", "standard deviation", "95 % confidence interval", "n"),
        rows=tuple(rows),
        note=". ".join(["* did not train: not in the mean"] * any_failed + left_out),
    )


def _differences_title(verdicts: tuple[Verdict, ...], matters: float, words: MetricWords) -> str:
    if len(verdicts) > 1:
        counts = Counter(verdict.label for verdict in verdicts)
        if len(counts) == 1:
            return f"All {len(verdicts)} planned comparisons: {verdicts[0].label}"
        return f"{len(verdicts)} planned comparisons: {listed(f'{n} {label}' for label, n in counts.items())}"
    verdict = verdicts[0]
    mean, least = mean_difference(verdict), words.size(matters, f"{matters:g}")
    side, sign = ("above", "+") if mean >= 0 else ("below", MINUS)
    sentence = f"{abbreviated(verdict.first)} is {words.size(abs(mean))} {side} {abbreviated(verdict.second)}"
    match verdict.label:
        case "clearly better" | "clearly worse":
            return f"{sentence}; the whole confidence interval is {side} {sign}{least}"
        case "better" | "worse":
            return f"{sentence}; the confidence interval excludes 0 but includes differences under {least}"
        case "no difference that matters":
            return f"{sentence}; the whole confidence interval is within \N{PLUS-MINUS SIGN}{least}"
        case "undecided":
            return f"{sentence}; the confidence interval is too wide for a verdict"
        case "trains more often" | "trains less often":
            return f"{abbreviated(verdict.first)} {verdict.label} than {abbreviated(verdict.second)}"
    return f"{sentence}; there are too few seeds for a verdict"


def _differences_caption(verdicts: tuple[Verdict, ...], matters: float, words: MetricWords) -> str:
    counts = [len(verdict.differences) for verdict in verdicts]
    seeds = _seeds(counts)
    sentences = [
        f"Difference of {words.name}{words.difference_unit}: first arm minus second arm. Each dot is one seed ({seeds}, paired)."
    ]
    if any(v.interval for v in verdicts):
        together = f"95 % together for all {len(verdicts)} comparisons" if len(verdicts) > 1 else "95 %"
        sentences.append(
            f"The vertical line is the mean. The bar is its confidence interval (Student's t; {together})."
        )
    return " ".join(
        [
            *sentences,
            *_thinned(counts),
            f"Gray area: differences under {words.size(matters, f'{matters:g}')}, which do not matter.",
        ]
    )


def _differences_table(verdicts: tuple[Verdict, ...], seeds: Sequence[int], words: MetricWords) -> Table:
    rows, (seeds, left_out) = [], _columns(seeds)
    for verdict in verdicts:
        cells = [signed(verdict.differences.get(seed), words.digits + 1) for seed in seeds]
        span = (
            between_signed(verdict.interval.low, verdict.interval.high, words.digits + 1)
            if verdict.interval
            else plain(None)
        )
        rows.append(
            (pair(verdict.first, verdict.second), *cells, signed(mean_difference(verdict), words.digits + 1), span)
        )
    head = ("comparison", *map(_seed, seeds), "mean", "confidence interval")
    return Table(head=head, rows=tuple(rows), note=" ".join(left_out))


def dots_in_a_row(rows: int) -> int:
    """How many dots may be drawn in each."""
    return max(10, MOST_DOTS // rows)


def _thinned(dots: list[int]) -> list[str]:
    most = dots_in_a_row(len(dots))
    return [f"Where there are more than {most} runs in a row, only some are drawn."] if max(dots) > most else []


def _columns(seeds: Sequence[int]) -> tuple[Sequence[int], list[str]]:
    """The seeds that a table has columns for: all or none."""
    if len(seeds) <= MOST_COLUMNS:
        return seeds, []
    return (), [f"The table leaves out the values of the {len(seeds)} seeds"]


def _seed(seed: int) -> str:
    return f"seed {seed}"


def _seeds(counts: list[int]) -> str:
    """3 seeds, or 2 to 3 seeds."""
    low, high = min(counts), max(counts)
    return count(high, "seed") if low == high else f"{low} to {high} seeds"
