"""A schedule is a function of progress (0 at the first step, towards 1) to a factor on the learning rate.

Plain arithmetic, so that every engine has the same one; the formulas are torch's own
(`CosineAnnealingLR`, `StepLR`, `OneCycleLR` with cosine annealing), and the tests compare them.
"""

import math

from striate.recipes.recipe import ScheduleConfig

# One-cycle's usual numbers (Smith and Topin, arXiv 1708.07120; torch's defaults).
START_DIVISOR = 25.0
END_DIVISOR = 25.0 * 1e4
WARMUP = 0.3
STEP_FACTOR = 0.1


def factor(schedule: ScheduleConfig, step: int, steps: int, epochs: int) -> float:
    """What the learning rate is multiplied with at step `step` of `steps`, over `epochs` epochs."""
    match schedule.name:
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * step / steps))
        case "step":
            epoch = step * epochs // steps
            return (schedule.factor or STEP_FACTOR) ** (epoch // (schedule.every or 1))
        case "one-cycle":
            return _one_cycle(step, steps, schedule.warmup or WARMUP)
    return 1.0


def _one_cycle(step: int, steps: int, warmup: float) -> float:
    top = max(warmup * steps - 1, 0.0)  # a training of few steps begins at the peak
    if step <= top and top > 0:
        return _cosine(1 / START_DIVISOR, 1.0, step / top)
    rest = steps - 1 - top
    return _cosine(1.0, 1 / END_DIVISOR, (step - top) / rest if rest > 0 else 0.0)


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * min(max(share, 0.0), 1.0)))
