"""The sentences of verdicts."""

import math
from collections.abc import Mapping

from striate.verdicts.looks import FEWEST_SEEDS
from striate.verdicts.outcomes import Failures
from striate.verdicts.records import Metric, Spread, Verdict
from striate.verdicts.seeds_needed import Promise
from striate.verdicts.wording import (
    amount,
    count,
    digits_for,
    edges,
    interval_digits,
    number,
    ordinal,
    rough,
    seed_list,
    short_list,
    signed,
    value,
    what_matters,
)

SENSIBLE_SEEDS = 200  # a sentence names no larger number; records and JSON do


def not_comparable(verdict: Verdict, obstacle: str) -> str:
    return f"{verdict.first} and {verdict.second} cannot be compared: {obstacle}."


def too_few(verdict: Verdict) -> str:
    pairs = len(verdict.differences)
    failures = _failures(verdict) + _left_out(verdict.left_out)
    if not pairs:
        return f"{verdict.first} against {verdict.second}: at no seed did both train. No verdict.{failures}"
    mean = _mean_difference(verdict)
    digits = digits_for(verdict.matters)
    shown = f"{number(1 + mean / 100, 2)} times the {verdict.metric.name}"
    if verdict.metric.scale != "ratio":
        points = " points" if verdict.metric.scale == "percent" else f" of {verdict.metric.name}"
        shown = f"{signed(mean, digits)}{points}"
    difference = f"{verdict.first} against {verdict.second}: {shown} with {count(pairs, 'seed')} each"
    if pairs < FEWEST_SEEDS:
        return f"{difference}. No verdict: it needs {FEWEST_SEEDS} seeds or more.{failures}"
    return f"{difference}. No verdict: seeds that were not planned need to be more.{failures}"


def trains(verdict: Verdict) -> str:
    assert verdict.failures
    first, second = (f"{f.runs - f.count} of {f.runs}" for f in verdict.failures)
    seeds = f"{verdict.first} trained in {first} runs, {verdict.second} in {second}: {verdict.first} {verdict.label}"
    rest = "Too few runs trained to compare their numbers."
    return f"{seeds}. {rest}{_failures(verdict)}{_left_out(verdict.left_out)}"


def sentence(verdict: Verdict) -> str:
    """The verdict with its numbers, and what a reader must know of it."""
    parts = [
        f"{_statement(verdict)}{_cure(verdict)}",
        _other_images(verdict),
        _failures(verdict),
        _outliers(verdict.outliers),
        _left_out(verdict.left_out),
    ]
    return "".join(parts)


def _statement(verdict: Verdict) -> str:
    first, second, label = verdict.first, verdict.second, verdict.label
    beginning, size, numbers = f"{_basis(verdict)}, {first}", _size(verdict), _numbers(verdict)
    what, where = f"{size} ({numbers})", _where(verdict)
    than = what_matters(verdict)
    match label:
        case "clearly better" | "better":
            verb = "beat"
        case "clearly worse" | "worse":
            verb = "fell short of"
        case _:
            verb = ""
    match label:
        case "clearly better" | "clearly worse":
            return f"{beginning} {verb} {second} by {what}: {label}{where}, by more than {than}.{_on_new(verdict)}"
        case "better" | "worse":
            end = f"{label}{where}, though perhaps by less than {than}."
            return f"{beginning} {verb} {second} by {what}: {end}{_on_new(verdict)}"
        case "no difference that matters":
            return f"{beginning} and {second} differ by {what}: {label}{where}, less than {than}.{_on_new(verdict)}"
    return f"{beginning} and {second} differ by {what}: undecided."


def _basis(verdict: Verdict) -> str:
    """How many seeds, at which look, and which are beyond the plan."""
    n, looks = len(verdict.differences), verdict.planned_looks
    failed = any(f.count for f in verdict.failures or ())
    text = f"At the {n} seeds at which both trained" if failed else f"With {count(n, 'seed')} each"
    notes = []
    if verdict.beyond_plan:
        beyond = "all of them" if verdict.beyond_plan >= n else f"{verdict.beyond_plan} of them"
        notes.append(
            f"{beyond} outside the planned look{'s' * (len(looks) != 1)}, so judged by a rule that holds at any number"
        )
    elif len(looks) > 1:
        notes.append(f"the {ordinal(len(verdict.looks))} of {len(looks)} looks")
    return f"{text} ({'; '.join(notes)})" if notes else text


def _size(verdict: Verdict) -> str:
    """1.2 points of test accuracy; a factor of 1.3 in training time."""
    assert verdict.interval
    if verdict.metric.scale == "ratio":
        factor = 1 + verdict.interval.mean / 100
        digits = interval_digits(verdict.interval, verdict) + 2
        return f"a factor of {number(max(factor, 1 / factor), digits)} in {verdict.metric.name}"
    return amount(abs(verdict.interval.mean), verdict.metric, _mean_digits(verdict))


def _numbers(verdict: Verdict) -> str:
    assert verdict.interval
    digits = _mean_digits(verdict)
    assert verdict.first_mean is not None
    assert verdict.second_mean is not None
    means = f"{value(verdict.first_mean, verdict.metric, digits)} against {value(verdict.second_mean, verdict.metric, digits)}"
    others = verdict.comparisons - 1
    together = f", together with {count(others, 'other comparison')}" if others else ""
    return f"{means}; 95 % interval {edges(verdict.interval, verdict)}{together}"


def _mean_digits(verdict: Verdict) -> int:
    assert verdict.interval
    return interval_digits(verdict.interval, verdict)


def _where(verdict: Verdict) -> str:
    """On which images a label holds."""
    if not verdict.metric.on_test_images or verdict.label == "undecided" or verdict.is_on_different_images:
        return ""
    if verdict.new_images_label == verdict.label:
        return " on these test images and on new ones"
    return " on these test images"


def _on_new(verdict: Verdict) -> str:
    """What the interval says that knows both seeds and images, where it says something else."""
    if verdict.new_images is None or verdict.new_images_label == verdict.label or verdict.is_on_different_images:
        return ""
    return f" On new test images: {verdict.new_images_label} (interval {edges(verdict.new_images, verdict)})."


def _cure(verdict: Verdict) -> str:
    """What would decide an undecided comparison: always a number."""
    promise = verdict.promise
    if promise is None:
        return ""
    texts = []
    if promise.is_step_too_large:
        step = f"One test image is {number(promise.step, digits_for(promise.step))} points"
        images = math.ceil(200 / verdict.matters)
        texts.append(f"{step}: to be certain of {verdict.matters:g}, {images:,} test images are needed.")
    texts.append(_seeds_needed(promise, verdict.metric))
    if following := [n for n in verdict.planned_looks if n > (verdict.looks or (0,))[-1]]:
        texts.append(f"The next look is at {following[0]} seeds.")
    return "".join(f" {text}" for text in texts if text)


def _seeds_needed(promise: Promise, metric: Metric) -> str:
    certain, likely = (n if n and n <= SENSIBLE_SEEDS else None for n in (promise.certain, promise.likely))
    if certain:
        spread = rough(promise.spread) + {"percent": " points", "ratio": " %", "plain": ""}[metric.scale]
        before = f"likely by {likely:,} and " if likely and likely < certain else ""
        return (
            f"A verdict is {before}certain by {certain:,} seeds each, if the standard deviation of the differences is "
            f"at most {spread}."
        )
    if promise.is_step_too_large:
        return f"A verdict is likely by {likely:,} seeds each." if likely else ""
    if likely:
        return f"A verdict is likely by {likely:,} seeds each; to be certain takes more than {SENSIBLE_SEEDS}."
    return f"A verdict needs more than {SENSIBLE_SEEDS} seeds each: the difference is too small beside the spread of the seeds."


def _other_images(verdict: Verdict) -> str:
    if not verdict.is_on_different_images:
        return ""
    if verdict.new_images is None:
        return " Each was tested on the images that its arm declares."
    return " Each was tested on the images that its arm declares; the interval has the sampling errors of both."


def _failures(verdict: Verdict) -> str:
    """How many runs did not train, with exact bounds of the rate."""
    if not verdict.failures or not any(f.count for f in verdict.failures):
        return ""
    first, second = verdict.failures
    return f" Failed to train: {_failed(first)}; {_failed(second)}."


def _failed(failures: Failures) -> str:
    low, high = (f"{100 * bound:.0f} %" for bound in failures.bounds)
    if not failures.count:
        return f"{failures.arm} in none of {count(failures.runs, 'run')} (a rate of at most {high})"
    kinds = "; ".join(f"{kind}: {seed_list(seeds)}" for kind, seeds in failures.kinds.items())
    rate = f"at least {low}" if failures.count == failures.runs else f"{low} to {high}"
    return f"{failures.arm} in {failures.count} of {count(failures.runs, 'run')} ({kinds}; a rate of {rate})"


def _outliers(outliers: Mapping[str, tuple[int, ...]]) -> str:
    if not outliers:
        return ""
    arms = "; ".join(f"{arm}, {seed_list(seeds)}" for arm, seeds in outliers.items())
    return f" Far from the other runs of its arm, and counted: {arms}."


def _left_out(left_out: Mapping[str, tuple[int, ...]]) -> str:
    if not left_out:
        return ""
    arms = short_list([f"{seed_list(seeds)} of {arm}" for arm, seeds in left_out.items()])
    return f" Left out, as the other arm has no such run: {arms}."


def _mean_difference(verdict: Verdict) -> float:
    values = list(verdict.differences.values())
    if verdict.metric.scale == "ratio":
        return 100 * math.expm1(math.fsum(math.log1p(value / 100) for value in values) / len(values))
    return math.fsum(values) / len(values)


def details(verdict: Verdict) -> str:
    """Where the uncertainty comes from, in a few sentences."""
    spread = verdict.spread
    if spread is None:
        return ""
    return " ".join(part for part in (_seeds(verdict, spread), _sampling(verdict, spread), _pairing(spread)) if part)


def _seeds(verdict: Verdict, spread: Spread) -> str:
    digits = digits_for(verdict.matters) + 1
    unit = {"percent": " points", "ratio": " %", "plain": ""}[verdict.metric.scale]
    first, second, both = (number(x, digits) for x in (spread.first, spread.second, spread.differences))
    return (
        f"Standard deviation between seeds: {first}{unit} for {verdict.first}, {second} for {verdict.second}, "
        f"{both} for their differences."
    )


def _sampling(verdict: Verdict, spread: Spread) -> str:
    if spread.one_accuracy is None:
        return ""
    digits = digits_for(verdict.matters)
    text = f"Sampling error of the test part: +-{number(spread.one_accuracy, digits)} points for one accuracy"
    if spread.difference_on_new_images is not None:
        margin = number(spread.difference_on_new_images, digits)
        text += f", +-{margin} for the difference" if float(margin) else ", and next to none for the difference"
    if spread.only_first is not None and spread.only_second is not None:
        only = (
            f"{spread.only_first:,.0f} test images only {verdict.first}",
            f"{spread.only_second:,.0f} only {verdict.second}",
        )
        text += f"; {only[0]} gets right, {only[1]} (means over the seeds)"
    return f"{text}."


def _pairing(spread: Spread) -> str:
    if spread.correlation is None:
        return ""
    low, high = (number(r, 2) for r in spread.correlation_interval)
    correlation = f"Correlation of the pairs: {number(spread.correlation, 2)} (95 % interval {low} to {high})"
    seeds = math.floor(spread.saved + 0.5)
    saved = f"about {count(seeds, 'seed')} for each arm" if seeds > 0 else "nothing"
    return f"{correlation}; pairing saved {saved}."
