"""Figures of a grid (heat maps of accuracy and of training time) and of a scale (losses against parameters), as numbers."""

import itertools
import statistics
from dataclasses import dataclass

from striate.report.metric_words import MetricWords, metric_words
from striate.report.wording import NONE, Table, abbreviated, between, percent, plain, signed, whole
from striate.studies.grids import arm_facts, cells, factors
from striate.studies.metrics import TEST_ACCURACY, run_metric
from striate.studies.results import Results
from striate.studies.rows import measured
from striate.studies.scales import Size
from striate.studies.study import Arm
from striate.verdicts.factorial import Effect

MOST_CELLS = 400  # of a heat map; more cannot be read


@dataclass(frozen=True, kw_only=True, slots=True)
class HeatMap:
    """One number for each combination of levels. Several factors share the rows; the last one has the columns."""

    name: str  # of the numbers, with their unit
    title: str
    caption: str
    row_factor: str
    column_factor: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    digits: int
    is_logarithmic: bool  # shades follow the logarithm: times differ by factors
    table: Table


@dataclass(frozen=True, kw_only=True, slots=True)
class LossPoint:
    parameters: int
    seed: int
    loss: float


@dataclass(frozen=True, kw_only=True, slots=True)
class LossMean:
    parameters: int
    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class LossCurve:
    name: str
    points: tuple[LossPoint, ...]
    means: tuple[LossMean, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ScaleFigure:
    """Training and validation loss over the parameters; `turn` is where the lowest validation loss may lie."""

    title: str
    caption: str
    curves: tuple[LossCurve, ...]
    turn: tuple[float, float] | None
    lowest: int | None
    table: Table


def heat_maps(results: Results) -> tuple[HeatMap, ...]:
    """The study's metric, accuracy and training time of a grid; none where nothing was trained, or for a grid too large to read."""
    if not results.study.grid or len(results.arms) > MOST_CELLS:
        return ()
    names = dict.fromkeys((results.study.metric, TEST_ACCURACY, "training time"))
    own = metric_words(results)
    words = (own if name == own.name else MetricWords(metric=run_metric(name).metric) for name in names)
    return tuple(made for of in words if (made := _heat_map(results, of)))


def _heat_map(results: Results, words: MetricWords) -> HeatMap | None:
    of_arm: dict[str, float | None] = {arm.name: _mean_of(arm, results, words) for arm in results.arms}
    known = {name: value for name, value in of_arm.items() if value is not None}
    if not known:
        return None
    *rest, last = factors(results.study)
    rows = [" ".join(levels) for levels in itertools.product(*([f"{f.name}={x}" for x in f.levels] for f in rest))]
    arms = list(cells(results.study))  # the last factor changes fastest
    width = len(last.levels)
    values = [[of_arm[name] for name in arms[start : start + width]] for start in range(0, len(arms), width)]
    low, high = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
    ends = [f"{words.value(known[name])} ({abbreviated(name)})" for name in (low, high)]
    table = [
        (row or f"mean {words.name}", *(plain(x, words.digits) for x in line))
        for row, line in zip(rows, values, strict=True)
    ]
    head = (", ".join(factor.name for factor in rest) or NONE, *map(last.level, range(width)))
    by_factors = ", by factors" if words.metric.scale == "ratio" else ""
    return HeatMap(
        name=f"mean {words.axis}",
        title=f"Mean {words.name} ranges from {ends[0]} to {ends[1]}",
        caption=f"Mean {words.name}{words.in_unit} over the seeds that trained; the darker a cell, the larger its number{by_factors}.",
        row_factor=", ".join(factor.name for factor in rest),
        column_factor=last.name,
        rows=tuple(rows),
        columns=last.levels,
        values=tuple(map(tuple, values)),
        digits=words.digits,
        is_logarithmic=words.metric.scale == "ratio",
        table=Table(head=head, rows=tuple(table)),
    )


def _mean_of(arm: Arm, results: Results, words: MetricWords) -> float | None:
    values = measured(arm, results.of(arm.name), run_metric(words.name), with_images=False).values.values()
    return words.mean(list(values)) if values else None


def effects_table(results: Results) -> Table | None:
    """Main effects and interactions with their intervals; None without a grid."""
    if not results.effects:
        return None
    unit = {"percent": "points", "ratio": "%", "plain": ""}[results.effects[0].verdict.metric.scale]
    head = ("effect", f"size ({unit})" if unit else "size", "interval (95 % together)", "n", "verdict")
    return Table(head=head, rows=tuple(_effect(effect) for effect in results.effects))


def _effect(effect: Effect) -> tuple[str, ...]:
    names = " with ".join(f"{f}={level}" for f, level in zip(effect.factors, effect.levels, strict=True))
    interval = effect.interval
    numbers = (
        (signed(interval.mean, 2), f"{signed(interval.low, 2)} to {signed(interval.high, 2)}")
        if interval
        else (NONE, NONE)
    )
    label: str = effect.label
    if effect.is_interaction:
        words = {"no difference that matters": "adds up", "undecided": "undecided"}
        label = words.get(label, "interacts" if interval else label)
    return names, *numbers, str(interval.n) if interval else NONE, label


def arms_table(results: Results) -> Table:
    """Each arm with its mean, deviation, time and parameters."""
    facts = [arm_facts(arm.name, results.of(arm.name)) for arm in results.arms]
    rows = tuple(
        (f.arm, percent(f.accuracy, 2), plain(f.deviation, 2), str(f.seeds), plain(f.seconds, 1), whole(f.parameters))
        for f in facts
    )
    return Table(head=("arm", "mean test accuracy", "standard deviation", "n", "seconds", "parameters"), rows=rows)


def scale_figure(results: Results) -> ScaleFigure | None:
    """The losses along a scale; None where no run has ended, or parameters do not grow along it."""
    if results.scale is None:
        return None
    scale = results.scale
    sizes = [size for size in scale.sizes if size.parameters and size.validation.values]
    if len({size.parameters for size in sizes}) < 2:
        return None
    named = (("training loss", "training"), ("validation loss", "validation"))
    candidates = [scale.sizes[index].parameters or 0 for index in scale.turn.candidates]
    known = [parameters for parameters in candidates if parameters]
    lowest = None if scale.turn.lowest is None else scale.sizes[scale.turn.lowest].parameters
    watched = any(
        row.run and row.run.metrics and row.run.metrics[-1].train_eval_loss is not None for row in results.rows
    )
    training = "after the epoch" if watched else "the mean during the epoch, with augmentation and dropout"
    return ScaleFigure(
        title=scale.sentence.partition(". ")[2].partition(". ")[0] or scale.sentence,
        caption=(
            f"Cross-entropy at the last epoch (training loss: {training}) over the number of parameters. Dot: one run. Line: mean of an "
            "arm. Bar: its 95 % confidence interval over the seeds (Student's t). Gray: the sizes that may have the lowest "
            "validation loss, with 95 % confidence."
        ),
        curves=tuple(_loss_curve(name, which, sizes) for name, which in named),
        turn=(min(known), max(known)) if known and not scale.turn.reason else None,
        lowest=lowest,
        table=_scale_table(results),
    )


def _loss_curve(name: str, which: str, sizes: list[Size]) -> LossCurve:
    points, means = [], []
    for size in sorted(sizes, key=lambda size: size.parameters or 0):
        losses, parameters = getattr(size, which), size.parameters or 0
        values = list(losses.values.values())
        points += [LossPoint(parameters=parameters, seed=seed, loss=loss) for seed, loss in losses.values.items()]
        if values:
            band = size.interval(losses)
            low, high = (band.low, band.high) if band else (None, None)
            means.append(LossMean(parameters=parameters, mean=statistics.fmean(values), low=low, high=high))
    return LossCurve(name=name, points=tuple(points), means=tuple(means))


def _scale_table(results: Results) -> Table:
    assert results.scale
    rows = []
    for index, size in enumerate(results.scale.sizes):
        cells = []
        for mean, losses in ((size.training_mean, size.training), (size.validation_mean, size.validation)):
            band = size.interval(losses)
            cells += [plain(mean, 3), between(band.low, band.high, 3) if band else NONE]
        mark = "yes" if index in results.scale.turn.candidates else "no"
        rows.append((size.arm, whole(size.parameters), *cells, str(len(size.validation.values)), mark))
    head = (
        "arm",
        "parameters",
        "training loss",
        "95 % interval",
        "validation loss",
        "95 % interval",
        "n",
        "may be lowest",
    )
    return Table(head=head, rows=tuple(rows))
