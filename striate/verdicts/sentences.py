"""The sentences of verdicts, and lists in words."""

from collections.abc import Sequence

from striate.verdicts.intervals import Interval
from striate.verdicts.records import FEWEST_SEEDS, ArmResults, Verdict


def short_list(words: Sequence[str], most: int = 10) -> str:
    """The words with commas between them; of more than `most`, the first ones and the number of all."""
    if len(words) <= most:
        return ", ".join(words)
    return f"{', '.join(words[:most])}, ... ({len(words):,} in all)"


def seed_list(seeds: Sequence[int]) -> str:
    """seed 0; seeds 0, 1."""
    return f"seed{'s' if len(seeds) > 1 else ''} {short_list([str(seed) for seed in seeds])}"


def too_few(verdict: Verdict) -> str:
    n = len(verdict.differences)
    mean = sum(verdict.differences.values()) / n
    difference = f"{verdict.first} against {verdict.second}: {_signed(mean)} points with {_count(n, 'seed')} each"
    return f"{difference}. No verdict: it needs {FEWEST_SEEDS} seeds or more."


def sentence(verdict: Verdict, difference: Interval, a: float, b: float, step: float, comparisons: int = 1) -> str:
    low, high = _signed(difference.low), _signed(difference.high)
    together = f", together with {_count(comparisons - 1, 'other comparison')}" if comparisons > 1 else ""
    numbers = f"{a:.1f} % against {b:.1f} %; 95 % interval {low} to {high}{together}"
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


def is_below_one_image(difference: Interval, matters: float, step: float) -> bool:
    """Whether no number of seeds can decide it: the mean difference is at most one test image, which is more than `matters`."""
    return step > matters and abs(difference.mean) <= step


def _cure(verdict: Verdict, difference: Interval, step: float) -> str:
    """What would decide an undecided comparison."""
    matters = verdict.matters
    if is_below_one_image(difference, matters, step):
        return f"One test image is {step:.1f} points: to see {matters:g}, more test images are needed, not more seeds."
    goal = f"would narrow this to +-{max(matters, step):.3g} points"
    if verdict.more_seeds is None:
        return f"The seeds differ so much that no practical number of them {goal}."
    if not verdict.more_seeds:
        return f"The interval is narrower than +-{matters:g} points already; the difference lies near the edge of what matters."
    return f"About {difference.n + verdict.more_seeds} seeds each ({verdict.more_seeds} more) {goal}."


def other_images(first: ArmResults, second: ArmResults) -> str:
    differs = first.test_digest != second.test_digest and (first.declares_data or second.declares_data)
    return " Each was tested on the images that its arm declares." if differs else ""


def troubled_runs(first: ArmResults, second: ArmResults) -> str:
    diverged = [f"{_count(arm.diverged, 'run')} of {arm.arm}" for arm in (first, second) if arm.diverged]
    at_chance = [f"{_count(arm.at_chance, 'run')} of {arm.arm}" for arm in (first, second) if arm.at_chance]
    text = f" Diverged, and counted as chance: {' and '.join(diverged)}." if diverged else ""
    return text + f" Learned nothing (no better than chance): {' and '.join(at_chance)}." * bool(at_chance)


def _signed(value: float) -> str:
    return f"{value:+.1f}"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
