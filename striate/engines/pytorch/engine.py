"""The torch engine: network, optimizer, images and loop behind the interface of `runs.engine`.

The one door of the torch engine: a job and a folder in, a finished run folder out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Unpack

import numpy as np
import torch

from striate.core.seeds import stream
from striate.data import Dataset, Part, batch_slices
from striate.engines.driver import drive
from striate.engines.inputs import RunInputs, RunOptions
from striate.engines.protocol import Evaluation, RunningStats, TrainState
from striate.engines.pytorch import optimizers
from striate.engines.pytorch.averaging import Average, measured_norms
from striate.engines.pytorch.device import Setup, choose, describe, move, own_random_numbers, prepare
from striate.engines.pytorch.device_dataset import DeviceDataset
from striate.engines.pytorch.diagnosis import diagnose
from striate.engines.pytorch.evaluate import batch_size, evaluate
from striate.engines.pytorch.learner import Learner
from striate.engines.pytorch.out_of_memory import batch_that_fits, enough_for
from striate.engines.pytorch.step import run_epoch
from striate.nets import NetworkConfig
from striate.nets.pytorch.build import build
from striate.nets.pytorch.freeze import learning
from striate.nets.pytorch.weights import put
from striate.recipes import Recipe
from striate.runs import EpochRow, Job, Summary


def begin(
    network: NetworkConfig,
    recipe: Recipe,
    dataset: Dataset,
    seed: int,
    setup: Setup,
    weights: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> Learner:
    """A network at its first step, `weights` in place of those that the seed draws."""
    shape = (dataset.channels, dataset.height, dataset.width)
    module = build(network, shape, len(dataset.classes), seed)
    if weights:
        module.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()}, strict=False)
    module = move(module, setup)
    optimizer = optimizers.build(recipe.optimizer, learning(module))
    average = None if recipe.ema is None else Average(module, recipe.ema)
    return Learner(module, optimizer, seed, setup.device, average)


class TorchEngine:
    """One network in training with torch."""

    def __init__(self, setting: RunInputs, setup: Setup) -> None:
        self.setting, self.setup, self.recipe = setting, setup, setting.job.recipe
        with enough_for(f"the network with all training images on {setup.device.type}", "take fewer or smaller images"):
            self.train_feed = self.feed(setting.splits.part("train"))
            self.learner = self.new_learner()

    def new_learner(self) -> Learner:
        """The learner at its first step."""
        job = self.setting.job
        return begin(job.network, job.recipe, self.setting.dataset, job.seed, self.setup, self.setting.whitened)

    @property
    def train_state(self) -> TrainState:
        return self.learner.train_state

    @property
    def best(self) -> Mapping[str, np.ndarray]:
        return {name: tensor.numpy() for name, tensor in self.learner.best.items()}

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.learner.module.parameters())

    @property
    def rate(self) -> float:
        return float(self.learner.optimizer.param_groups[0]["lr"])

    def environment(self) -> dict[str, Any]:
        return {**describe(self.setup), "fused_optimizer": bool(self.learner.optimizer.param_groups[0].get("fused"))}

    def feed(self, part: Part) -> DeviceDataset:
        return DeviceDataset(part.images, part.labels, self.setting.mean, self.setting.std, self.setup)

    def begin_epoch(self) -> None:
        self.learner.begin_epoch()

    def steps(self, scale: float, should_stop: Callable[[], bool]) -> Iterator[None]:
        with batch_that_fits(self):
            yield from run_epoch(self.learner, self.train_feed, self.recipe, scale, should_stop)

    def running_stats(self) -> RunningStats:
        return self.learner.looked  # the loop looked at the last step of the epoch

    @contextmanager
    def eval_weights(self) -> Iterator[None]:
        with ExitStack() as stack:
            if self.learner.average:
                stack.enter_context(self.learner.average.swapped())
            if self.recipe.precise_norm:
                sample = self._sample(self.recipe.precise_norm)
                stack.enter_context(measured_norms(self.learner.module, sample, self.setup))
            yield

    def evaluate(self, feed: DeviceDataset, test_time: str = "none") -> Evaluation:
        with enough_for(f"an evaluation of {batch_size(feed)} images", "take a smaller network or smaller images"):
            return evaluate(self.learner.module, feed, test_time)

    def weights(self) -> dict[str, np.ndarray]:
        return {name: tensor.numpy() for name, tensor in self.learner.weights().items()}

    def keep_best(self) -> None:
        self.learner.best = self.learner.weights()

    def use_best(self) -> None:
        put(self.learner.module, self.learner.best, "the best weights")

    def is_sound(self) -> bool:
        return all(bool(torch.isfinite(tensor).all()) for tensor in self.learner.module.state_dict().values())

    def diagnose(self, rows: Sequence[EpochRow], should_stop: Callable[[], bool]) -> str:
        return diagnose(self, rows, should_stop)

    def save(self, path: Path) -> None:
        # Into a file that Python opened: given a path, torch's own writer calls a full disk an internal error.
        with path.open("wb") as file:
            torch.save(self.learner.state(), file)

    def load(self, path: Path) -> None:
        with enough_for(f"{path}", "free some, and run the same command again"):
            # A checkpoint runs no code.
            self.learner.restore(torch.load(path, map_location="cpu", weights_only=True))

    def _sample(self, count: int) -> Iterator[torch.Tensor]:
        """Training images for the statistics of norms, the same in every epoch."""
        rows = stream(self.setting.job.seed, "precise norm").permutation(len(self.train_feed))[:count]
        for cut in batch_slices(len(rows), batch_size(self.train_feed)):
            yield self.train_feed.batch(rows[cut]).images


def train(job: Job, folder: Path, *, device: str = "auto", **settings: Unpack[RunOptions]) -> Summary | None:
    """Train `job` into `folder`, or go on with it, as `runs.driver.drive` promises.

    Raises:
        TrainingError: when the device is not there, the images changed, or a batch does not fit into memory.
        StriateError: whatever else is the user's to mend.
    """

    def make(setting: RunInputs, threads: int | None) -> TorchEngine:
        setup = choose(job.recipe, device, threads)
        prepare(setup)
        return TorchEngine(setting, setup)

    with own_random_numbers(device):
        return drive(job, folder, make, **settings)
