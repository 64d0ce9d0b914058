"""The engine by hand behind the interface of `runs.engine`: the same batches, draws and run folder as torch's.

The one door of the engine from scratch: a job and a folder in, a finished run folder out. As torch's own door.
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from striate.core.errors import RecipeError
from striate.data import Part, augment, batch_slices, epoch_order
from striate.engines.driver import drive
from striate.engines.environment import facts
from striate.engines.inputs import RunInputs, RunOptions
from striate.engines.protocol import PIXELS_AT_ONCE, DivergedError, Evaluation, RunningStats, TrainState
from striate.engines.scratch import build, optimizers
from striate.engines.scratch.learner import Learner, MixedLabels
from striate.engines.scratch.library import device_of, library
from striate.nets import NetworkConfig
from striate.recipes import Recipe, ema_decay, lr_factor, views
from striate.runs import EpochRow, Job, Summary

# What only the torch engine has, with the value that leaves it off.
TORCH_ONLY = {"optimizer.clip": None, "optimizer.decays": "all", "precise_norm": None}


def check(recipe: Recipe, network: NetworkConfig) -> None:
    """Raise what training would, before it.

    Raises:
        NetworkError, RecipeError: for a layer, an optimizer or a part of the recipe that this engine does not have.
        MissingExtra, TrainingError: for an array library that is not there.
    """
    library(recipe.engine)
    build.check(network, recipe.engine)
    optimizers.build(recipe.optimizer)
    for dotted, off in TORCH_ONLY.items():
        value: Any = recipe
        for key in dotted.split("."):
            value = getattr(value, key)
        if value != off:
            raise RecipeError(f"recipe.{dotted}: the engine {recipe.engine} does not have it; the engine torch has")
    if recipe.precision == "bf16":
        raise RecipeError(
            f"recipe.precision: the engine {recipe.engine} computes in float32, got bf16; the engine torch has it"
        )


class ScratchEngine:
    """One network in training by hand."""

    def __init__(self, setting: RunInputs, threads: int) -> None:
        job, dataset = setting.job, setting.dataset
        self.setting, self.recipe, self.threads = setting, job.recipe, threads
        check(job.recipe, job.network)
        self._scale = (1 / (255 * setting.std)).astype(np.float32)
        self._shift = (-setting.mean / setting.std).astype(np.float32)
        self.part = setting.splits.part("train")
        self.learner = Learner(
            job.network,
            (dataset.channels, dataset.height, dataset.width),
            len(dataset.classes),
            job.seed,
            job.recipe.optimizer,
            engine=job.recipe.engine,
            threads=threads,
            label_smoothing=job.recipe.label_smoothing,
        )
        if setting.whitened:
            self.learner.load({**self.learner.weights(), **setting.whitened})
        self.train_state = TrainState()
        self.best: dict[str, np.ndarray] = {}
        self.rate = 0.0
        self._average = self.learner.weights() if job.recipe.ema else {}
        self._loss, self._right = 0.0, 0

    @property
    def parameters(self) -> int:
        return sum(math.prod(array.shape) for array in self.learner.parameters().values())

    def environment(self) -> dict[str, Any]:
        device, device_name = device_of(self.recipe.engine)
        return {
            **facts(),
            "engine": self.recipe.engine,
            self.recipe.engine: library(self.recipe.engine).__version__,
            "device": device,
            "device_name": device_name,
            "precision": "float32",
            "threads": self.threads,
        }

    @property
    def train_feed(self) -> Part:
        return self.part

    def feed(self, part: Part) -> Part:
        return part

    def begin_epoch(self) -> None:
        self.train_state.step = self.train_state.seen = 0
        self.train_state.epoch_seconds = 0.0
        self._loss, self._right = 0.0, 0
        self.learner.begin_epoch(self.train_state.epoch)

    def steps(self, scale: float, should_stop: Callable[[], bool]) -> Iterator[None]:
        seed, train_state, recipe, count = self.setting.job.seed, self.train_state, self.recipe, len(self.part)
        started = time.perf_counter()
        order = epoch_order(seed, train_state.epoch, count, shuffle=recipe.shuffle)
        draws = augment.draw(seed, train_state.epoch, order, self.part.images.shape[1:], recipe.augment)
        cuts = batch_slices(count, recipe.batch_size)
        steps = recipe.epochs * len(cuts)
        train_state.epoch_seconds += time.perf_counter() - started
        for cut in cuts[train_state.step :]:
            if should_stop():
                return
            started = time.perf_counter()
            self.rate = recipe.optimizer.lr * scale
            self.rate *= lr_factor(
                recipe.schedule, train_state.epoch * len(cuts) + train_state.step, steps, recipe.epochs
            )
            images, labels, mixed = self._batch(order, draws, cut)
            loss, right = self.learner.train_step(images, labels, self.rate, mixed)
            self._loss, self._right = self._loss + loss, self._right + right
            if recipe.ema:
                self._follow(recipe.ema)
            train_state.step += 1
            train_state.seen += len(labels)
            train_state.epoch_seconds += time.perf_counter() - started
            if not math.isfinite(loss):
                where = f"epoch {train_state.epoch + 1}, step {train_state.step} of {len(cuts)}"
                raise DivergedError(f"the loss stopped being a finite number in {where}")
            yield

    def running_stats(self) -> RunningStats:
        seen = max(self.train_state.seen, 1)
        return RunningStats(self._loss / seen, self._right / seen, None)

    @contextmanager
    def eval_weights(self) -> Iterator[None]:
        if not self._average:
            yield
            return
        live = self.learner.weights()
        self.learner.load(self._average)
        try:
            yield
        finally:
            self.learner.load(live)

    def evaluate(self, feed: Part, test_time: str = "none") -> Evaluation:
        height, width = feed.images.shape[1:3]
        size = max(1, PIXELS_AT_ONCE // (height * width))
        logits = []
        for start in range(0, len(feed), size):
            images = self._normalized(feed.images[start : start + size])
            seen = [w * self.learner.logits(_view(images, shift, flip)) for w, shift, flip in views(test_time)]
            logits.append(np.sum(seen, 0))
        return Evaluation(np.concatenate(logits).astype(np.float32), np.asarray(feed.labels, np.int64))

    def weights(self) -> dict[str, np.ndarray]:
        return self.learner.weights()

    def keep_best(self) -> None:
        self.best = self.learner.weights()

    def use_best(self) -> None:
        self.learner.load(self.best)

    def is_sound(self) -> bool:
        return all(bool(np.isfinite(array).all()) for array in self.learner.weights().values())

    def diagnose(self, rows: Sequence[EpochRow], should_stop: Callable[[], bool]) -> str:
        return ""  # the torch engine looks for reasons; this one is for reading

    def save(self, path: Path) -> None:
        state = self.learner.state()
        plain = {
            "course": vars(self.train_state),
            "learner": state["counts"],
            "sums": [self._loss, self._right],
            "rate": self.rate,
        }
        arrays = {
            **{f"weights/{name}": array for name, array in state["weights"].items()},
            **{
                f"kept/{name}/{key}": array
                for name, arrays in state["optimizer_state"].items()
                for key, array in arrays.items()
            },
            **{f"best/{name}": array for name, array in self.best.items()},
            **{f"average/{name}": array for name, array in self._average.items()},
        }
        with path.open("wb") as file:
            np.savez(file, plain=np.array(json.dumps(plain)), **arrays)

    def load(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as held:
            plain = json.loads(str(held["plain"]))
            arrays = {name: held[name] for name in held.files if name != "plain"}
        optimizer_state: dict[str, dict[str, np.ndarray]] = {}
        for name, array in _below(arrays, "kept").items():
            parameter, _, key = name.rpartition("/")
            optimizer_state.setdefault(parameter, {})[key] = array
        self.learner.restore(
            {"weights": _below(arrays, "weights"), "optimizer_state": optimizer_state, "counts": plain["learner"]}
        )
        self.train_state = TrainState(**plain["course"])
        self._loss, self._right = plain["sums"]
        self.rate = plain["rate"]
        self.best, self._average = _below(arrays, "best"), _below(arrays, "average")

    def _batch(
        self, order: np.ndarray, draws: augment.Draws, cut: slice
    ) -> tuple[np.ndarray, np.ndarray, MixedLabels | None]:
        """Normalized images (N, H, W, C) and labels; with mixing, the next place of the order is the partner."""
        places = np.arange(len(order))[cut]
        if draws.label_lambda is None:
            rows = order[places]
            return self._normalized(augment.apply(self.part.images[rows], draws[cut])), self.part.labels[rows], None
        with_next = np.append(places, (places[-1] + 1) % len(order))
        rows = order[with_next]
        images, labels = (
            self._normalized(augment.apply(self.part.images[rows], draws[with_next])),
            self.part.labels[rows],
        )
        mixed = augment.mix(images[:-1], images[1:], draws[places])
        return mixed, labels[:-1], MixedLabels(labels[1:], draws.label_lambda[places])

    def _normalized(self, images: np.ndarray) -> np.ndarray:
        done = images.astype(np.float32)
        done *= self._scale
        done += self._shift
        return done

    def _follow(self, decay: float) -> None:
        """The moving average of weights and statistics."""
        share = 1 - ema_decay(decay, self.learner.updates)
        for name, array in self.learner.weights().items():
            # A count of batches is not averaged.
            is_number = np.issubdtype(array.dtype, np.floating)
            self._average[name] = self._average[name] + share * (array - self._average[name]) if is_number else array


def _below(arrays: Mapping[str, np.ndarray], kind: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(f"{kind}/"): array for name, array in arrays.items() if name.startswith(f"{kind}/")}


def _view(images: np.ndarray, shift: int, is_mirrored: bool) -> np.ndarray:
    """Images (N, H, W, C) moved by a pixel, the edge repeated, and mirrored."""
    if shift:
        height, width = images.shape[1:3]
        padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
        images = padded[:, 1 - shift : 1 - shift + height, 1 - shift : 1 - shift + width]
    return images[:, :, ::-1] if is_mirrored else images


def train(job: Job, folder: Path, **settings: Unpack[RunOptions]) -> Summary | None:
    """Train `job` into `folder`, or go on with it, as `runs.driver.drive` promises; `recipe.engine` says on which library.

    Raises:
        StriateError: whatever is the user's to mend.
    """

    def make(setting: RunInputs, threads: int | None) -> ScratchEngine:
        return ScratchEngine(setting, threads or os.cpu_count() or 1)

    return drive(job, folder, make, **settings)
