"""The rules of `striate train`: image size, batch, candidates, and how the time is shared. Each says why, in a sentence.

Pure functions of what was counted and timed; nothing is read or trained here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from striate.train.survey import Survey

# The sides that are tried, from the largest: what torchvision's weights were trained with, and less where time is short.
SIZES = (224, 192, 160, 128, 96, 64)
SMALLEST_FOR_BACKBONE = 64
# Below this, pretrained weights are worth so little that rather a candidate is left out than images are made smaller.
LEAST_FOR_BACKBONE = 128
STEPS_OF_EPOCH = 10  # at least, so that few images give more than a few steps
LARGEST_FROM_SCRATCH = 128
# Images of a side from which on they are large: batches are small then, as they are in the literature of fine-tuning.
LARGE_SIDE = 96
FEW_IMAGES = 500  # of training, below which a fifth is held out for validation
MATTERS = 1.0  # points

FINE_TUNED, FROZEN, SCRATCH, WIDE, OWN = "fine-tuned", "frozen", "from-scratch", "from-scratch-wide", "own"


@dataclass(frozen=True)
class Chosen:
    """A value and why it was chosen."""

    value: Any
    why: str


@dataclass(frozen=True)
class Candidate:
    """An arm of the study: what it changes of the base, and its share of the time."""

    name: str
    why: str
    network: dict[str, Any]
    recipe: dict[str, Any]
    share: float
    least: int  # epochs that make it worth a try
    most: int  # epochs, beyond which little is gained
    epochs: int = field(default=1)


def image_size(looked: Survey, has_backbone: bool, most: int = SIZES[0]) -> Chosen:
    """The side of the square images; None: as they are."""
    side = looked.short_side
    if has_backbone:
        size = min(most, SIZES[0] if side >= 160 else max(SMALLEST_FOR_BACKBONE, 32 * round(side / 32)))
        why = f"the median short side is {side} pixels, and the pretrained weights are used to {SIZES[0]}"
        return Chosen(size, f"{why}; smaller, so that the training fits into the time" if most < SIZES[0] else why)
    if looked.is_small_square and most >= side:
        return Chosen(None, f"all images have {side} x {side} pixels")
    size = min(most, LARGEST_FROM_SCRATCH, max(16, 16 * (side // 16)))
    return Chosen(
        size,
        f"the median short side is {side} pixels, and a network from scratch gains little above {LARGEST_FROM_SCRATCH}",
    )


def smaller(size: int, factor: float, has_backbone: bool) -> int | None:
    """The largest side below `size` at which images cost `factor` (below 1) times as much, or the smallest; None below that."""
    least = LEAST_FOR_BACKBONE if has_backbone else SIZES[-1]
    below = [side for side in SIZES if least <= side < size]
    fitting = [side for side in below if (side / size) ** 2 <= factor]
    return fitting[0] if fitting else (below[-1] if below else None)


def batch_size(side: int, train_images: int) -> Chosen:
    """Images in a step: a power of two."""
    usual = 32 if side >= LARGE_SIDE else 64 if train_images < 10_000 else 128
    few = max(2, 2 ** int(math.log2(max(2, train_images // STEPS_OF_EPOCH))))
    if few < usual:
        return Chosen(few, f"there are only {train_images:,} training images")
    return Chosen(usual, f"usual for images of {side} pixels")


def validation_share(train_images: int) -> Chosen:
    """The share of the training part that is held out."""
    if train_images < FEW_IMAGES:
        return Chosen(0.2, f"a fifth, because there are only {train_images:,} training images to choose by")
    return Chosen(0.1, "a tenth, which is enough to choose by")


def layers_from_scratch(side: int) -> str:
    """A small network: conv layers of 32 to 256 filters and a pool after each, until the map is 8 pixels or less."""
    words, filters = (["conv32k5s2", "pool"], 64) if side >= LARGE_SIDE else (["conv32"], 32)
    side = side // 4 if side >= LARGE_SIDE else side
    while side > 8:
        words += [f"conv{filters}", "pool"]
        filters, side = min(256, 2 * filters), side // 2
    return " ".join([*words, f"conv{filters}"])


def candidates(
    backbone: dict[str, Any] | None, side: int, train_images: int, batch: int, is_pretrained: bool = True
) -> list[Candidate]:
    """What is compared: a pretrained network fine-tuned and frozen, if there is one, and a small network from scratch.

    A network of the user's own that is not pretrained takes the place of the two.
    """
    steps = max(1, math.ceil(train_images / batch))
    scratch = {"layers": layers_from_scratch(side), "norm": "batch", "head": "gap"}
    adam = {"name": "AdamW", "weight_decay": 0.02, "decays": "weights"}
    long = Candidate(
        SCRATCH,
        "a small network without pretrained weights, so that you see what those are worth",
        scratch,
        {"optimizer": {**adam, "lr": 0.002}},
        share=0.3 if backbone else 0.6,
        least=5,
        most=min(200, max(40, math.ceil(4000 / steps))),
    )
    if backbone is None:
        wide = Candidate(
            WIDE,
            "the same with twice the filters: slower, and better where there are enough images",
            {**scratch, "width": 2.0},
            {"optimizer": {**adam, "lr": 0.001}},
            share=0.4,
            least=5,
            most=long.most,
        )
        return [long, wide]
    if not is_pretrained:
        own = Candidate(
            OWN, "your network, which begins with weights drawn by the seed", backbone, long.recipe, 0.6, 5, long.most
        )
        return [own, replace(long, share=0.4)]
    return [
        Candidate(
            FINE_TUNED,
            "all layers of the pretrained network learn: usually the best",
            backbone,
            {"optimizer": {**adam, "lr": 0.0003}},
            share=0.5,
            least=4,
            most=min(40, max(15, math.ceil(1500 / steps))),
        ),
        Candidate(
            FROZEN,
            "only the last layer learns: the better choice where images are few, and the cheapest",
            {**backbone, "freeze": "all-but-head"},
            {"optimizer": {**adam, "lr": 0.003}},
            share=0.2,
            least=3,
            most=min(40, max(15, math.ceil(1000 / steps))),
        ),
        long,
    ]


@dataclass(frozen=True)
class Cost:
    """What a run of a candidate costs in seconds: once, and for each epoch."""

    once: float
    epoch: float

    def of(self, epochs: int) -> float:
        return self.once + epochs * self.epoch


def makespan(runs: Sequence[float], at_once: int) -> float:
    """The seconds of runs that are started in their order, so many at once."""
    ends = [0.0] * at_once
    for seconds in runs:
        first = min(range(at_once), key=ends.__getitem__)
        ends[first] += seconds
    return max(ends)


def epochs_within(
    candidates: Sequence[Candidate], costs: Sequence[Cost], seeds: int, at_once: int, seconds: float
) -> list[int] | None:
    """The epochs of each candidate, by its share of the time; None if not even the least fit.

    Where one has all the epochs that are worth it, the others get its time.
    """

    def epochs(factor: float) -> list[int]:
        wanted = [
            factor * each.share * seconds * at_once / seeds / cost.epoch
            for each, cost in zip(candidates, costs, strict=True)
        ]
        return [max(each.least, min(each.most, int(number))) for each, number in zip(candidates, wanted, strict=True)]

    def fits(factor: float) -> bool:
        runs = [cost.of(number) for cost, number in zip(costs, epochs(factor), strict=True) for _ in range(seeds)]
        return makespan(runs, at_once) <= seconds

    if not fits(0.0):
        return None
    low, high = 0.0, 1.0
    while fits(high) and high < 1e6:
        low, high = high, 2 * high
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return epochs(low)


def needed_seconds(candidates: Sequence[Candidate], costs: Sequence[Cost], seeds: int, at_once: int) -> float:
    """What the least epochs take."""
    runs = [cost.of(each.least) for each, cost in zip(candidates, costs, strict=True) for _ in range(seeds)]
    return makespan(runs, at_once)


def augmentation(side: int, channels: int) -> tuple[Chosen, ...]:
    """What is done to training images, as keys of `recipe.augment`."""
    shift = Chosen({"crop": max(1, side // 16)}, "shift by up to a sixteenth of the side")
    if channels == 1:
        return (shift,)  # gray images are often writing, which means something else when it is mirrored
    return (
        Chosen({"flip": True}, "mirror half of the images; take it out where left and right differ in meaning"),
        shift,
    )


def matters(test_images: int) -> Chosen:
    """The smallest difference of interest, in points: not less than one test image."""
    one_image = 100 / max(1, test_images)
    if one_image > MATTERS:
        return Chosen(round(min(one_image, 100.0), 1), f"points: one of the {test_images} test images")
    return Chosen(MATTERS, "points: a smaller difference is none")
