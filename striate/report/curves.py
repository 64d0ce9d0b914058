"""Training curves as numbers: each run, and the mean of each arm with its confidence band, epoch by epoch.

A diverged run is drawn to its end and marked. It is left out of the mean, which one exploding loss would make
meaningless, and the caption says so.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from striate.report.wording import Table, abbreviated, count, listed, plain
from striate.studies.results import Results
from striate.studies.rows import RunRow
from striate.verdicts.intervals import interval

MOST_PLOTS = 12  # arms with a plot of their own
CROWDED = 4  # arms; more are small plots, one each
MOST_ROWS = 40  # of a folded table: every k-th epoch keeps the page under 6000 nodes with 8 arms


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One run: (epoch, value) pairs; an epoch without a value is left out."""

    seed: int
    points: tuple[tuple[int, float], ...]
    diverged: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Mean:
    """The mean of an arm at one epoch, with its 95 % confidence interval from two runs up."""

    epoch: int
    mean: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmCurve:
    arm: str
    lines: tuple[Line, ...]
    means: tuple[Mean, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One metric over the epochs."""

    name: str
    unit: str
    title: str
    arms: tuple[ArmCurve, ...]
    table: Table

    @property
    def heading(self) -> str:
        """Name and unit."""
        return f"{self.name.capitalize()}{f' ({self.unit})' if self.unit else ''}"


@dataclass(frozen=True, kw_only=True, slots=True)
class CurvesFigure:
    title: str
    caption: str
    arms: tuple[str, ...]  # every arm of the study: a color belongs to an arm, drawn or not
    panels: tuple[Panel, ...]

    @property
    def plotted(self) -> tuple[str, ...]:
        """Arms with a plot of their own, where they are many: the first, and those with the best accuracy at their end."""
        if len(self.arms) <= MOST_PLOTS:
            return self.arms
        ends = {curve.arm: curve.means[-1].mean for curve in self.panels[-1].arms if curve.means}
        best = sorted(ends, key=lambda arm: -ends[arm])
        return tuple(dict.fromkeys([self.arms[0], *best]))[:MOST_PLOTS]

    @property
    def is_crowded(self) -> bool:
        """More arms than one can follow in one plot, as their bands hide each other."""
        return len(self.arms) > CROWDED


@dataclass(frozen=True, kw_only=True, slots=True)
class _Metric:
    """A column of metrics.jsonl as a panel."""

    column: str
    name: str
    is_share: bool  # an accuracy: drawn in percent, and the higher the better

    @property
    def unit(self) -> str:
        return "%" if self.is_share else ""

    @property
    def factor(self) -> float:
        return 100.0 if self.is_share else 1.0

    @property
    def digits(self) -> int:
        return 1 if self.is_share else 3

    @property
    def best(self) -> Callable[..., Any]:
        return max if self.is_share else min


_METRICS = (
    _Metric(column="train_loss", name="training loss", is_share=False),
    _Metric(column="validation_loss", name="validation loss", is_share=False),
    _Metric(column="validation_accuracy", name="validation accuracy", is_share=True),
)
# Where a study asked for them; drawn before those that every study has.
_WATCHED = (
    _Metric(column="train_eval_loss", name="training loss after the epoch", is_share=False),
    _Metric(column="train_eval_accuracy", name="training accuracy after the epoch", is_share=True),
    _Metric(column="test_loss", name="test loss", is_share=False),
    _Metric(column="test_accuracy", name="test accuracy", is_share=True),
)


def curves(results: Results) -> CurvesFigure | None:
    """The curves of all arms; None before the first epoch of the first run."""
    watched = [metric for metric in _WATCHED if _is_recorded(results, metric)]
    panels = tuple(_panel(results, metric) for metric in (*watched, *_METRICS))
    if not any(curve.lines for panel in panels for curve in panel.arms):
        return None
    *_, accuracy = panels
    return CurvesFigure(
        title=_leader_title(accuracy.arms) or accuracy.title,
        caption=_caption(panels, [arm.name for arm in results.arms if _has_only_unfinished(results.of(arm.name))]),
        arms=tuple(arm.name for arm in results.arms),
        panels=panels,
    )


def averaged_seeds(rows: Iterable[RunRow]) -> set[int]:
    """The seeds of the finished runs; while there is none, those of the unfinished ones."""
    by_state: dict[str, set[int]] = {}
    for row in rows:
        by_state.setdefault(row.state, set()).add(row.seed)
    return by_state.get("finished") or by_state.get("unfinished") or by_state.get("failed") or set()


def _is_recorded(results: Results, metric: _Metric) -> bool:
    epochs = (epoch for row in results.rows if row.run for epoch in row.run.metrics)
    return any(getattr(epoch, metric.column) is not None for epoch in epochs)


def _has_only_unfinished(rows: tuple[RunRow, ...]) -> bool:
    """Whether runs have begun and none has finished."""
    states = {row.state for row in rows}
    return "finished" not in states and bool(states & {"unfinished", "failed"})


def _panel(results: Results, metric: _Metric) -> Panel:
    arms = tuple(_curve(arm.name, results.of(arm.name), metric) for arm in results.arms)
    return Panel(
        name=metric.name, unit=metric.unit, title=_title(metric, arms), arms=arms, table=_table(arms, metric.digits)
    )


def _curve(arm: str, rows: tuple[RunRow, ...], metric: _Metric) -> ArmCurve:
    lines = tuple(line for row in rows if (line := _line(row, metric)).points)
    seeds = averaged_seeds(rows)
    averaged = [dict(line.points) for line in lines if line.seed in seeds]
    # A mean over fewer and fewer runs would jump where one stops, so it ends with the shortest of them.
    epochs = sorted(set.intersection(*map(set, averaged))) if averaged else []
    return ArmCurve(arm=arm, lines=lines, means=tuple(_mean(e, [values[e] for values in averaged]) for e in epochs))


def _line(row: RunRow, metric: _Metric) -> Line:
    epochs = row.run.metrics if row.run else ()
    points = tuple((e.epoch, metric.factor * value) for e in epochs if (value := getattr(e, metric.column)) is not None)
    return Line(seed=row.seed, points=points, diverged=row.state == "diverged")


def _mean(epoch: int, values: list[float]) -> Mean:
    if len(values) < 2:
        return Mean(epoch=epoch, mean=values[0], low=None, high=None, n=1)
    span = interval(values)
    return Mean(epoch=epoch, mean=span.mean, low=span.low, high=span.high, n=span.n)


def _title(metric: _Metric, arms: tuple[ArmCurve, ...]) -> str:
    """The best mean, its arm and epoch, and the value at the last epoch where that differs."""
    averaged = {curve.arm: curve.means for curve in arms if curve.means}
    if not averaged:
        return f"No run has a {metric.name} to average"
    best = {arm: metric.best(means, key=lambda mean: mean.mean) for arm, means in averaged.items()}
    arm = metric.best(best, key=lambda name: best[name].mean)
    top, last = best[arm], averaged[arm][-1]
    word = "highest" if metric.is_share else "lowest"
    whose = f" for {abbreviated(arm)}" if len(arms) > 1 else ""
    unit = " %" if metric.unit else ""
    title = f"Mean {metric.name} is {word}{whose} at epoch {top.epoch}: {plain(top.mean, metric.digits)}{unit}"
    return title if last.epoch == top.epoch else f"{title} ({plain(last.mean, metric.digits)} at epoch {last.epoch})"


def _leader_title(arms: tuple[ArmCurve, ...]) -> str:
    """Who leads at the last epoch that all arms reach, and since when; empty where there is nothing to compare."""
    means = {curve.arm: {mean.epoch: mean.mean for mean in curve.means} for curve in arms if curve.means}
    shared = sorted(set.intersection(*map(set, means.values()))) if len(means) > 1 else []
    if not shared:
        return ""
    end = shared[-1]
    leader = max(means, key=lambda arm: means[arm][end])
    others = [arm for arm in means if arm != leader]
    not_ahead = [epoch for epoch in shared if any(means[other][epoch] >= means[leader][epoch] for other in others)]
    if end in not_ahead:
        return f"The best arms have the same mean validation accuracy at epoch {end}"
    since = next(epoch for epoch in shared if not not_ahead or epoch > not_ahead[-1])
    when = f"only at the last epoch ({end})" if since == end and len(shared) > 1 else f"from epoch {since} on"
    whom = abbreviated(others[0]) if len(others) == 1 else "every other arm"
    return f"{abbreviated(leader)} is ahead of {whom} in mean validation accuracy {when}"


def _caption(panels: tuple[Panel, ...], unfinished_arms: list[str]) -> str:
    arms = panels[-1].arms
    of_unfinished = f" (for {listed(unfinished_arms)}: of the unfinished runs)" if unfinished_arms else ""
    sentences = [
        f"Up to {count(max(len(curve.lines) for curve in arms), 'run')} per arm.",
        "Thin line: one run.",
        f"Thick line with a marker at its end: mean of the finished runs{of_unfinished}.",
    ]
    if len(arms) > CROWDED:
        gray = "Gray lines: the means of the other arms." if len(arms) <= MOST_PLOTS else _omitted(len(arms))
        sentences.append(f"{gray} All plots of a metric have the same axes.")
    if any(mean.low is not None for curve in arms for mean in curve.means):
        sentences.append("Band: 95 % confidence interval of the mean (Student's t, over the seeds).")
    if diverged := sum(line.diverged for curve in arms for line in curve.lines):
        sentences.append(f"Cross: end of a diverged run ({diverged}); it is not in the mean, and is cut at the axis.")
    watched = any(panel.name.startswith("test ") for panel in panels)
    sentences += [
        "Loss is cross-entropy, accuracy is in percent. The axes may not start at 0.",
        "The test set was evaluated in every epoch and decided nothing." if watched else "The test set was not used.",
    ]
    return " ".join(sentences)


def _omitted(arms: int) -> str:
    return (
        f"Of {arms} arms, the first and the {MOST_PLOTS - 1} with the best validation accuracy at their end have a plot. Gray area: the "
        "range of the means of all."
    )


def _table(arms: tuple[ArmCurve, ...], digits: int) -> Table:
    means = {curve.arm: {mean.epoch: mean for mean in curve.means} for curve in arms}
    epochs = sorted({epoch for of_arm in means.values() for epoch in of_arm})
    step = -(-len(epochs) // MOST_ROWS) or 1
    shown = [epoch for i, epoch in enumerate(epochs) if i % step == 0 or i == len(epochs) - 1]
    rows = tuple((str(epoch), *(_cell(of_arm.get(epoch), digits) for of_arm in means.values())) for epoch in shown)
    note = f"One row for every {step} epochs, and the last. All {len(epochs)} are in metrics.jsonl of each run."
    return Table(head=("epoch", *means), rows=rows, note=note if step > 1 else "")


def _cell(mean: Mean | None, digits: int) -> str:
    if mean is None:
        return plain(None)
    half_width = "" if mean.high is None else f" ± {plain(mean.high - mean.mean, digits)}"
    return f"{plain(mean.mean, digits)}{half_width}"
