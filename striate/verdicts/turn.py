"""Where a loss is lowest along an ordered axis of arms, and which arms may be it.

An arm can be the lowest unless another is lower with certainty: the interval of their difference, paired by seed, lies above 0.
The arm that is truly lowest is compared with all the others, so with their number as the number of comparisons it is
among those that are left in at least 95 % of studies.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from striate.verdicts.records import ArmResults, Design
from striate.verdicts.verdict import compare

Shape = Literal["turns", "falls to the end", "rises from the start", "undecided"]


@dataclass(frozen=True, kw_only=True)
class Turn:
    """`lowest`: the arm with the lowest mean; `candidates`: the arms that may be it, by index. None of both without 3 seeds."""

    lowest: int | None
    candidates: tuple[int, ...]
    shape: Shape
    reason: str = ""  # why it is undecided, beside the noise


def find_turn(arms: Sequence[ArmResults], design: Design) -> Turn:
    """The turn of the losses of `arms`, from the smallest to the largest."""
    usable = [index for index, arm in enumerate(arms) if arm.values]
    means = {index: math.fsum(arms[index].values.values()) / len(arms[index].values) for index in usable}
    design = replace(design, comparisons=max(len(arms) - 1, 1))
    beaten: set[int] = set()
    unknown: list[str] = []
    for index in usable:
        for other in usable:
            if other <= index:
                continue
            (verdict,) = compare([(arms[index], arms[other])], design)
            if verdict.interval is None:
                unknown.append(verdict.sentence)
            elif verdict.interval.low > 0:
                beaten.add(index)
            elif verdict.interval.high < 0:
                beaten.add(other)
    candidates = tuple(index for index in range(len(arms)) if index not in beaten)
    if unknown or len(usable) < len(arms):
        reason = unknown[0] if unknown else "an arm has no run that trained."
        return Turn(
            lowest=min(means, key=means.__getitem__, default=None),
            candidates=candidates,
            shape="undecided",
            reason=reason,
        )
    return Turn(lowest=min(means, key=means.__getitem__), candidates=candidates, shape=_shape(candidates, len(arms)))


def _shape(candidates: Sequence[int], count: int) -> Shape:
    last = count - 1
    if 0 not in candidates and last not in candidates:
        return "turns"
    if 0 not in candidates and len(candidates) == 1:
        return "falls to the end"
    if last not in candidates and len(candidates) == 1:
        return "rises from the start"
    return "undecided"
