"""Whether what somebody states is so, from the same intervals as verdicts.

A statement says where a mean or a difference lies: near a number, or above 0. It holds if the interval lies within the
stated range, it does not hold if the interval lies outside, and otherwise it is undecided. All intervals of a study's claims
hold together with 95 %, so a wrong word is among them in at most 5 % of studies.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from striate.verdicts.intervals import Interval
from striate.verdicts.records import ArmResults, Design, Metric, Verdict
from striate.verdicts.verdict import compare
from striate.verdicts.wording import amount, count, digits_for, edges, interval_digits, number, what_matters

Word = Literal["holds", "does not hold", "undecided", "not comparable"]
# The word of a claim is the first of these that one of its statements has.
PRECEDENCE: tuple[Word, ...] = ("does not hold", "not comparable", "undecided", "holds")
_ABOVE_0 = math.nextafter(0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Range:
    """A statement holds where the true difference is in `low` to `high`, and fails where it is below `below` or above `above`."""

    low: float
    high: float
    below: float
    above: float

    @classmethod
    def around(cls, target: float, tolerance: float) -> "Range":
        low, high = target - tolerance, target + tolerance
        return cls(low=low, high=high, below=low, above=high)

    @classmethod
    def better(cls, matters: float, *, lower_is_better: bool) -> "Range":
        """Above 0 (below, for a loss). A difference that is too small to matter, whatever its sign, is not better."""
        if lower_is_better:
            return cls(low=-math.inf, high=-_ABOVE_0, below=-math.inf, above=-matters)
        return cls(low=_ABOVE_0, high=math.inf, below=matters, above=math.inf)

    def word(self, interval: Interval) -> Word:
        if self.low <= interval.low and interval.high <= self.high:
            return "holds"
        return "does not hold" if interval.high < self.below or interval.low > self.above else "undecided"


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One thing that a claim states, with the measurements that decide it.

    A stated number of one arm is judged as a difference from an arm that has this number at every seed (`constant`).
    """

    text: str
    first: ArmResults
    second: ArmResults
    metric: Metric
    range: Range
    target: float | None = None  # the number as stated: a percentage, points, or times
    tolerance: float = 0.0  # of that number
    is_of_one_arm: bool = False
    obstacle: str = ""  # why it cannot be judged, known beforehand


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A statement with its word. `interval` is of the mean of the arm or of the difference, as `text` states it."""

    text: str
    word: Word
    sentence: str
    arms: tuple[str, ...]
    metric: Metric
    target: float | None = None
    tolerance: float = 0.0
    measured: float | None = None
    interval: Interval | None = None
    seeds: int = 0


@dataclass(frozen=True, kw_only=True)
class ClaimVerdict:
    """The verdict on a claim, from those on its statements."""

    says: str
    source: str
    word: Word
    statements: tuple[Judged, ...] = ()
    remark: str = ""

    @property
    def sentence(self) -> str:
        """What was measured, statement by statement, and then what a reader must know of it."""
        texts = [*(judged.sentence for judged in self.statements), self.remark]
        return " ".join(text for text in texts if text)

    def __str__(self) -> str:
        return f"'{self.says}': {self.word}. {self.sentence}"


def constant(name: str, value: float, arm: ArmResults, seeds: Sequence[int]) -> ArmResults:
    """An arm with one value at all seeds that `arm` has or should have."""
    all_seeds = {*seeds, *arm.values, *arm.failures, *arm.missing}
    return ArmResults(arm=name, values=dict.fromkeys(sorted(all_seeds), value), test_images=arm.test_images)


def judge_claim(
    says: str, source: str, statements: Sequence[Statement], design: Design, *, remark: str = ""
) -> ClaimVerdict:
    """The verdict on one claim; `design.comparisons` counts the statements of all claims of the study."""
    judged = tuple(_judge(statement, design) for statement in statements)
    words = {statement.word for statement in judged}
    default: Word = "not comparable"
    word = next((word for word in PRECEDENCE if word in words), default)
    if not judged and not remark:
        remark = "It states no number and no relation that could be measured."
    return ClaimVerdict(says=says, source=source, word=word, statements=judged, remark=remark)


def _judge(statement: Statement, design: Design) -> Judged:
    arms = (statement.first.arm,) if statement.is_of_one_arm else (statement.first.arm, statement.second.arm)
    judged = Judged(
        text=statement.text,
        word="not comparable",
        sentence="",
        arms=arms,
        metric=statement.metric,
        target=statement.target,
        tolerance=statement.tolerance,
    )
    if statement.obstacle:
        return replace(judged, sentence=f"{statement.text}: not comparable, as {statement.obstacle}.")
    (verdict,) = compare([(statement.first, statement.second)], replace(design, metric=statement.metric))
    if verdict.label == "not comparable":
        return replace(judged, sentence=f"{statement.text}: not comparable. {verdict.sentence}")
    if verdict.interval is None:
        judged = replace(judged, word=_word_of_failures(statement, verdict), seeds=len(verdict.differences))
        return replace(judged, sentence=_without(statement, judged, verdict))
    interval = _of_mean(verdict.interval, statement.target or 0.0) if statement.is_of_one_arm else verdict.interval
    word = statement.range.word(_shifted(interval, -(statement.target or 0.0)) if statement.is_of_one_arm else interval)
    judged = replace(judged, word=word, interval=interval, measured=interval.mean, seeds=verdict.interval.n)
    return replace(judged, sentence=_sentence(statement, judged, verdict))


def _word_of_failures(statement: Statement, verdict: Verdict) -> Word:
    """Which of two arms trains more often can be known where too few runs trained to compare their numbers."""
    is_order = statement.target is None and not statement.is_of_one_arm and statement.range.low != -statement.range.high
    if is_order and verdict.label == "trains more often":
        return "holds"
    return "does not hold" if is_order and verdict.label == "trains less often" else "undecided"


def _of_mean(difference: Interval, stated: float) -> Interval:
    """The interval of a mean percentage from that of its difference to what is stated."""
    interval = _shifted(difference, stated)
    return replace(interval, low=max(interval.low, 0.0), high=min(interval.high, 100.0))


def _shifted(interval: Interval, by: float) -> Interval:
    return replace(interval, mean=interval.mean + by, low=interval.low + by, high=interval.high + by)


def _without(statement: Statement, judged: Judged, verdict: Verdict) -> str:
    """Of a statement without an interval: too few runs, or too few that trained."""
    if statement.is_of_one_arm:
        seeds = count(len(verdict.differences), "seed")
        return f"{statement.text}: undecided, as {seeds} that trained are too few."
    return f"{statement.text}: {judged.word}. {verdict.sentence}"


def _sentence(statement: Statement, judged: Judged, verdict: Verdict) -> str:
    seeds = count(judged.seeds, "seed")
    if statement.is_of_one_arm:
        text = f"{statement.text}: {judged.word}. {_one_arm(statement, judged, verdict)}"
    else:
        text = f"{statement.text}: {judged.word}. Measured: {_difference(verdict)} (95 % interval {_edges(verdict)}; {seeds} each)"
        text += f"; stated: {_stated(statement)}." if statement.target is not None else "."
    if judged.word == "holds" and statement.target is None and _is_small(verdict):
        text += f" It is less than {what_matters(verdict)}."
    if verdict.new_images and (new := statement.range.word(verdict.new_images)) != judged.word:
        text += f" On new test images: {new}."
    return text


def _one_arm(statement: Statement, judged: Judged, verdict: Verdict) -> str:
    assert judged.interval
    digits = max(interval_digits(verdict.interval, verdict), 1) if verdict.interval else 1
    mean, low, high = (number(x, digits) for x in (judged.interval.mean, judged.interval.low, judged.interval.high))
    text = f"Measured: {mean} % (95 % interval {low} to {high}; {count(judged.seeds, 'seed')}"
    values = [statement.first.values[seed] for seed in verdict.differences]
    text += f", single runs {number(min(values), digits)} to {number(max(values), digits)})"
    return f"{text}; stated: {_stated(statement)}."


def _stated(statement: Statement) -> str:
    """88.2 % +- 0.5; 1.3 +- 0.05 times."""
    assert statement.target is not None
    digits = digits_for(5 * statement.tolerance) if statement.tolerance else 1
    target, tolerance = number(statement.target, digits), f"{statement.tolerance:g}"
    unit = {"ratio": " times", "plain": "", "percent": " points"}[statement.metric.scale]
    return f"{target} % +- {tolerance}" if statement.is_of_one_arm else f"{target} +- {tolerance}{unit}"


def _difference(verdict: Verdict) -> str:
    assert verdict.interval
    digits = interval_digits(verdict.interval, verdict)
    if verdict.metric.scale == "ratio":
        return f"{number(1 + verdict.interval.mean / 100, digits + 2)} times the {verdict.metric.name}"
    sign = "-" if verdict.interval.mean < 0 else "+"
    return f"{sign}{amount(abs(verdict.interval.mean), verdict.metric, digits)}"


def _edges(verdict: Verdict) -> str:
    assert verdict.interval
    return edges(verdict.interval, verdict)


def _is_small(verdict: Verdict) -> bool:
    return verdict.label == "no difference that matters"
