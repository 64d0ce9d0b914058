"""What the numbers of a comparison allow one to say.

Seven words and no others, each tied to an interval and to the smallest difference that matters, which was
written down before the runs. The first rule that holds decides:

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
    """One arm as measured: test accuracy in percent by seed, and what stands in the way of comparing it."""

    arm: str
    accuracy: Mapping[int, float]
    missing: Mapping[int, str] = field(
        default_factory=dict
    )  # by seed: "failed", "unfinished"; the reasons stand with the runs
    diverged: int = 0
    at_chance: int = 0
    test_digest: str = ""  # equal digests: tested on the same images; empty where no run came to the test
    test_images: int = 0
    declares_data: bool = False  # the arm itself changes the data, so other images are what is compared


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One planned comparison `first - second`, judged. Differences are in points of test accuracy."""

    first: str
    second: str
    label: Label
    sentence: str
    matters: float
    differences: Mapping[int, float]  # by seed
    interval: Interval | None = None
    p: float | None = None
    first_mean: float | None = None
    second_mean: float | None = None
    more_seeds: int | None = None

    @property
    def comparison(self) -> str:
        return f"{self.first} - {self.second}"

    def __str__(self) -> str:
        return self.sentence


def judge(pairs: Sequence[tuple[ArmResults, ArmResults]], matters: float) -> list[Verdict]:
    """The verdict on each planned comparison, corrected together (Holm)."""
    differences = [_differences(first, second) for first, second in pairs]
    judged = [i for i, pair in enumerate(pairs) if not _obstacle(*pair) and len(differences[i]) >= FEWEST_SEEDS]
    levels = holm_levels([p_value(list(differences[i].values())) for i in judged])
    confidence = {i: 1 - level for i, level in zip(judged, levels, strict=True)}
    return [_verdict(*pair, differences[i], matters, confidence.get(i)) for i, pair in enumerate(pairs)]


def label(low: float, high: float, matters: float) -> Label:
    """The word for an interval of a difference; the rules of this module's docstring, in their order."""
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
    """Why two arms cannot be compared, or nothing."""
    missing = [
        f"{arm.arm}: {seed_list([seed for seed, reason in arm.missing.items() if reason == what])} {what}"
        for arm in (first, second)
        for what in dict.fromkeys(arm.missing.values())
    ]
    if missing:
        return "; ".join(missing)
    declared = first.declares_data or second.declares_data
    if first.test_digest and second.test_digest and first.test_digest != second.test_digest and not declared:
        return "the two arms were tested on different images"
    return ""


def seed_list(seeds: Sequence[int]) -> str:
    """seed 0; seeds 0, 1."""
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def _verdict(
    first: ArmResults, second: ArmResults, differences: dict[int, float], matters: float, confidence: float | None
) -> Verdict:
    """The verdict on one comparison; `confidence` is None where there is nothing to judge."""
    said = Verdict(
        first=first.arm,
        second=second.arm,
        label="not comparable",
        sentence="",
        matters=matters,
        differences=differences,
    )
    if obstacle := _obstacle(first, second):
        return replace(said, sentence=f"{first.arm} and {second.arm} are not judged: {obstacle}.")
    a, b = (sum(arm.accuracy[seed] for seed in differences) / len(differences) for arm in (first, second))
    said = replace(said, first_mean=a, second_mean=b)
    values = list(differences.values())
    if confidence is None:
        return replace(said, label="too few seeds", sentence=_too_few(said))
    images = min(first.test_images, second.test_images)
    finest = 100 / images if images else 0.0
    found = interval(values, confidence, least=finest)
    said = replace(said, label=label(found.low, found.high, matters), interval=found, p=p_value(values))
    if said.label == "undecided" and not _is_too_fine(found, matters, finest):
        needed = seeds_needed(values, max(matters, finest), confidence)
        said = replace(said, more_seeds=max(needed - len(values), 0) if needed else None)
    return replace(
        said, sentence=_sentence(said, found, a, b, finest) + _declared(first, second) + _diverged(first, second)
    )


def _too_few(said: Verdict) -> str:
    n = len(said.differences)
    mean = sum(said.differences.values()) / n
    seen = f"{said.first} against {said.second}: {_signed(mean)} points with {_count(n, 'seed')} each"
    return f"{seen}. Not judged: fewer than {FEWEST_SEEDS} seeds cannot tell arms from luck."


def _sentence(said: Verdict, found: Interval, a: float, b: float, finest: float) -> str:
    low, high = _signed(found.low), _signed(found.high)
    numbers = f"{a:.1f} % against {b:.1f} %; {found.confidence * 100:.3g} % interval {low} to {high}"
    with_seeds = f"With {found.n} seeds each, {said.first}"
    points = f"{abs(found.mean):.1f} points of test accuracy ({numbers})"
    than = f"the {said.matters:g} points that matter"
    match said.label:
        case "clearly better":
            return f"{with_seeds} beat {said.second} by {points}: clearly better, by more than {than}."
        case "better":
            return f"{with_seeds} beat {said.second} by {points}: better, though perhaps by less than {than}."
        case "clearly worse":
            return f"{with_seeds} fell short of {said.second} by {points}: clearly worse, by more than {than}."
        case "worse":
            return f"{with_seeds} fell short of {said.second} by {points}: worse, though perhaps by less than {than}."
        case "no difference that matters":
            return f"{with_seeds} and {said.second} differ by {points}: no difference that matters, less than {than}."
    return f"{with_seeds} and {said.second} differ by {points}: undecided. {_more(said, finest)}"


def _is_too_fine(found: Interval, matters: float, finest: float) -> bool:
    """Whether no number of seeds can decide it: the difference seen is not larger than one test image."""
    return finest > matters and abs(found.mean) <= finest


def _more(said: Verdict, finest: float) -> str:
    """What would decide it; `finest` is one test image, in points."""
    assert said.interval
    if _is_too_fine(said.interval, said.matters, finest):
        return (
            f"One test image is {finest:.1f} points: to see {said.matters:g}, more of them are needed, not more seeds."
        )
    aim = f"would narrow this to +-{max(said.matters, finest):.3g} points"
    if said.more_seeds is None:
        return f"The seeds differ so much that no sensible number of them {aim}."
    n = len(said.differences)
    if not said.more_seeds:
        return f"The interval is narrower than +-{said.matters:g} points already; the difference lies near the edge of what matters."
    return f"About {n + said.more_seeds} seeds each ({said.more_seeds} more) {aim}."


def _declared(first: ArmResults, second: ArmResults) -> str:
    differs = first.test_digest != second.test_digest and (first.declares_data or second.declares_data)
    return " Each was tested on the images that its arm declares." if differs else ""


def _diverged(first: ArmResults, second: ArmResults) -> str:
    diverged = [f"{_count(arm.diverged, 'run')} of {arm.arm}" for arm in (first, second) if arm.diverged]
    stuck = [f"{_count(arm.at_chance, 'run')} of {arm.arm}" for arm in (first, second) if arm.at_chance]
    said = f" Diverged, and counted as chance: {' and '.join(diverged)}." if diverged else ""
    return f"{said} Learned nothing (no better than chance): {' and '.join(stuck)}." if stuck else said


def _signed(value: float) -> str:
    return f"{value:+.1f}"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
