"""The PyTorch engine: network, optimizer and images on a device."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from striate.core.processes import cpu_count
from striate.core.seeds import stream
from striate.data import Part, batch_slices
from striate.engines.inputs import RunInputs
from striate.engines.precision import PrecisionChoice, PrecisionQuestion
from striate.engines.protocol import EpochPlan, Evaluation, RunningSums, TrainState
from striate.engines.pytorch import optimizers
from striate.engines.pytorch.averaging import Average, measured_norms
from striate.engines.pytorch.device import Setup, applied, choose, move
from striate.engines.pytorch.device_dataset import DeviceDataset
from striate.engines.pytorch.diagnosis import Diagnosis
from striate.engines.pytorch.evaluate import evaluate, evaluation_batch_size
from striate.engines.pytorch.learner import Learner
from striate.engines.pytorch.out_of_memory import batch_that_fits, enough_memory_for
from striate.engines.pytorch.precision_check import choose_precision
from striate.nets.pytorch.build import build
from striate.nets.pytorch.freeze import learning
from striate.nets.pytorch.weights import put
from striate.runs import layout
from striate.runs.records import RunEnvironment

# Reading a number from a GPU waits for it, so the running sums are read in every 20th step there.
GPU_READ_EVERY = 20
# Measuring the gradient's norm takes a pass over all weights, so it is measured in every 20th step, or where it is clipped.
NORM_EVERY = 20


@contextmanager
def open_engine(
    inputs: RunInputs,
    threads: int | None,
    previous: RunEnvironment | None = None,
    *,
    device: str = "auto",
    precision: PrecisionChoice | None = None,
) -> Iterator["TorchEngine"]:
    """An engine before its first step. Inside, threads, flags and random generators of the process are its own.

    `precision` is what a recipe that says auto means; without it, the engine chooses.

    Raises:
        TrainingError: when the device is not there, or the images do not fit into its memory.
    """
    job, threads = inputs.job, threads or cpu_count()

    def decide() -> PrecisionChoice:
        return precision or choose_precision(
            PrecisionQuestion.of(job.recipe, job.network, inputs.dataset, device, threads)
        )

    setup = choose(job.recipe, device, threads, previous, decide)
    with applied(setup):
        yield TorchEngine(inputs, setup)


class TorchEngine:
    """A network in training with PyTorch."""

    checkpoint_name = layout.CHECKPOINT

    def __init__(self, inputs: RunInputs, setup: Setup) -> None:
        self._inputs, self._setup, self._recipe = inputs, setup, inputs.job.recipe
        self._splits: dict[str, DeviceDataset] = {}
        task = f"the network with all training images on {setup.device.type}"
        with enough_memory_for(task, "take fewer or smaller images"):
            self.add_split("train", inputs.splits.part("train"))
            self._learner = self._new_learner()

    @property
    def read_every(self) -> int:
        return 1 if self._setup.device.type == "cpu" else GPU_READ_EVERY

    @property
    def parameter_count(self) -> int:
        return sum(parameter.numel() for parameter in self._learner.module.parameters())

    def environment(self) -> RunEnvironment:
        fused = bool(self._learner.optimizer.param_groups[0].get("fused"))
        return self._setup.environment().model_copy(update={"fused_optimizer": fused})

    def add_split(self, name: str, part: Part) -> None:
        self._splits[name] = DeviceDataset(part.images, part.labels, self._inputs.mean, self._inputs.std, self._setup)

    def begin_epoch(self, epoch: int) -> None:
        self._learner.begin_epoch(self._inputs.job.seed, epoch)

    def train_step(self, plan: EpochPlan, step: int, lr: float) -> None:
        learner, images, places = self._learner, self._splits["train"], plan.batches[step]
        with batch_that_fits(places.stop - places.start, self._try_batch_size):
            # The batch has no name here, so that after a step that ran out of memory nothing holds its images.
            learner.sums += learner.step(
                images.batch(plan.order, plan.draws, places), lr, measures_norm=step % NORM_EVERY == 0
            )

    def running_sums(self) -> RunningSums:
        return self._learner.running_sums()

    @contextmanager
    def eval_weights(self) -> Iterator[None]:
        with ExitStack() as stack:
            if self._learner.average:
                stack.enter_context(self._learner.average.swapped())
            if self._recipe.precise_norm:
                sample = self._norm_sample(self._recipe.precise_norm)
                stack.enter_context(measured_norms(self._learner.module, sample, self._setup))
            yield

    def evaluate(self, split: str, test_time: str = "none") -> Evaluation:
        data = self._splits[split]
        task = f"an evaluation of {evaluation_batch_size(data)} images"
        with enough_memory_for(task, "take a smaller network or smaller images"):
            return evaluate(self._learner.module, data, test_time)

    def weights(self) -> dict[str, np.ndarray]:
        return {name: tensor.numpy() for name, tensor in self._learner.weights().items()}

    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        put(self._learner.module, _tensors(weights), "the best weights")

    def has_finite_weights(self) -> bool:
        return all(bool(torch.isfinite(tensor).all()) for tensor in self._learner.module.state_dict().values())

    def diagnose(
        self, *, epochs: int, train_accuracy: float | None, chance: float, should_stop: Callable[[], bool]
    ) -> str:
        diagnosis = Diagnosis(
            module=self._learner.module,
            data=self._splits["train"],
            new_learner=self._new_learner,
            recipe=self._recipe,
            seed=self._inputs.job.seed,
            should_stop=should_stop,
        )
        return diagnosis.reason(epochs, train_accuracy, chance)

    def save(self, path: Path, train_state: TrainState, best: Mapping[str, np.ndarray]) -> None:
        state = {**self._learner.state(), "course": train_state.to_json(), "best": _tensors(best)}
        # Into a file that Python opened: given a path, torch's own writer calls a full disk an internal error.
        with path.open("wb") as file:
            torch.save(state, file)

    def load(self, path: Path) -> tuple[TrainState, dict[str, np.ndarray]]:
        with enough_memory_for(f"{path}", "free some, and run the same command again"):
            state = torch.load(path, map_location="cpu", weights_only=True)  # so that a checkpoint cannot run code
            if "plain" in state:
                state = _from_first_version(state)
            self._learner.restore(state)
        best = {name: tensor.numpy() for name, tensor in state["best"].items()}
        return TrainState.from_json(state["course"]), best

    def _new_learner(self) -> Learner:
        """The network before its first step."""
        inputs, recipe = self._inputs, self._recipe
        module = build(inputs.job.network, inputs.input_shape, inputs.class_count, inputs.job.seed)
        if inputs.whitened:
            module.load_state_dict(_tensors(inputs.whitened), strict=False)
        module = move(module, self._setup).train()
        optimizer = optimizers.build(recipe.optimizer, learning(module))
        average = None if recipe.ema is None else Average(module, recipe.ema)
        weights = None if inputs.class_weights is None else torch.from_numpy(inputs.class_weights)
        weights = None if weights is None else weights.to(self._setup.device)
        return Learner(module, optimizer, self._setup, recipe.label_smoothing, recipe.optimizer.clip, average, weights)

    def _try_batch_size(self, size: int) -> None:
        """A step of `size` images, as far as memory goes."""
        self._learner.optimizer.zero_grad()
        self._learner.step(self._splits["train"].batch(np.arange(size)), lr=0.0)

    def _norm_sample(self, count: int) -> Iterator[torch.Tensor]:
        """Training images for the statistics of norms, the same in every epoch."""
        images = self._splits["train"]
        rows = stream(self._inputs.job.seed, "precise norm").permutation(len(images))[:count]
        for batch in batch_slices(len(rows), evaluation_batch_size(images)):
            yield images.batch(rows[batch]).images


def _tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _from_first_version(state: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint of the first version in today's form."""
    best = state["best"]
    course = {**state["plain"], **{f"best_{key}": best[key] for key in ("epoch", "accuracy", "loss")}}
    sums = [*state["sums"], 0.0, 0.0]
    return {**state, "average": None, "course": course, "best": best["weights"], "sums": sums}
