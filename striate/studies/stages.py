"""Which runs a study needs now. With planned looks that depends on the results: arms go on while a comparison is undecided."""

import itertools
from collections.abc import Mapping, Sequence

from striate.studies.design import Look, StudyDesign, today
from striate.studies.metrics import run_metric
from striate.studies.study import Study
from striate.verdicts import ArmResults, Design, Verdict, compare
from striate.verdicts.verdict import DECIDED


def judging(study: Study, design: StudyDesign) -> Design:
    """What verdicts need to know of the design. `matters` and the metric are those of the study file: a change is listed."""
    comparisons = design.with_comparisons(study.metric, [str(comparison) for comparison in study.comparisons])
    return Design(
        matters=study.matters,
        metric=run_metric(study.metric).metric,
        seeds=design.seeds,
        looks=design.looks,
        comparisons=comparisons.comparison_count,
    )


def new_looks(study: Study, verdicts: Sequence[Verdict]) -> tuple[Look, ...]:
    """The looks that these verdicts were for the first time, a record for each number of seeds."""
    known = {(name, look.seeds) for look in study.looks_taken for name in look.comparisons}
    names: dict[int, list[str]] = {}
    for verdict in verdicts:
        last = verdict.looks[-1] if verdict.looks else 0
        for seeds in (*verdict.looks, *([last + verdict.beyond_plan] if verdict.beyond_plan else [])):
            if (verdict.comparison, seeds) not in known and verdict.label != "not comparable":
                names.setdefault(seeds, []).append(verdict.comparison)
    return tuple(Look(date=today(), seeds=seeds, comparisons=tuple(names[seeds])) for seeds in sorted(names))


def judge(study: Study, design: Design, results: Mapping[str, ArmResults], up_to: int | None = None) -> list[Verdict]:
    """The verdict on each comparison. `up_to`: as it was with so many of the planned seeds."""
    pairs = [(results[comparison.first], results[comparison.second]) for comparison in study.comparisons]
    return compare(pairs, design, up_to)


def due_seeds(
    study: Study, design: Design, arms: Sequence[str], results: Mapping[str, ArmResults]
) -> dict[str, tuple[int, ...]]:
    """The planned seeds that each arm needs now, whether they have been run or not.

    All of them, unless looks are planned: then those of the first look, and those of each further look for the arms of
    comparisons that were undecided at the one before. A look decides by its own seeds alone, so a study that was stopped
    in between trains the same runs.
    """
    if not study.looks:
        return dict.fromkeys(arms, study.seeds)
    due = dict.fromkeys(arms, study.looks[0])
    # Each comparison by its place among the study's; a decided one needs no further look.
    undecided = set(range(len(study.comparisons)))
    for look, following in itertools.pairwise(study.looks):
        verdicts = judge(study, design, results, up_to=look)
        undecided = {index for index in undecided if _goes_on(verdicts[index], look, study, results)}
        for index in undecided:
            for arm in (verdicts[index].first, verdicts[index].second):
                due[arm] = following
    return {arm: study.seeds[:count] for arm, count in due.items()}


def _goes_on(verdict: Verdict, look: int, study: Study, results: Mapping[str, ArmResults]) -> bool:
    """Whether all runs of this look have ended, and it decided nothing."""
    arms = (results[verdict.first], results[verdict.second])
    is_complete = all(seed in arm.values or seed in arm.failures for arm in arms for seed in study.seeds[:look])
    return is_complete and verdict.label not in DECIDED and verdict.label != "not comparable"
