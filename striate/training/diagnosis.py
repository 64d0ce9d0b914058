"""Why a network stayed at chance: found by looking at its images, its units and a few steps at other learning rates.

Each finding is a measurement; where nothing is found, nothing is said.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from striate.data import batches
from striate.training.evaluate import batch_size, silent_units
from striate.training.loop import step

if TYPE_CHECKING:
    from striate.training.engine import TorchEngine
    from striate.training.feed import Batch, Feed

PROBE_STEPS = 60
PROBED = (1e-3, 1e-2, 1e-1, 10.0, 100.0, 1000.0)  # times the learning rate that was used
# A loss this far under that of guessing has learned something, on a probe's own batches.
LEARNED = 0.95
MOST = 0.9  # of a layer's units that are dead, or of its outputs that are at their limits
AT_LIMIT = 0.01  # of the range of a sigmoid or tanh
MEMORIZED = 0.5  # of the way from chance to all training images right


def diagnose(engine: "TorchEngine", rows: Sequence[Mapping[str, Any]]) -> str:
    """The likely reason, in a sentence; empty where looking found none."""
    found = _images(engine) or _labels(engine, rows) or "; ".join(filter(None, (_units(engine), _rate(engine))))
    return f"stayed at chance: {found}" if found else ""


def _images(engine: "TorchEngine") -> str:
    """Images that are all alike say nothing."""
    images = engine.train_feed.images_NHWC
    if bool((images == images[:1]).all()):
        return "all training images are alike"
    return ""


def _labels(engine: "TorchEngine", rows: Sequence[Mapping[str, Any]]) -> str:
    """What was learned by heart and holds for no other image was no rule."""
    chance = 1 / len(engine.setting.dataset.classes)
    right = rows[-1]["train_accuracy"] if rows else 0.0
    if right < chance + MEMORIZED * (1 - chance):
        return ""
    return (
        f"{100 * right:.0f} % of the training images are right and no more validation images than by guessing, "
        "as with labels that were shuffled: look at the labels"
    )


def _units(engine: "TorchEngine") -> str:
    """The first layer whose units are nearly all dead or at their limits."""
    module = engine.learner.module
    limits: dict[str, float] = {}

    def watch(name: str, low: float, high: float) -> Any:
        def hook(part: nn.Module, inputs: Any, output: Tensor) -> None:
            margin = AT_LIMIT * (high - low)
            limits[name] = float(((output < low + margin) | (output > high - margin)).float().mean())

        return hook

    ranges: dict[type[nn.Module], tuple[float, float]] = {nn.Sigmoid: (0.0, 1.0), nn.Tanh: (-1.0, 1.0)}
    hooks = [
        part.register_forward_hook(watch(name, *ranges[type(part)]))
        for name, part in module.named_modules()
        if type(part) in ranges
    ]
    module.eval()
    with silent_units(module) as silent, torch.inference_mode():
        images, _ = next(engine.train_feed.in_order(batch_size(engine.train_feed)))
        with torch.autocast(engine.setup.device.type, engine.setup.dtype, enabled=engine.setup.is_mixed):
            module(images)
    for hook in hooks:
        hook.remove()
    for name, (dead, units) in silent.by_layer().items():
        if dead >= MOST * units:
            return f"{dead} of the {units} units of {name} are dead (never above 0)"
    for name, share in limits.items():
        if share >= MOST:
            return f"{100 * share:.0f} % of the outputs of {name} are saturated"
    return ""


def _rate(engine: "TorchEngine") -> str:
    """Whether a few steps from the same initial weights learn at another learning rate and not at this one."""
    used = engine.recipe.optimizer.lr
    guessing = math.log(len(engine.setting.dataset.classes))
    if _probe(engine, used) < LEARNED * guessing:
        return ""
    losses = {times: _probe(engine, used * times) for times in PROBED}
    times = min(losses, key=lambda times: losses[times])
    if losses[times] >= LEARNED * guessing:
        return ""
    word = "low" if times > 1 else "high"
    return (
        f"the learning rate {used:g} is too {word}: from the same initial weights, {PROBE_STEPS} steps at {used * times:g} "
        f"bring the training loss to {losses[times]:.2f}, where guessing has {guessing:.2f}"
    )


def _probe(engine: "TorchEngine", rate: float) -> float:
    """The mean loss over the last quarter of PROBE_STEPS steps at `rate`, from fresh weights; infinite if it broke."""
    learner = engine.fresh()
    learner.module.train()
    losses: list[float] = []
    for batch in islice(_batches(engine.train_feed, engine.recipe.batch_size, learner.seed), PROBE_STEPS):
        summed = step(learner, engine.train_feed, engine.recipe, rate, batch)
        losses.append(float(summed[0]) / len(batch))
        if not math.isfinite(losses[-1]):
            return math.inf
    return float(np.mean(losses[-PROBE_STEPS // 4 :]))


def _batches(feed: "Feed", size: int, seed: int) -> Iterator["Batch"]:
    """The first epoch's batches, again and again."""
    order = batches.order(seed, 0, len(feed))
    for cut in cycle(batches.cuts(len(feed), size)):
        yield feed.batch(order[cut])
