"""Why a network stayed at chance: found by looking at its images, its units and a few steps at other learning rates.

Each finding is a measurement; where nothing is found, nothing is said.
"""

import math
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from striate.data import batch_slices, epoch_order
from striate.engines.pytorch.evaluate import batch_size, silent_units
from striate.engines.pytorch.step import step
from striate.runs import EpochRow

if TYPE_CHECKING:
    from striate.engines.pytorch.engine import TorchEngine

# Steps at each learning rate: half of what the training took, within these.
PROBE_STEPS = (20, 60)
LOOKED_AT_ONCE = 1000
PROBED = (1e-3, 1e-2, 1e-1, 10.0, 100.0, 1000.0)  # times the learning rate that was used
# A loss this far under that of guessing has learned something, on a probe's own batches.
LEARNED = 0.95
MOST = 0.9  # of a layer's units that are dead, or of its outputs that are at their limits
AT_LIMIT = 0.01  # of the range of a sigmoid or tanh
MEMORIZED = 0.5  # of the way from chance to all training images right


def diagnose(engine: "TorchEngine", rows: Sequence[EpochRow], should_stop: Callable[[], bool]) -> str:
    """The likely reason, in a sentence; empty where looking found none, or was asked to stop."""
    rate = _Probes(engine, should_stop)
    found = _images(engine) or _labels(engine, rows) or "; ".join(filter(None, (_units(engine), rate.finding())))
    return f"stayed at chance: {found}" if found else ""


def _images(engine: "TorchEngine") -> str:
    """Images that are all alike say nothing."""
    images = engine.train_feed.images_NHWC
    blocks = images.split(LOOKED_AT_ONCE)
    return "all training images are alike" if all(bool((block == images[:1]).all()) for block in blocks) else ""


def _labels(engine: "TorchEngine", rows: Sequence[EpochRow]) -> str:
    """What was learned by heart and holds for no other image was no rule."""
    chance = 1 / len(engine.setting.dataset.classes)
    right = rows[-1].train_accuracy if rows else None
    if right is None or right < chance + MEMORIZED * (1 - chance):
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
    try:
        with silent_units(module) as silent, torch.inference_mode():
            images, _ = next(engine.train_feed.in_order(batch_size(engine.train_feed)))
            with torch.autocast(engine.setup.device.type, engine.setup.dtype, enabled=engine.setup.is_mixed):
                module(images)
    finally:
        for hook in hooks:
            hook.remove()
    for name, (dead, units) in silent.by_layer().items():
        if dead >= MOST * units:
            return f"{dead} of the {units} units of {name} are dead (never above 0)"
    for name, share in limits.items():
        if share >= MOST:
            return f"{100 * share:.0f} % of the outputs of {name} are saturated"
    return ""


class _Probes:
    """A few steps from the same initial weights at this learning rate and at others."""

    def __init__(self, engine: "TorchEngine", should_stop: Callable[[], bool]) -> None:
        self.engine, self.should_stop = engine, should_stop
        # The plain cross-entropy, so that it can be held against guessing.
        self.recipe = engine.recipe.replace(label_smoothing=0.0)
        self.cuts = batch_slices(len(engine.train_feed), self.recipe.batch_size)
        fewest, most = PROBE_STEPS
        self.steps = min(max(engine.train_state.epoch * len(self.cuts) // 2, fewest), most)

    def finding(self) -> str:
        """Whether it learns at another learning rate and not at this one."""
        used, guessing = self.recipe.optimizer.lr, math.log(len(self.engine.setting.dataset.classes))
        if self.loss(used) < LEARNED * guessing:
            return ""
        losses = {times: self.loss(used * times) for times in PROBED}
        times = min(losses, key=lambda times: losses[times])
        if self.should_stop() or losses[times] >= LEARNED * guessing:
            return ""
        word = "low" if times > 1 else "high"
        return (
            f"the learning rate {used:g} is too {word}: from the same initial weights, {self.steps} steps at {used * times:g} "
            f"bring the training loss to {losses[times]:.2f}, where guessing has {guessing:.2f}"
        )

    def loss(self, rate: float) -> float:
        """The mean over the last quarter of the steps at `rate`; infinite if it broke, or was asked to stop."""
        engine, losses = self.engine, list[float]()
        learner = engine.new_learner()
        learner.module.train()
        order = epoch_order(learner.seed, 0, len(engine.train_feed))
        for cut in islice(cycle(self.cuts), self.steps):
            batch = engine.train_feed.batch(order, cut=cut)
            losses.append(float(step(learner, engine.train_feed, self.recipe, rate, batch)[0]) / len(batch))
            if self.should_stop() or not math.isfinite(losses[-1]):
                return math.inf
        return float(np.mean(losses[-self.steps // 4 :]))
