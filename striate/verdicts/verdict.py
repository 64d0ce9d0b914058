"""The verdict on a comparison of two arms, from the paired differences of their accuracies.

A verdict is one of eight labels. `matters`, the smallest difference of interest, is written down before the runs.
The first rule that holds decides:

    not comparable              a run is missing, or the arms were tested on different images
    too few seeds               fewer than 3
    no difference that matters  the interval lies within +-matters
    clearly better / worse      the interval lies beyond +matters / -matters
    better / worse              the interval excludes 0
    undecided                   otherwise
"""

from collections.abc import Sequence
from dataclasses import replace

from striate.verdicts.intervals import ALPHA, interval, p_value, seeds_needed
from striate.verdicts.records import FEWEST_SEEDS, ArmResults, Label, Verdict
from striate.verdicts.sentences import is_below_one_image, other_images, seed_list, sentence, too_few, troubled_runs


def compare(pairs: Sequence[tuple[ArmResults, ArmResults]], matters: float) -> list[Verdict]:
    """The verdict on each planned comparison, each at its share of alpha (Bonferroni): their intervals hold together."""
    return [_verdict(first, second, matters, len(pairs)) for first, second in pairs]


def label(low: float, high: float, matters: float) -> Label:
    """The label for the interval from `low` to `high`, by the rules of this module's docstring in their order."""
    if -matters <= low and high <= matters:
        return "no difference that matters"
    if low > matters:
        return "clearly better"
    if high < -matters:
        return "clearly worse"
    if low > 0:
        return "better"
    if high < 0:
        return "worse"
    return "undecided"


def _differences(first: ArmResults, second: ArmResults) -> dict[int, float]:
    return {
        seed: first.accuracy[seed] - second.accuracy[seed] for seed in sorted(first.accuracy) if seed in second.accuracy
    }


def _obstacle(first: ArmResults, second: ArmResults) -> str:
    """Why two arms cannot be compared; "" if they can."""
    missing = [
        f"{arm.arm}: {seed_list([seed for seed in arm.missing if arm.missing[seed] == state])} {state}"
        for arm in (first, second)
        for state in dict.fromkeys(arm.missing.values())
    ]
    if missing:
        return "; ".join(missing)
    are_tested = first.test_digest and second.test_digest
    is_intended = first.declares_data or second.declares_data
    if are_tested and first.test_digest != second.test_digest and not is_intended:
        return "the two arms were tested on different images"
    return ""


def _verdict(first: ArmResults, second: ArmResults, matters: float, comparisons: int) -> Verdict:
    """The verdict on one comparison."""
    differences = _differences(first, second)
    verdict = Verdict(
        first=first.arm,
        second=second.arm,
        label="not comparable",
        sentence="",
        matters=matters,
        differences=differences,
    )
    if obstacle := _obstacle(first, second):
        return replace(verdict, sentence=f"{first.arm} and {second.arm} cannot be compared: {obstacle}.")
    a, b = (sum(arm.accuracy[seed] for seed in differences) / len(differences) for arm in (first, second))
    verdict = replace(verdict, first_mean=a, second_mean=b)
    values = list(differences.values())
    if len(values) < FEWEST_SEEDS:
        return replace(verdict, label="too few seeds", sentence=too_few(verdict))
    images = min(first.test_images, second.test_images)
    step = 100 / images if images else 0.0  # one test image, in points
    confidence = 1 - ALPHA / comparisons
    difference = interval(values, confidence, least=step)
    verdict = replace(
        verdict, label=label(difference.low, difference.high, matters), interval=difference, p=p_value(values)
    )
    if verdict.label == "undecided" and not is_below_one_image(difference, matters, step):
        needed = seeds_needed(values, max(matters, step), confidence)
        verdict = replace(verdict, more_seeds=max(needed - len(values), 0) if needed else None)
    text = (
        sentence(verdict, difference, a, b, step, comparisons)
        + other_images(first, second)
        + troubled_runs(first, second)
    )
    return replace(verdict, sentence=text)
