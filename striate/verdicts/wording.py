"""Numbers in the sentences of verdicts, and lists in words.

Digits follow the smallest difference of interest, and there are more of them where rounding would change what a number says:
an interval that excludes 0 is not printed with an end of 0.0.
"""

import math
from collections.abc import Sequence

from striate.verdicts.intervals import Interval
from striate.verdicts.records import Metric, Verdict

MOST_DIGITS = 6
MOST_LETTERS = 3  # of the symbol of a unit, which has no plural


def short_list(words: Sequence[str], most: int = 10) -> str:
    """The words with commas between them; of more than `most`, the first ones and the number of all."""
    if len(words) <= most:
        return ", ".join(words)
    return f"{', '.join(words[:most])}, ... ({len(words):,} in all)"


def seed_list(seeds: Sequence[int]) -> str:
    """seed 0; seeds 0, 1."""
    return f"seed{'s' if len(seeds) > 1 else ''} {short_list([str(seed) for seed in seeds])}"


def count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def ordinal(n: int) -> str:
    words = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
    return words[n - 1] if n <= len(words) else f"{n}th"


def digits_for(matters: float) -> int:
    """So many decimals that the last one is at most a fifth of what matters; at least one."""
    return min(MOST_DIGITS, max(1, math.ceil(-math.log10(matters / 5) - 1e-9)))


def number(value: float, digits: int) -> str:
    """Without a sign where it is rounded to 0."""
    text = f"{value:.{digits}f}"
    return text if float(text) else text.removeprefix("-")


def signed(value: float, digits: int) -> str:
    text = number(value, digits)
    return text if text.startswith("-") or not float(text) else f"+{text}"


def rough(value: float) -> str:
    """Two significant digits, without an exponent where the number is read as one."""
    return f"{float(f'{value:.2g}'):g}"


def interval_digits(interval: Interval, verdict: Verdict) -> int:
    """As many decimals as `matters` asks for, and as show on which side of 0 and of what matters each end lies."""
    limits = (0.0, *verdict.band)
    digits = digits_for(verdict.matters)
    while digits < MOST_DIGITS and any(
        _side(end, limit) != _side(round(end, digits), limit)
        for end in (interval.low, interval.high)
        for limit in limits
    ):
        digits += 1
    return digits


def _side(value: float, limit: float) -> int:
    return (value > limit + 1e-9) - (value < limit - 1e-9)


def edges(interval: Interval, verdict: Verdict) -> str:
    """+0.7 to +1.7; of a ratio 1.21 to 1.40 times."""
    digits = interval_digits(interval, verdict)
    if verdict.metric.scale == "ratio":
        low, high = (number(1 + end / 100, digits + 2) for end in (interval.low, interval.high))
        return f"{low} to {high} times"
    return f"{signed(interval.low, digits)} to {signed(interval.high, digits)}"


def value(of_arm: float, metric: Metric, digits: int) -> str:
    """A mean of an arm with its unit."""
    if metric.scale == "percent":
        return f"{number(of_arm, digits)} %"
    if metric.scale == "plain":
        return f"{number(of_arm, digits)}{_unit(metric)}"
    text = f"{of_arm:,.3g}" if of_arm < 1000 else f"{of_arm:,.0f}"
    return f"{text}{_unit(metric, text)}"


def _unit(metric: Metric, of: str = "") -> str:
    """The unit after a number: 1 epoch, 1.5 epochs; 1 s, 1 ms."""
    unit = metric.unit
    is_plural = unit.isalpha() and len(unit) > MOST_LETTERS and unit.endswith("s") and not unit.endswith("ss")
    return f" {unit.removesuffix('s') if of == '1' and is_plural else unit}" if unit else ""


def amount(size: float, metric: Metric, digits: int) -> str:
    """A difference without its sign: 1.2 points of test accuracy; 0.031 of test loss."""
    if metric.scale == "percent":
        return f"{number(size, digits)} points of {metric.name}"
    return f"{number(size, digits)}{_unit(metric)} of {metric.name}"


def what_matters(verdict: Verdict) -> str:
    """The 0.5 points that matter, the 1 point that matters, the 5 % that matter."""
    text = f"{verdict.matters:g}"
    points = " point" if text == "1" else " points"
    unit = {"percent": points, "ratio": " %", "plain": _unit(verdict.metric, text)}[verdict.metric.scale]
    return f"the {text}{unit} that matter{'s' * (text == '1')}"
