"""Why a network stayed at chance: measured on its images, its units and a few steps at other learning rates.

Each reason is a measurement. Where none is found, the reason is empty.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from striate.data import batch_slices, epoch_order
from striate.engines.pytorch.device_dataset import DeviceDataset
from striate.engines.pytorch.evaluate import dead_unit_counter, evaluation_batch_size, evaluation_mode
from striate.engines.pytorch.learner import Learner
from striate.recipes import Recipe

# Steps at each learning rate: half of those of the training, within these.
PROBE_STEPS = (20, 60)
IMAGES_AT_ONCE = 1000
LR_FACTORS = (1e-3, 1e-2, 1e-1, 10.0, 100.0, 1000.0)  # times the learning rate that was used
LEARNED = 0.95  # times the loss of guessing: a lower training loss has learned something
MOST = 0.9  # of a layer's units that are dead, or of its outputs that are saturated
SATURATED = 0.01  # of the range of a sigmoid or tanh: the distance to its limits
MEMORIZED = 0.5  # of the way from chance to 100 % of the training images


@dataclass(frozen=True)
class Diagnosis:
    """The parts of a run that are measured. `new_learner` makes the network before its first step."""

    module: nn.Module
    data: DeviceDataset  # the training images
    new_learner: Callable[[], Learner]
    recipe: Recipe
    seed: int
    should_stop: Callable[[], bool]

    def reason(self, epochs: int, train_accuracy: float | None, chance: float) -> str:
        """The likely reason, in a sentence; empty where none was found, or it was asked to stop.

        `chance` is the accuracy of always predicting the most common class.
        """
        text = self._images() or self._labels(train_accuracy, chance)
        text = text or "; ".join(filter(None, (self._units(), self._learning_rate(epochs))))
        return f"stayed at chance: {text}" if text else ""

    def _images(self) -> str:
        """Whether all images are equal."""
        images = self.data.images_NHWC
        blocks = images.split(IMAGES_AT_ONCE)
        return "all training images are alike" if all(bool((block == images[:1]).all()) for block in blocks) else ""

    @staticmethod
    def _labels(train_accuracy: float | None, chance: float) -> str:
        """Whether the training images were memorized: what holds for no other image is no rule."""
        if train_accuracy is None or train_accuracy < chance + MEMORIZED * (1 - chance):
            return ""
        return (
            f"{100 * train_accuracy:.0f} % of the training images are correct and no more validation images than by "
            "guessing, as with shuffled labels: check the labels"
        )

    def _units(self) -> str:
        """The first layer whose units are nearly all dead, or whose outputs are nearly all saturated."""
        images, _ = next(self.data.in_order(evaluation_batch_size(self.data)))
        with (
            evaluation_mode(self.module),
            dead_unit_counter(self.module) as counter,
            _saturated_shares(self.module) as saturated,
            torch.inference_mode(),
            self.data.setup.autocast(),
        ):
            self.module(images)
        for name, (dead, units) in counter.by_layer().items():
            if dead >= MOST * units:
                return f"{dead} of the {units} units of {name} are dead (never above 0)"
        for name, share in saturated.items():
            if share >= MOST:
                return f"{100 * share:.0f} % of the outputs of {name} are saturated"
        return ""

    def _learning_rate(self, epochs: int) -> str:
        """Whether the network learns at another learning rate and not at this one."""
        slices = batch_slices(len(self.data), self.recipe.batch_size)
        fewest, most = PROBE_STEPS
        steps = min(max(epochs * len(slices) // 2, fewest), most)
        used, guessing = self.recipe.optimizer.lr, _entropy(self.data.labels_N)
        if self._loss(used, slices, steps) < LEARNED * guessing:
            return ""
        losses = {factor: self._loss(used * factor, slices, steps) for factor in LR_FACTORS}
        best = min(losses, key=lambda factor: losses[factor])
        if self.should_stop() or losses[best] >= LEARNED * guessing:
            return ""
        return (
            f"the learning rate {used:g} is too {'low' if best > 1 else 'high'}: from the same initial weights, {steps} "
            f"steps at {used * best:g} bring the training loss to {losses[best]:.2f}, where guessing has {guessing:.2f}"
        )

    def _loss(self, lr: float, slices: list[slice], steps: int) -> float:
        """The mean loss over the last quarter of `steps` steps at `lr`; infinite if it broke, or was asked to stop."""
        learner, losses = self.new_learner(), list[float]()
        learner.label_smoothing, learner.class_weights = (
            0.0,
            None,
        )  # so that the loss can be compared with that of guessing
        learner.module.train()
        order = epoch_order(self.seed, 0, len(self.data))
        for part in islice(cycle(slices), steps):
            batch = self.data.batch(order, places=part)
            losses.append(float(learner.step(batch, lr)[0]) / len(batch))
            if self.should_stop() or not math.isfinite(losses[-1]):
                return math.inf
        return float(np.mean(losses[-steps // 4 :]))


def _entropy(labels: Tensor) -> float:
    """The loss of guessing: of predicting each class with its share of the images."""
    counts = torch.bincount(labels)
    shares = counts[counts > 0].double() / len(labels)
    return float(-(shares * shares.log()).sum())


@contextmanager
def _saturated_shares(module: nn.Module) -> Iterator[dict[str, float]]:
    """For each sigmoid and tanh that is called inside, by name: the share of its outputs that are near its limits."""
    shares: dict[str, float] = {}

    def watch(name: str, low: float, high: float) -> Callable[..., None]:
        def hook(_part: nn.Module, _inputs: Any, output: Tensor) -> None:
            margin = SATURATED * (high - low)
            shares[name] = float(((output < low + margin) | (output > high - margin)).float().mean())

        return hook

    ranges: dict[type[nn.Module], tuple[float, float]] = {nn.Sigmoid: (0.0, 1.0), nn.Tanh: (-1.0, 1.0)}
    hooks = [
        part.register_forward_hook(watch(name, *ranges[type(part)]))
        for name, part in module.named_modules()
        if type(part) in ranges
    ]
    try:
        yield shares
    finally:
        for hook in hooks:
            hook.remove()
