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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from striate.studies.display import seed_list
from striate.studies.statistics import Interval, holm_levels, interval, p_value, seeds_needed

Label = Literal[
    "not comparable",
    "too few seeds",
    "no difference that matters",
    "clearly better",
    "clearly worse",
    "better",
    "worse",
    "undecided",
]

FEWEST_SEEDS = 3


@dataclass(frozen=True, kw_only=True)
class ArmResults:
    """The test accuracies of one arm in percent, by seed, and what can make it impossible to compare."""

    arm: str
    accuracy: Mapping[int, float]
    missing: Mapping[int, str] = field(default_factory=dict)  # the state of each run without an accuracy, by seed
    diverged: int = 0  # runs
    at_chance: int = 0  # runs
    test_digest: str = ""  # arms with equal digests were tested on the same images; "" when no run has been tested
    test_images: int = 0
    declares_data: bool = False  # the arm changes the data, so a comparison of different images is intended


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The verdict on one planned comparison, `first - second`. Differences are in points of test accuracy."""

    first: str
    second: str
    label: Label
    sentence: str
    matters: float
    differences: Mapping[int, float]  # by seed
    interval: Interval | None = None  # of the mean difference
    p: float | None = None
    first_mean: float | None = None  # accuracies in percent, over the seeds of both arms
    second_mean: float | None = None
    more_seeds: int | None = None  # that would narrow an undecided interval to +-matters; None: not known, or too many

    @property
    def comparison(self) -> str:
        return f"{self.first} - {self.second}"

    def __str__(self) -> str:
        return self.sentence


def compare(pairs: Sequence[tuple[ArmResults, ArmResults]], matters: float) -> list[Verdict]:
    """The verdict on each planned comparison, corrected for all of them together (Holm)."""
    differences = [_differences(first, second) for first, second in pairs]
    tested = [i for i, pair in enumerate(pairs) if not _obstacle(*pair) and len(differences[i]) >= FEWEST_SEEDS]
    levels = holm_levels([p_value(list(differences[i].values())) for i in tested])
    confidence = {i: 1 - level for i, level in zip(tested, levels, strict=True)}
    return [_verdict(*pair, differences[i], matters, confidence.get(i)) for i, pair in enumerate(pairs)]


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


def _verdict(
    first: ArmResults, second: ArmResults, differences: dict[int, float], matters: float, confidence: float | None
) -> Verdict:
    """The verdict on one comparison; `confidence` is None where no interval can be given."""
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
    if confidence is None:
        return replace(verdict, label="too few seeds", sentence=_too_few(verdict))
    images = min(first.test_images, second.test_images)
    step = 100 / images if images else 0.0  # one test image, in points
    difference = interval(values, confidence, least=step)
    verdict = replace(
        verdict, label=label(difference.low, difference.high, matters), interval=difference, p=p_value(values)
    )
    if verdict.label == "undecided" and not _is_below_one_image(difference, matters, step):
        needed = seeds_needed(values, max(matters, step), confidence)
        verdict = replace(verdict, more_seeds=max(needed - len(values), 0) if needed else None)
    text = _sentence(verdict, difference, a, b, step) + _other_images(first, second) + _troubled_runs(first, second)
    return replace(verdict, sentence=text)


def _too_few(verdict: Verdict) -> str:
    n = len(verdict.differences)
    mean = sum(verdict.differences.values()) / n
    difference = f"{verdict.first} against {verdict.second}: {_signed(mean)} points with {_count(n, 'seed')} each"
    return f"{difference}. No verdict: it needs {FEWEST_SEEDS} seeds or more."


def _sentence(verdict: Verdict, difference: Interval, a: float, b: float, step: float) -> str:
    low, high = _signed(difference.low), _signed(difference.high)
    numbers = f"{a:.1f} % against {b:.1f} %; {difference.confidence * 100:.3g} % interval {low} to {high}"
    first, second = f"With {difference.n} seeds each, {verdict.first}", verdict.second
    points = f"{abs(difference.mean):.1f} points of test accuracy ({numbers})"
    than = f"the {verdict.matters:g} points that matter"
    match verdict.label:
        case "clearly better":
            return f"{first} beat {second} by {points}: clearly better, by more than {than}."
        case "better":
            return f"{first} beat {second} by {points}: better, though perhaps by less than {than}."
        case "clearly worse":
            return f"{first} fell short of {second} by {points}: clearly worse, by more than {than}."
        case "worse":
            return f"{first} fell short of {second} by {points}: worse, though perhaps by less than {than}."
        case "no difference that matters":
            return f"{first} and {second} differ by {points}: no difference that matters, less than {than}."
    return f"{first} and {second} differ by {points}: undecided. {_cure(verdict, difference, step)}"


def _is_below_one_image(difference: Interval, matters: float, step: float) -> bool:
    """Whether no number of seeds can decide it: the mean difference is at most one test image, which is more than `matters`."""
    return step > matters and abs(difference.mean) <= step


def _cure(verdict: Verdict, difference: Interval, step: float) -> str:
    """What would decide an undecided comparison."""
    matters = verdict.matters
    if _is_below_one_image(difference, matters, step):
        return f"One test image is {step:.1f} points: to see {matters:g}, more test images are needed, not more seeds."
    goal = f"would narrow this to +-{max(matters, step):.3g} points"
    if verdict.more_seeds is None:
        return f"The seeds differ so much that no practical number of them {goal}."
    if not verdict.more_seeds:
        return f"The interval is narrower than +-{matters:g} points already; the difference lies near the edge of what matters."
    return f"About {difference.n + verdict.more_seeds} seeds each ({verdict.more_seeds} more) {goal}."


def _other_images(first: ArmResults, second: ArmResults) -> str:
    differs = first.test_digest != second.test_digest and (first.declares_data or second.declares_data)
    return " Each was tested on the images that its arm declares." if differs else ""


def _troubled_runs(first: ArmResults, second: ArmResults) -> str:
    diverged = [f"{_count(arm.diverged, 'run')} of {arm.arm}" for arm in (first, second) if arm.diverged]
    at_chance = [f"{_count(arm.at_chance, 'run')} of {arm.arm}" for arm in (first, second) if arm.at_chance]
    text = f" Diverged, and counted as chance: {' and '.join(diverged)}." if diverged else ""
    return text + f" Learned nothing (no better than chance): {' and '.join(at_chance)}." * bool(at_chance)


def _signed(value: float) -> str:
    return f"{value:+.1f}"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
