"""The training loop. It can be read alone: one epoch of steps, and what a step is.

What a step makes smaller: the cross-entropy, over both labels where images are mixed.
"""

import math
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional

from striate.data import augment, batch_slices, epoch_order
from striate.engines.protocol import DivergedError
from striate.engines.pytorch.device_dataset import Batch, DeviceDataset
from striate.engines.pytorch.learner import Learner
from striate.recipes import AugmentConfig, Recipe, lr_factor

# Reading a number off a GPU waits for it, so a step there is looked at this often; on a CPU each step is.
LOOK_EVERY = 20
WAITS_FOR_NOTHING = "cpu"
# The gradient's norm costs a pass over all weights, so without clipping it is measured in every such step.
NORM_EVERY = 20


def run_epoch(
    learner: Learner, feed: DeviceDataset, recipe: Recipe, scale: float, should_stop: Callable[[], bool]
) -> Iterator[None]:
    """The steps of the epoch that runs, from where `learner` is, the learning rate times `scale`; yields after each.

    Stops early when asked to.

    Raises:
        DivergedError: at the first step seen with a loss or a gradient that is not finite.
    """
    seed, train_state, count = learner.seed, learner.train_state, len(feed)
    started = time.perf_counter()
    order = epoch_order(seed, train_state.epoch, count, shuffle=recipe.shuffle)
    # Handling draws of nothing was a twentieth of a small network's step.
    is_plain = recipe.augment == AugmentConfig()
    draws = None if is_plain else augment.draw(seed, train_state.epoch, order, feed.shape, recipe.augment)
    cuts = batch_slices(count, recipe.batch_size)
    steps = recipe.epochs * len(cuts)
    looks_always = feed.setup.device.type == WAITS_FOR_NOTHING
    learner.module.train()
    train_state.epoch_seconds += time.perf_counter() - started
    for cut in cuts[train_state.step :]:
        if should_stop():
            return
        started = time.perf_counter()
        rate = recipe.optimizer.lr * scale
        rate *= lr_factor(recipe.schedule, train_state.epoch * len(cuts) + train_state.step, steps, recipe.epochs)
        learner.sums += step(learner, feed, recipe, rate, feed.batch(order, draws, cut))
        train_state.step += 1
        train_state.seen += cut.stop - cut.start
        is_looked_at = looks_always or train_state.step % LOOK_EVERY == 0 or train_state.step == len(cuts)
        broken = _broken(learner) if is_looked_at else ""
        train_state.epoch_seconds += time.perf_counter() - started
        if broken:
            where = f"epoch {train_state.epoch + 1}, step {train_state.step} of {len(cuts)}"
            raise DivergedError(f"the {broken} stopped being a finite number in {where}")
        yield


def step(learner: Learner, feed: DeviceDataset, recipe: Recipe, rate: float, batch: Batch) -> torch.Tensor:
    """One update of the weights; returns what it adds to the learner's sums."""
    setup, optimizer = feed.setup, learner.optimizer
    with torch.autocast(setup.device.type, setup.dtype, enabled=setup.is_mixed):
        logits = learner.module(batch.images)
    logits = logits.float()
    loss = batch_loss(logits, batch, recipe.label_smoothing)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad()
    loss.backward()
    norm = _gradient_norm(learner, recipe.optimizer.clip)
    optimizer.step()
    if learner.average:
        learner.average.update()
    with torch.no_grad():
        right = (logits.argmax(1) == batch.labels).sum()
        return torch.stack([loss * len(batch), right.to(loss.dtype), *norm])


def _gradient_norm(learner: Learner, clip: float | None) -> tuple[torch.Tensor, torch.Tensor]:
    """(norm of the whole gradient, 1), clipped where asked for; zeros in the steps where it is not measured."""
    zero = torch.zeros((), device=learner.device)
    if clip is None and learner.train_state.step % NORM_EVERY:
        return zero, zero
    gradients = [parameter.grad for parameter in learner.module.parameters() if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if clip is not None:
        torch.nn.utils.clip_grads_with_norm_(learner.module.parameters(), clip, norm)
    return norm, zero + 1


def _broken(learner: Learner) -> str:
    """What is no longer a finite number, or nothing."""
    loss, _, norm = learner.running_stats()
    if not math.isfinite(loss):
        return "loss"
    return "" if norm is None or math.isfinite(norm) else "gradient"


def batch_loss(logits: Tensor, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
    """The mean over the batch of the cross-entropy; of a mixed picture, each label's counts with its image's share."""
    if batch.partners is None or batch.label_lambda is None:
        return functional.cross_entropy(logits, batch.labels, label_smoothing=label_smoothing)
    own, partner = (
        functional.cross_entropy(logits, labels, label_smoothing=label_smoothing, reduction="none")
        for labels in (batch.labels, batch.partners)
    )
    return (batch.label_lambda * own + (1 - batch.label_lambda) * partner).mean()
