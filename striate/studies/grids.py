"""A grid's results: effects of its factors, and each arm in a line."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from striate.studies.arm_names import short
from striate.studies.metrics import RunMetric, run_metric
from striate.studies.rows import RunRow
from striate.studies.study import Study
from striate.verdicts import ArmResults, Design
from striate.verdicts.factorial import Cell, Effect, Factor, effects
from striate.verdicts.intervals import deviation


@dataclass(frozen=True, kw_only=True)
class ArmFacts:
    """One arm: means over the seeds that trained, in percent and seconds."""

    arm: str
    seeds: int
    not_trained: int
    accuracy: float | None
    deviation: float | None  # of accuracies between seeds; from two up
    seconds: float | None
    parameters: int | None


def factors(study: Study) -> tuple[Factor, ...]:
    """The factors of the study's grid, by the last word of their keys where that tells them apart."""
    last = [key.rpartition(".")[2] for key in study.grid]
    names = last if len(set(last)) == len(last) else list(study.grid)
    return tuple(
        Factor(name=name, levels=tuple(map(short, values)))
        for name, values in zip(names, study.grid.values(), strict=True)
    )


def cells(study: Study) -> dict[str, Cell]:
    """The levels of each arm of the grid, by name."""
    return {
        name: tuple(list(study.grid[key]).index(value) for key, value in changes.items())
        for name, changes in study.variations.items()
    }


def judge_effects(study: Study, design: Design, measured: Callable[[str, RunMetric], ArmResults]) -> tuple[Effect, ...]:
    """Main effects and interactions in the study's metric; none where the study has no grid."""
    if not study.grid:
        return ()
    metric = run_metric(study.metric)
    return effects(factors(study), {cell: measured(arm, metric) for arm, cell in cells(study).items()}, design)


def arm_facts(arm: str, rows: Sequence[RunRow]) -> ArmFacts:
    """Of the runs of one arm; time and parameters also of runs that did not train."""
    accuracies = [row.test_accuracy for row in rows if row.trained and row.test_accuracy is not None]
    seconds = [row.summary.seconds for row in rows if row.trained and row.summary]
    parameters = {row.summary.parameters for row in rows if row.summary and row.summary.parameters}
    return ArmFacts(
        arm=arm,
        seeds=len(accuracies),
        not_trained=sum(bool(row.failure) for row in rows),
        accuracy=statistics.fmean(accuracies) if accuracies else None,
        deviation=deviation(accuracies) if len(accuracies) > 1 else None,
        seconds=statistics.fmean(seconds) if seconds else None,
        parameters=max(parameters, default=None),
    )


def interactions_in_words(found: Sequence[Effect]) -> list[str]:
    """One sentence for each pair of factors: which levels interact, or that none does, or that it is undecided."""
    pairs: dict[tuple[str, ...], list[Effect]] = {}
    for effect in found:
        if effect.is_interaction:
            pairs.setdefault(effect.factors, []).append(effect)
    return [_pair_in_words(names, group) for names, group in pairs.items()]


def _pair_in_words(names: tuple[str, ...], group: Sequence[Effect]) -> str:
    if len(group) == 1:
        return group[0].sentence
    both = " and ".join(names)
    clear = [effect for effect in group if effect.label in {"better", "worse", "clearly better", "clearly worse"}]
    if clear:
        strongest = max(clear, key=lambda effect: abs(effect.interval.mean) if effect.interval else 0.0)
        return f"{both}: {len(clear)} of {len(group)} pairs of levels interact. The most: {strongest.sentence}"
    small = sum(effect.label == "no difference that matters" for effect in group)
    if small == len(group):
        return f"{both}: their effects add up; no pair of levels differs from the sum by an amount that matters."
    return f"{both}: undecided whether they interact ({small} of {len(group)} pairs of levels add up)."
