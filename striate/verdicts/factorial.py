"""Main effects and interactions of crossed factors, judged as verdicts are.

The main effect of a level is its difference from the first level of its factor, averaged over all other factors. The
interaction of two levels is how far their effect together is from the sum of both effects. Each is one number for each seed,
so its interval is that of a difference paired by seed. All of them hold together with 95 %.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from striate.verdicts.intervals import Interval
from striate.verdicts.records import ArmResults, Design, Label, Metric, Verdict
from striate.verdicts.verdict import compare
from striate.verdicts.wording import count, edges, interval_digits, number, signed

MOST_EFFECTS = 500  # beyond it interactions are left out
Cell = tuple[int, ...]  # the level of each factor


@dataclass(frozen=True, kw_only=True)
class Factor:
    """What is crossed, and its levels as they are shown."""

    name: str
    levels: tuple[str, ...]

    def level(self, index: int) -> str:
        return f"{self.name}={self.levels[index]}"


@dataclass(frozen=True, kw_only=True)
class Effect:
    """A main effect of one level, or an interaction of two, with its verdict.

    `interval` is in points, in the unit of the metric, or in percent of a ratio.
    """

    factors: tuple[str, ...]
    levels: tuple[str, ...]
    label: Label
    interval: Interval | None
    sentence: str
    verdict: Verdict

    @property
    def is_interaction(self) -> bool:
        return len(self.factors) > 1

    def __str__(self) -> str:
        return self.sentence


def effects(factors: Sequence[Factor], cells: Mapping[Cell, ArmResults], design: Design) -> tuple[Effect, ...]:
    """Every main effect, then every interaction of two factors; `cells` has an arm for each combination of levels."""
    main = [(index, level) for index, factor in enumerate(factors) for level in range(1, len(factor.levels))]
    pairs = [(a, b) for a, b in itertools.combinations(main, 2) if a[0] != b[0]]
    if len(main) + len(pairs) > MOST_EFFECTS:
        pairs = []
    design = replace(design, comparisons=len(main) + len(pairs))
    maker = _Maker(factors, cells, design)
    return (*(maker.main(*effect) for effect in main), *(maker.interaction(a, b) for a, b in pairs))


@dataclass(frozen=True)
class _Maker:
    factors: Sequence[Factor]
    cells: Mapping[Cell, ArmResults]
    design: Design

    def main(self, factor: int, level: int) -> Effect:
        levels = self.factors[factor]
        first, second = (self._mean(levels.level(at), [{factor: at}]) for at in (level, 0))
        (verdict,) = compare([(first, second)], self.design)
        averaged = len(self.cells) // len(levels.levels)
        over = f"Averaged over {count(averaged, 'arm')}: " if averaged > 1 else ""
        return Effect(
            factors=(levels.name,),
            levels=(levels.levels[level],),
            label=verdict.label,
            interval=verdict.interval,
            sentence=f"{over}{verdict.sentence}",
            verdict=verdict,
        )

    def interaction(self, a: tuple[int, int], b: tuple[int, int]) -> Effect:
        """As half the difference of differences, which is one of two means of arms; then twice its interval."""
        (f, i), (g, j) = a, b
        both = self._mean("together", [{f: i, g: j}, {f: 0, g: 0}])
        alone = self._mean("alone", [{f: i, g: 0}, {f: 0, g: j}])
        metric = self.design.metric
        matters = _half(self.design.matters, metric)
        (verdict,) = compare([(both, alone)], replace(self.design, matters=matters))
        names = (self.factors[f].level(i), self.factors[g].level(j))
        interval = _doubled(verdict.interval, metric) if verdict.interval else None
        return Effect(
            factors=(self.factors[f].name, self.factors[g].name),
            levels=(self.factors[f].levels[i], self.factors[g].levels[j]),
            label=verdict.label,
            interval=interval,
            sentence=_interaction_sentence(names, replace(verdict, matters=self.design.matters, interval=interval)),
            verdict=verdict,
        )

    def _mean(self, name: str, fixed: Sequence[Mapping[int, int]]) -> ArmResults:
        """All cells that agree with one of `fixed`, as one arm: the mean at each seed at which all of them have a value."""
        arms = [self.cells[cell] for some in fixed for cell in self._cells(some)]
        seeds = sorted({seed for arm in arms for seed in (*arm.values, *arm.failures, *arm.missing)})
        mean = _mean_of(self.design.metric)
        complete = [seed for seed in seeds if all(seed in arm.values for arm in arms)]
        failed = [seed for seed in seeds if any(seed in arm.failures for arm in arms)]
        missing = {s: _state(arms, s) for s in seeds if s not in complete and s not in failed}
        return ArmResults(
            arm=name,
            values={seed: mean([arm.values[seed] for arm in arms]) for seed in complete},
            failures={seed: next(arm.failures[seed] for arm in arms if seed in arm.failures) for seed in failed},
            missing=missing,
            test_images=min(arm.test_images for arm in arms),
            test_digest=arms[0].test_digest if len({arm.test_digest for arm in arms}) == 1 else "",
            declares_data=any(arm.declares_data for arm in arms),
        )

    def _cells(self, fixed: Mapping[int, int]) -> Iterator[Cell]:
        return (cell for cell in self.cells if all(cell[factor] == level for factor, level in fixed.items()))


def _state(arms: Sequence[ArmResults], seed: int) -> str:
    return next((arm.missing[seed] for arm in arms if seed in arm.missing), "missing")


def _mean_of(metric: Metric) -> Callable[[Sequence[float]], float]:
    """The arithmetic mean; the geometric one of ratios."""
    if metric.scale == "ratio":
        return lambda values: math.exp(math.fsum(map(math.log, values)) / len(values))
    return lambda values: math.fsum(values) / len(values)


def _half(difference: float, metric: Metric) -> float:
    """Half of a difference; of a ratio in percent its root."""
    return 100 * (math.sqrt(1 + difference / 100) - 1) if metric.scale == "ratio" else difference / 2


def _doubled(interval: Interval, metric: Metric) -> Interval:
    def double(end: float) -> float:
        return 100 * ((1 + end / 100) ** 2 - 1) if metric.scale == "ratio" else 2 * end

    return replace(interval, mean=double(interval.mean), low=double(interval.low), high=double(interval.high))


def _interaction_sentence(names: tuple[str, str], verdict: Verdict) -> str:
    both = f"{names[0]} and {names[1]}"
    if verdict.interval is None:
        return f"{both}: no verdict on their interaction. {verdict.sentence}"
    interval, digits = verdict.interval, interval_digits(verdict.interval, verdict)
    size = f"{signed(interval.mean, digits)}{' points' if verdict.metric.scale == 'percent' else ''}"
    if verdict.metric.scale == "ratio":
        size = f"{number(1 + interval.mean / 100, digits + 2)} times"
    numbers = (
        f"{size} beside the sum of both effects (95 % interval {edges(interval, verdict)}; {count(interval.n, 'seed')})"
    )
    match verdict.label:
        case "undecided":
            return f"{both}: {numbers}, so it is undecided whether one changes the effect of the other."
        case "no difference that matters":
            return f"{both}: {numbers}; neither changes the effect of the other by an amount that matters."
        case _:
            gain = "more" if verdict.label in {"better", "clearly better"} else "less"
            return f"{both}: {numbers}; together they bring {gain} than the sum of both."
