"""A study's claims with the measurements that decide them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from striate.studies.claims import Claim
from striate.studies.metrics import TEST_ACCURACY, RunMetric, run_metric
from striate.studies.relations import Relation, read_relation
from striate.studies.study import Study
from striate.verdicts import ArmResults, Design
from striate.verdicts.claims import ClaimVerdict, Range, Statement, constant, judge_claim

# What matters in a metric of this scale, where the study's own metric has another.
MATTERS = {"percent": 0.5, "ratio": 5.0, "plain": 0.0}


@dataclass(frozen=True)
class _Source:
    """Where the statements get their numbers. `measured` gives those of an arm in a metric."""

    study: Study
    arms: Sequence[str]
    design: Design
    measured: Callable[[str, RunMetric], ArmResults]

    def matters(self, metric: RunMetric) -> float:
        is_same = metric.metric.scale == run_metric(self.study.metric).metric.scale
        return self.study.matters if is_same else MATTERS[metric.metric.scale]


def judge_claims(
    study: Study, arms: Sequence[str], design: Design, measured: Callable[[str, RunMetric], ArmResults]
) -> tuple[ClaimVerdict, ...]:
    """The verdict on each claim of the study, in its order."""
    source = _Source(study, arms, design, measured)
    stated = [(claim, _statements(claim, source)) for claim in study.claims]
    design = replace(design, comparisons=sum(len(statements) for _, statements in stated))
    return tuple(
        judge_claim(claim.says, claim.source, statements, design, remark=_remark(claim, study))
        for claim, statements in stated
    )


def _remark(claim: Claim, study: Study) -> str:
    differs = "; ".join(_differences(claim, study))
    return f"The claim was made with other settings: {differs}." if differs and claim.relation else ""


def _differences(claim: Claim, study: Study) -> list[str]:
    """How the settings of the claim differ from those of the runs, as far as it is known."""
    here = ", ".join(f"{key}={value}" for key, value in study.overridden.items())
    return [text for text in (claim.differs, f"here {here}" if here else "") if text]


def _statements(claim: Claim, source: _Source) -> list[Statement]:
    obstacle = "; ".join(_differences(claim, source.study))
    values = [_value(claim, arm, source) for arm in claim.values]
    statements = [
        replace(statement, obstacle=f"settings differ ({obstacle})" if obstacle else "") for statement in values
    ]
    if claim.relation:
        relation = read_relation(claim.relation)
        statements += [_relation(relation, better, worse, source) for better, worse in relation.pairs(source.arms)]
    return statements


def _value(claim: Claim, arm: str, source: _Source) -> Statement:
    metric = run_metric(TEST_ACCURACY)
    target, tolerance = claim.values[arm], claim.tolerances.get(arm, source.matters(metric))
    results = source.measured(arm, metric)
    text = f"{arm} {target:g} %"
    return Statement(
        text=text,
        first=results,
        second=constant(f"{target:g} %", target, results, source.design.seeds),
        metric=metric.metric,
        range=Range.around(0.0, tolerance),
        target=target,
        tolerance=tolerance,
        is_of_one_arm=True,
    )


def _relation(relation: Relation, better: str, worse: str, source: _Source) -> Statement:
    """That `better` is better than `worse`, or the relation's number."""
    metric = run_metric(relation.metric)
    matters, lower = source.matters(metric), metric.metric.lower_is_better
    text, target, tolerance = relation.text, relation.target, relation.tolerance or 0.0
    if len(relation.arms) < 2:
        text = f"{better} is better than {worse} in {metric.metric.name}"
    if relation.is_equal:
        bounds = Range.around(0.0, tolerance or matters)
    elif target is None:
        bounds = Range.better(matters, lower_is_better=lower)
    elif relation.is_times:
        tolerance = tolerance or relation.rounding
        low, high = 100 * (target - tolerance - 1), 100 * (target + tolerance - 1)  # as differences in percent
        bounds = Range(low=low, high=high, below=low, above=high)
    else:
        tolerance = tolerance or max(relation.rounding, matters)
        target = -target if lower else target
        bounds = Range.around(target, tolerance)
    return Statement(
        text=text,
        first=source.measured(better, metric),
        second=source.measured(worse, metric),
        metric=metric.metric,
        range=bounds,
        target=target,
        tolerance=tolerance,
    )
