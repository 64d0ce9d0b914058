"""The verdict on a comparison of two arms, from the differences of their runs, paired by seed.

`matters`, the smallest difference of interest, is written down before the runs. The first rule that holds decides:

    not comparable              a run is missing, or the arms were tested on different images
    trains more / less often    fewer than 3 seeds at which both trained, and their failures differ beyond chance
    too few seeds               fewer than 3 seeds at which both trained
    no difference that matters  the interval lies within +-matters
    clearly better / worse      the interval lies beyond +matters / -matters
    better / worse              the interval excludes 0
    undecided                   otherwise

All intervals of a study, at all of its looks, hold together with 95 %. So whatever is said, and whenever, any of it is wrong in
at most 5 % of studies.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from striate.verdicts import images, sentences
from striate.verdicts.intervals import (
    ALPHA,
    Interval,
    accuracy_margin,
    around,
    correlation,
    correlation_interval,
    deviation,
    p_value,
    t_quantile,
)
from striate.verdicts.looks import FEWEST_SEEDS, Schedule
from striate.verdicts.outcomes import difference_of_rates, outliers
from striate.verdicts.pairing import Pairing
from striate.verdicts.records import ArmResults, Design, Label, Spread, Verdict
from striate.verdicts.seeds_needed import promise
from striate.verdicts.wording import seed_list

DECIDED: frozenset[Label] = frozenset(
    {
        "trains more often",
        "trains less often",
        "no difference that matters",
        "clearly better",
        "clearly worse",
        "better",
        "worse",
    }
)


def compare(pairs: Sequence[tuple[ArmResults, ArmResults]], design: Design, up_to: int | None = None) -> list[Verdict]:
    """The verdict on each planned comparison. `up_to`: as it was with so many of the planned seeds."""
    comparisons = max(design.comparisons, len(pairs), 1)
    return [_judge(Pairing(first, second, design, up_to), comparisons) for first, second in pairs]


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


def _judge(pairing: Pairing, comparisons: int) -> Verdict:
    verdict = Verdict(
        first=pairing.first.arm,
        second=pairing.second.arm,
        label="not comparable",
        sentence="",
        matters=pairing.design.matters,
        metric=pairing.design.metric,
        comparisons=comparisons,
        differences=_shown_differences(pairing),
        left_out=pairing.left_out,
        is_on_different_images=pairing.is_on_different_images,
    )
    if obstacle := _obstacle(pairing):
        return replace(verdict, sentence=sentences.not_comparable(verdict, obstacle))
    verdict = replace(
        verdict,
        failures=pairing.failures,
        looks=pairing.taken,
        planned_looks=pairing.looks,
        beyond_plan=pairing.beyond_plan,
        **_means(pairing),
    )
    schedule = Schedule(pairing.looks, ALPHA / comparisons)
    intervals = _Intervals(pairing, schedule)
    if intervals.on_these is None:
        return _without_interval(verdict, pairing, schedule)
    return _with_interval(verdict, pairing, schedule, intervals)


def _obstacle(pairing: Pairing) -> str:
    """Why two arms cannot be compared; "" if they can."""
    missing = [f"{arm}: {seed_list(seeds)} {state}" for arm, state, seeds in pairing.missing]
    if missing:
        return "; ".join(missing)
    if not pairing.ended:
        return "there is no seed at which both have a run"
    if pairing.is_on_different_images and not any(arm.declares_data for arm in pairing.arms):
        return "the two arms were tested on different images"
    return ""


def _shown_differences(pairing: Pairing) -> dict[int, float]:
    unit = pairing.unit
    return {seed: unit.shown(d) for seed, d in zip(pairing.seeds, pairing.differences(pairing.seeds), strict=True)}


def _means(pairing: Pairing) -> dict[str, Any]:
    """The mean of each arm over the pairs; the geometric one of ratios."""
    if not (seeds := pairing.seeds):
        return {}
    first, second = (
        pairing.unit.value(math.fsum(pairing.unit.exact(arm.values[seed]) for seed in seeds) / len(seeds))
        for arm in pairing.arms
    )
    return {"first_mean": first, "second_mean": second}


def _without_interval(verdict: Verdict, pairing: Pairing, schedule: Schedule) -> Verdict:
    """Too few pairs that trained. Where the failures differ beyond chance, that is the verdict.

    Its level is a part of alpha for each planned look, and for the n-th pair outside the plan 1 / (n (n + 1)) of one more
    part: together no more than alpha.
    """
    first, second = pairing.failures
    part = schedule.alpha / (len(pairing.looks) + 1)
    beyond = pairing.beyond_plan
    level = part / (beyond * (beyond + 1)) if beyond else part
    if difference_of_rates(first, second) <= level:
        word: Label = "trains less often" if first.rate > second.rate else "trains more often"
        return replace(verdict, label=word, sentence=sentences.trains(replace(verdict, label=word)))
    return replace(verdict, label="too few seeds", sentence=sentences.too_few(replace(verdict, label="too few seeds")))


def _with_interval(verdict: Verdict, pairing: Pairing, schedule: Schedule, intervals: "_Intervals") -> Verdict:
    unit, matters = pairing.unit, pairing.unit.threshold(pairing.design.matters)
    exact = pairing.differences(pairing.seeds)
    on_these, on_new = intervals.on_these, intervals.on_new
    assert on_these is not None
    verdict = replace(
        verdict,
        label=_oriented_label(on_these, matters, pairing),
        interval=_in_shown_unit(on_these, pairing),
        new_images=_in_shown_unit(on_new, pairing) if on_new else None,
        new_images_label=_oriented_label(on_new, matters, pairing) if on_new else None,
        p=p_value(exact, unit.step, 1 - schedule.level if pairing.taken else 1 - schedule.later),
        outliers=_outliers(pairing),
        spread=_spread(pairing, intervals.parts),
    )
    if verdict.label == "undecided":
        needed = promise(exact, matters, schedule, seeds=len(pairing.ended), step=unit.step)
        shown = _points(pairing)
        verdict = replace(verdict, promise=replace(needed, spread=shown * needed.spread, step=shown * needed.step))
    return replace(verdict, sentence=sentences.sentence(verdict), details=sentences.details(verdict))


def _oriented_label(interval: Interval, matters: float, pairing: Pairing) -> Label:
    if pairing.design.metric.lower_is_better:
        return label(-interval.high, -interval.low, matters)
    return label(interval.low, interval.high, matters)


def _in_shown_unit(interval: Interval, pairing: Pairing) -> Interval:
    shown = pairing.unit.shown
    return replace(interval, mean=shown(interval.mean), low=shown(interval.low), high=shown(interval.high))


class _Intervals:
    """The intervals of all looks so far, in the exact unit, and what they agree on.

    All of them hold together, so the truth lies in each: a look can narrow what was known before, and not widen it. Where
    a later mean contradicts the earlier intervals, the last one counts alone.
    """

    def __init__(self, pairing: Pairing, schedule: Schedule) -> None:
        self.pairing, self.schedule = pairing, schedule
        looks = [(pairing.trained(pairing.planned[:n]), False) for n in pairing.taken]
        looks += [(pairing.seeds, True)] if pairing.beyond_plan else []
        self.looks = [(seeds, is_later) for seeds, is_later in looks if len(seeds) >= FEWEST_SEEDS]
        these = [(self._interval(seeds, later), seeds, later) for seeds, later in self.looks]
        self.on_these = _agreed([interval for interval, _, _ in these])
        new = [self._on_new_images(interval, seeds, later) for interval, seeds, later in these]
        self.on_new = _agreed([interval for interval in new if interval])
        if pairing.is_on_different_images and self.on_new:
            self.on_these = self.on_new  # "on these test images" would mean two things

    @cached_property
    def parts(self) -> images.Components | None:
        """Of the table of differences at all pairs; None where it is not known which images are right."""
        return self._parts(self.pairing.seeds)

    def _parts(self, seeds: Sequence[int]) -> images.Components | None:
        tables = [_table(arm, seeds) for arm in self.pairing.arms]
        if self.pairing.is_on_different_images or len(seeds) < 2 or tables[0] is None or tables[1] is None:
            return None
        if tables[0].shape != tables[1].shape:
            return None
        return images.components(images.differences(tables[0], tables[1]))

    def _interval(self, seeds: Sequence[int], is_later: bool) -> Interval:
        n = len(seeds)
        factor = self.schedule.factor(n) if is_later else t_quantile(1 - self.schedule.level, n - 1) / math.sqrt(n)
        return around(self.pairing.differences(seeds), factor, 1 - ALPHA, self.pairing.unit.step)

    def _on_new_images(self, on_these: Interval, seeds: Sequence[int], is_later: bool) -> Interval | None:
        scale = self.pairing.unit.threshold(1.0)  # of a point in the exact unit
        confidence = 1 - (self.schedule.later if is_later else self.schedule.level)
        if self.pairing.is_on_different_images:
            variance = sum(_image_variance(arm, seeds) for arm in self.pairing.arms)
            return images.widened(on_these, variance, confidence, scale) if variance else None
        parts = self._parts(seeds)
        if parts is None or self.pairing.design.metric.scale != "percent":
            return None
        if is_later:
            return images.widened(on_these, parts.image_variance, confidence, scale)
        return images.new_images_interval(parts, on_these, confidence, scale)


def _agreed(intervals: Sequence[Interval]) -> Interval | None:
    """What all of these say; the last alone if its mean lies outside the others. None where there is none with an end."""
    finite = [interval for interval in intervals if interval.half < math.inf]
    if not finite:
        return None
    last = (
        finite[-1] if intervals[-1] is finite[-1] else replace(finite[-1], mean=intervals[-1].mean, n=intervals[-1].n)
    )
    low, high = max(interval.low for interval in finite), min(interval.high for interval in finite)
    return replace(last, low=low, high=high) if low <= last.mean <= high else finite[-1]


def _table(arm: ArmResults, seeds: Sequence[int]) -> images.Table | None:
    rows = [arm.right[seed] for seed in seeds if seed in arm.right]
    if len(rows) < len(seeds) or len({len(row) for row in rows}) != 1:
        return None
    return np.stack(rows)


def _image_variance(arm: ArmResults, seeds: Sequence[int]) -> float:
    """The variance of an arm's mean accuracy (a share) over new test images; 0 where nothing is known."""
    table = _table(arm, seeds)
    if table is not None and len(seeds) > 1:
        return images.components(table).image_variance
    share = math.fsum(arm.values[seed] for seed in seeds) / len(seeds) / 100
    return share * (1 - share) / arm.test_images if arm.test_images else 0.0


def _outliers(pairing: Pairing) -> dict[str, tuple[int, ...]]:
    unit = pairing.unit
    found = {
        arm.arm: outliers({seed: unit.exact(arm.values[seed]) for seed in pairing.seeds}, unit.step)
        for arm in pairing.arms
    }
    return {arm: seeds for arm, seeds in found.items() if seeds}


def _points(pairing: Pairing) -> float:
    """What one exact unit of a standard deviation is in points, in the unit of the metric, or in percent of a ratio."""
    scale = pairing.design.metric.scale
    return {"percent": 1 / pairing.unit.threshold(1.0), "plain": 1.0, "ratio": 100.0}[scale]


def _spread(pairing: Pairing, parts: images.Components | None) -> Spread:
    """Standard deviations in points, in the unit of the metric, or in percent (of logarithms) for ratios."""
    unit, seeds, scale = pairing.unit, pairing.seeds, _points(pairing)
    first, second = ([unit.exact(arm.values[seed]) for seed in seeds] for arm in pairing.arms)
    a, b, d = (scale * deviation(values) for values in (first, second, pairing.differences(seeds)))
    r = correlation(first, second)
    known_images = min(arm.test_images for arm in pairing.arms) if pairing.design.metric.scale == "percent" else 0
    mean = pairing.unit.value(math.fsum(first) / len(first))
    return Spread(
        first=a,
        second=b,
        differences=d,
        correlation=r,
        correlation_interval=(-1.0, 1.0) if r is None else correlation_interval(r, len(seeds)),
        saved=len(seeds) * ((a**2 + b**2) / d**2 - 1) if d else 0.0,
        one_accuracy=accuracy_margin(mean, known_images) if known_images else None,
        difference_on_new_images=None
        if parts is None
        else 100 * t_quantile(0.95, 1e9) * math.sqrt(parts.image_variance),
        **_only_one_right(pairing),
    )


def _only_one_right(pairing: Pairing) -> dict[str, float]:
    first, second = (_table(arm, pairing.seeds) for arm in pairing.arms)
    if pairing.is_on_different_images or first is None or second is None or first.shape != second.shape:
        return {}
    a, b = images.only_one_right(first, second)
    return {"only_first": a, "only_second": b}
