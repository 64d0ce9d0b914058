"""Training as curves, in numbers: each run, and each arm's mean with its band, epoch by epoch.

A run that diverged is drawn to its end and marked; it is left out of the mean, which one exploding loss would make
meaningless, and the caption says so.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from striate.report.wording import Table, count, listed, plain
from striate.runs import EpochRow
from striate.studies.results import Results, RunRow
from striate.studies.statistics import interval

MOST_ROWS = 40  # of a folded table: every k-th epoch keeps the page within 6000 nodes for 8 arms


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One run: (epoch, value) pairs; an epoch without a value is left out."""

    seed: int
    points: tuple[tuple[int, float], ...]
    diverged: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Mean:
    """The mean of an arm at one epoch; the band from two runs up."""

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
    """One measure of one epoch axis."""

    name: str
    unit: str
    title: str
    arms: tuple[ArmCurve, ...]
    table: Table


@dataclass(frozen=True, kw_only=True, slots=True)
class CurvesFigure:
    title: str
    caption: str
    arms: tuple[str, ...]  # every arm of the study: a color belongs to an arm, drawn or not
    panels: tuple[Panel, ...]

    @property
    def is_crowded(self) -> bool:
        """More arms than one can follow side by side in a third of the page."""
        return len(self.arms) > 4


# Name, unit, key in metrics.jsonl, factor, digits, whether less is better.
_MEASURES: tuple[tuple[str, str, str, float, int, bool], ...] = (
    ("training loss", "", "train_loss", 1.0, 3, True),
    ("validation loss", "", "validation_loss", 1.0, 3, True),
    ("validation accuracy", "%", "validation_accuracy", 100.0, 1, False),
)
# Drawn where a study asked for them, before those that every study has.
_WATCHED: tuple[tuple[str, str, str, float, int, bool], ...] = (
    ("training loss, measured anew", "", "train_eval_loss", 1.0, 3, True),
    ("training accuracy, measured anew", "%", "train_eval_accuracy", 100.0, 1, False),
    ("test loss", "", "test_loss", 1.0, 3, True),
    ("test accuracy", "%", "test_accuracy", 100.0, 1, False),
)


def curves(results: Results) -> CurvesFigure | None:
    """Nothing before the first epoch of the first run."""
    watched = [measure for measure in _WATCHED if _is_there(results, measure[2])]
    panels = tuple(_panel(results, *measure) for measure in (*watched, *_MEASURES))
    if not any(curve.lines for panel in panels for curve in panel.arms):
        return None
    *_, accuracy = panels
    return CurvesFigure(
        title=_ahead(accuracy.arms) or accuracy.title,
        caption=_caption(panels, [arm.name for arm in results.arms if _is_early(results.of(arm.name))]),
        arms=tuple(arm.name for arm in results.arms),
        panels=panels,
    )


def _panel(results: Results, name: str, unit: str, key: str, factor: float, digits: int, less: bool) -> Panel:
    arms = tuple(_curve(arm.name, results.of(arm.name), key, factor) for arm in results.arms)
    return Panel(
        name=name, unit=unit, title=_title(name, unit, digits, arms, less), arms=arms, table=_table(arms, digits)
    )


def _curve(arm: str, rows: tuple[RunRow, ...], key: str, factor: float) -> ArmCurve:
    lines = tuple(line for row in rows if row.run and (line := _line(row, row.run.metrics, key, factor)).points)
    sound = [dict(line.points) for line in lines if line.seed in averaged_seeds(rows)]
    # A mean over fewer and fewer runs would jump where one stops, so it goes as far as all of them came.
    epochs = sorted(set.intersection(*(set(line) for line in sound))) if sound else []
    return ArmCurve(arm=arm, lines=lines, means=tuple(_mean(e, [line[e] for line in sound]) for e in epochs))


def _is_there(results: Results, key: str) -> bool:
    return any(getattr(row, key) is not None for one in results.rows if one.run for row in one.run.metrics)


def averaged_seeds(rows: Iterable[RunRow]) -> set[int]:
    """The finished runs; while there is none, those that are on their way."""
    by_state: dict[str, set[int]] = {}
    for row in rows:
        by_state.setdefault(row.state, set()).add(row.seed)
    return by_state.get("finished") or by_state.get("unfinished") or by_state.get("failed") or set()


def _is_early(rows: tuple[RunRow, ...]) -> bool:
    """Runs have begun and none has ended."""
    states = {row.state for row in rows}
    return "finished" not in states and bool(states & {"unfinished", "failed"})


def _line(row: RunRow, metrics: Iterable[EpochRow], key: str, factor: float) -> Line:
    points = tuple((m.epoch, factor * value) for m in metrics if (value := getattr(m, key)) is not None)
    return Line(seed=row.seed, points=points, diverged=row.state == "diverged")


def _mean(epoch: int, values: list[float]) -> Mean:
    if len(values) < 2:
        return Mean(epoch=epoch, mean=values[0], low=None, high=None, n=1)
    found = interval(values)
    return Mean(epoch=epoch, mean=found.mean, low=found.low, high=found.high, n=found.n)


def _title(name: str, unit: str, digits: int, arms: tuple[ArmCurve, ...], less: bool) -> str:
    """The best mean, where it was, and what became of it."""
    drawn = [curve for curve in arms if curve.means]
    if not drawn:
        return f"No run has a {name} to average"
    pick: Callable[..., Any] = min if less else max
    best = {curve.arm: pick(curve.means, key=lambda m: m.mean) for curve in drawn}
    arm = pick(best, key=lambda a: best[a].mean)
    top, last = best[arm], next(c for c in drawn if c.arm == arm).means[-1]
    word = "lowest" if less else "highest"
    whose = f" for {arm}" if len(arms) > 1 else ""
    said = f"Mean {name} is {word}{whose} at epoch {top.epoch}: {plain(top.mean, digits)}{' %' if unit else ''}"
    return said if last.epoch == top.epoch else f"{said} ({plain(last.mean, digits)} at epoch {last.epoch})"


def _ahead(arms: tuple[ArmCurve, ...]) -> str:
    """Who leads at the last epoch that all reach, and since when; empty where there is no race."""
    series = {curve.arm: {m.epoch: m.mean for m in curve.means} for curve in arms if curve.means}
    shared = sorted(set.intersection(*(set(s) for s in series.values()))) if len(series) > 1 else []
    if not shared:
        return ""
    end = shared[-1]
    leader = max(series, key=lambda arm: series[arm][end])
    others = [arm for arm in series if arm != leader]
    behind = [e for e in shared if any(series[other][e] >= series[leader][e] for other in others)]
    if behind and behind[-1] == end:
        return f"The arms end level in mean validation accuracy at epoch {end}"
    since = next(e for e in shared if not behind or e > behind[-1])
    when = f"at the last epoch ({end}) only" if since == end and len(shared) > 1 else f"from epoch {since} on"
    whom = others[0] if len(others) == 1 else "every other arm"
    return f"{leader} is ahead of {whom} in mean validation accuracy {when}"


def _caption(panels: tuple[Panel, ...], early: list[str]) -> str:
    curves_drawn = panels[-1].arms
    most = max(len(curve.lines) for curve in curves_drawn)
    said = f"Up to {count(most, 'run')} an arm. Thin: one run (one seed). "
    said += "Thick, with the arm's marker at its end: the mean of the finished runs"
    if early:
        said += f" (of {listed(early)}, of which none has finished: of those on their way, as far as all came)"
    if any(mean.low is not None for curve in curves_drawn for mean in curve.means):
        said += ". Band: 95 % t interval of that mean over the seeds"
    diverged = sum(line.diverged for curve in curves_drawn for line in curve.lines)
    if diverged:
        said += f". A cross marks where a diverged run ends ({diverged}; drawn, not in the mean, cut at the axis)"
    watched = any(panel.name.startswith("test ") for panel in panels)
    use = "the test set was watched, and chose nothing" if watched else "the test set was not used"
    return f"{said}. Loss is cross-entropy, accuracy is in percent; {use}."


def _table(arms: tuple[ArmCurve, ...], digits: int) -> Table:
    means = {curve.arm: {m.epoch: m for m in curve.means} for curve in arms}
    epochs = sorted({epoch for of_arm in means.values() for epoch in of_arm})
    step = -(-len(epochs) // MOST_ROWS) or 1
    kept = [e for i, e in enumerate(epochs) if i % step == 0 or i == len(epochs) - 1]
    rows = tuple((str(e), *(_cell(means[curve.arm].get(e), digits) for curve in arms)) for e in kept)
    note = f"Each {step}th of {len(epochs)} epochs and the last; metrics.jsonl of each run has all." if step > 1 else ""
    return Table(head=("epoch", *(curve.arm for curve in arms)), rows=rows, note=note)


def _cell(mean: Mean | None, digits: int) -> str:
    if mean is None:
        return plain(None)
    half = "" if mean.high is None else f" ± {plain(mean.high - mean.mean, digits)}"
    return f"{plain(mean.mean, digits)}{half}"
