"""The training loop. It can be read alone: one epoch of steps, and what a step is."""

import math
import time
from collections.abc import Callable, Iterator

import torch

from striate.core.errors import StriateError
from striate.data import augment, batches
from striate.recipes import Recipe, factor
from striate.training.feed import Batch, Feed
from striate.training.learner import Learner
from striate.training.objective import loss as loss_of

# Reading a number off a GPU waits for it, so a step there is looked at this often; on a CPU each step is.
LOOK_EVERY = 20
WAITS_FOR_NOTHING = "cpu"


class DivergedError(StriateError):
    """The loss is no longer a finite number."""


def run_epoch(learner: Learner, feed: Feed, recipe: Recipe, should_stop: Callable[[], bool]) -> Iterator[None]:
    """The steps of the epoch that runs, from where `learner` is; yields after each. Stops early when asked to.

    Raises:
        DivergedError: at the first step seen with a loss that is not finite.
    """
    seed, epoch, count = learner.seed, learner.epoch, len(feed)
    order = batches.order(seed, epoch, count)
    draws = augment.draw(seed, epoch, order, feed.shape, **recipe.augment.model_dump())
    cuts = batches.cuts(count, recipe.batch_size)
    steps = recipe.epochs * len(cuts)
    looks_always = feed.setup.device.type == WAITS_FOR_NOTHING
    learner.module.train()
    for cut in cuts[learner.step :]:
        if should_stop():
            return
        started = time.perf_counter()
        rate = recipe.optimizer.lr * factor(recipe.schedule, epoch * len(cuts) + learner.step, steps, recipe.epochs)
        learner.sums += step(learner, feed, recipe, rate, feed.batch(order, draws, cut))
        learner.step += 1
        learner.seen += cut.stop - cut.start
        is_looked_at = looks_always or learner.step % LOOK_EVERY == 0 or learner.step == len(cuts)
        diverged = is_looked_at and not math.isfinite(learner.look()[0])
        learner.epoch_seconds += time.perf_counter() - started
        if diverged:
            where = f"epoch {epoch + 1}, step {learner.step} of {len(cuts)}"
            raise DivergedError(f"the loss stopped being a finite number in {where}")
        yield


def step(learner: Learner, feed: Feed, recipe: Recipe, rate: float, batch: Batch) -> torch.Tensor:
    """One update of the weights; returns (sum of losses, how many right)."""
    setup = feed.setup
    with torch.autocast(setup.device.type, setup.dtype, enabled=setup.dtype != torch.float32):
        logits = learner.module(batch.images)
    logits = logits.float()
    loss = loss_of(logits, batch, recipe.label_smoothing)
    for group in learner.optimizer.param_groups:
        group["lr"] = rate
    learner.optimizer.zero_grad()
    loss.backward()
    learner.optimizer.step()
    with torch.no_grad():
        return torch.stack([loss * len(batch), (logits.argmax(1) == batch.labels).sum().to(loss.dtype)])
