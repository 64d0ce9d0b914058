"""The training loop: the steps of an epoch, the same for every engine. It can be read alone."""

import math
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from striate.data import augment, batch_slices, epoch_order
from striate.engines.inputs import RunInputs
from striate.engines.protocol import DivergedError, Engine, EpochPlan, TrainState
from striate.recipes import AugmentConfig, lr_factor


class RunningStats(NamedTuple):
    """Means over the current epoch so far."""

    loss: float = 0.0
    accuracy: float = 0.0
    gradient_norm: float | None = None  # over the steps where it was measured


class TrainingLoop:
    """Trains an engine epoch by epoch; `state` is how far it is."""

    def __init__(self, engine: Engine, inputs: RunInputs) -> None:
        self.engine, self.inputs, self.recipe = engine, inputs, inputs.job.recipe
        self.batches = batch_slices(inputs.splits.size("train"), self.recipe.batch_size)
        self.state = TrainState()
        self.stats = RunningStats()  # as of the last time that they were read

    def train_epoch(self, lr_scale: float, should_stop: Callable[[], bool]) -> Iterator[None]:
        """The remaining steps of the current epoch; yields after each. Ends early when `should_stop` returns True.

        Raises:
            DivergedError: when a loss or a gradient is not finite.
        """
        engine, state, steps = self.engine, self.state, len(self.batches)
        started = time.perf_counter()
        if state.step == 0:
            state.epoch_seconds = 0.0
            engine.begin_epoch(state.epoch)
        plan = epoch_plan(self.inputs, state.epoch)
        state.epoch_seconds += time.perf_counter() - started
        while state.step < steps:
            if should_stop():
                return
            started = time.perf_counter()
            engine.train_step(plan, state.step, self.lr(state.step, lr_scale))
            state.step += 1
            reads = state.step % engine.read_every == 0 or state.step == steps
            if reads:
                self.read_stats()
            state.epoch_seconds += time.perf_counter() - started
            if reads:
                self._check_finite()
            yield

    def lr(self, step: int, lr_scale: float) -> float:
        """The learning rate of a step of the current epoch, by the schedule."""
        schedule, epochs, steps = self.recipe.schedule, self.recipe.epochs, len(self.batches)
        position = self.state.epoch * steps + step
        return self.recipe.optimizer.lr * lr_scale * lr_factor(schedule, position, epochs * steps, epochs)

    @property
    def images_done(self) -> int:
        """Images of the current epoch that were trained on."""
        return self.batches[self.state.step - 1].stop if self.state.step else 0

    def read_stats(self) -> None:
        """Update `stats`. Waits for the device."""
        sums, images = self.engine.running_sums(), max(self.images_done, 1)
        norm = sums.gradient_norm / sums.norm_steps if sums.norm_steps else None
        self.stats = RunningStats(sums.loss / images, sums.correct / images, norm)

    def _check_finite(self) -> None:
        loss, _, norm = self.stats
        non_finite = ""
        if not math.isfinite(loss):
            non_finite = "loss"
        elif norm is not None and not math.isfinite(norm):
            non_finite = "gradient"
        if non_finite:
            place = f"epoch {self.state.epoch + 1}, step {self.state.step} of {len(self.batches)}"
            raise DivergedError(f"the {non_finite} stopped being a finite number in {place}")


def epoch_plan(inputs: RunInputs, epoch: int) -> EpochPlan:
    """The order, augmentation and batches of an epoch, counted from 0."""
    recipe, seed, count = inputs.job.recipe, inputs.job.seed, inputs.splits.size("train")
    order = epoch_order(seed, epoch, count, shuffle=recipe.shuffle)
    draws = None
    if recipe.augment != AugmentConfig():  # handling draws that change nothing took 5 % of a small network's step
        dataset = inputs.dataset
        shape = (dataset.height, dataset.width, dataset.channels)
        draws = augment.draw(seed, epoch, order, shape, recipe.augment)
    return EpochPlan(order, draws, batch_slices(count, recipe.batch_size))
