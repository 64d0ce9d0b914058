"""One precision for the arms of a study whose recipes say auto, decided before its runs start.

Arms in different precisions would differ in more than what the study varies.
"""

from collections import Counter
from collections.abc import Callable

from striate.core.records import fingerprint
from striate.engines.precision import PrecisionChoice, PrecisionQuestion, together
from striate.studies.plan import Plan

# None: the user wants to stop.
Ask = Callable[[PrecisionQuestion], PrecisionChoice | None]


def study_precision(plan: Plan, device: str, threads: int, ask: Ask) -> PrecisionChoice | None:
    """The precision of every run of `plan` whose recipe says auto: that of its earlier runs, else bf16 if it is faster in every arm.

    None: there is no such run to train, or `ask` was stopped.
    """
    arms = [arm for arm in plan.arms if arm.recipe.precision == "auto"]
    if not any(run.job.recipe.precision == "auto" for run in plan.missing):
        return None
    earlier = _earlier_precision(plan)
    questions: dict[str, tuple[str, PrecisionQuestion]] = {}  # arms that train at equal costs share one
    for arm in arms:
        if not earlier or arm.recipe.engine == "torch":  # the others have one precision, whatever the study has
            dataset = plan.datasets[arm.name]
            question = PrecisionQuestion.of(arm.recipe, arm.network, dataset, device, threads, earlier)
            questions.setdefault(fingerprint(question), (arm.name, question))
    choices: list[tuple[str, PrecisionChoice]] = []
    for name, question in questions.values():
        choice = ask(question)
        if choice is None:
            return None
        choices.append((name, choice))
        if choice.precision != "bf16" or choice.precision == earlier:
            break  # that is the answer for all
    return together(choices) if choices else None


def _earlier_precision(plan: Plan) -> str:
    """The precision that most runs of the study have that did not state one; empty: there are none."""
    counts = Counter(
        run.run.environment.precision
        for run in (*plan.runs, *plan.unplanned)
        if run.run and run.run.environment and run.job.recipe.precision == "auto" and run.job.recipe.engine == "torch"
    )
    del counts[""]
    return counts.most_common(1)[0][0] if counts else ""
