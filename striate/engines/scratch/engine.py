"""The engine from scratch: networks, gradients and optimizers in NumPy or CuPy, with the batches and draws of every engine."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from striate.core.errors import RecipeError
from striate.core.processes import cpu_count
from striate.data import Part, augment
from striate.engines.environment import common_facts
from striate.engines.inputs import RunInputs
from striate.engines.protocol import PIXELS_AT_ONCE, EpochPlan, Evaluation, RunningSums, TrainState
from striate.engines.scratch import build, optimizers
from striate.engines.scratch.learner import Learner, MixedLabels
from striate.engines.scratch.library import device_of, library
from striate.nets import NetworkConfig
from striate.recipes import Recipe, ema_decay, views
from striate.runs import layout
from striate.runs.records import RunEnvironment

# What only the PyTorch engine has, with the value that leaves it out.
TORCH_ONLY = {"optimizer.clip": None, "optimizer.decays": "all", "precise_norm": None}


def check(recipe: Recipe, network: NetworkConfig) -> None:
    """Refuse what this engine does not have.

    Raises:
        NetworkError, RecipeError: for a layer, an optimizer or a part of the recipe.
        MissingExtra, TrainingError: for an array library that is not installed or finds no GPU.
    """
    library(recipe.engine)
    build.check(network, recipe.engine)
    optimizers.build(recipe.optimizer)
    for dotted, off in TORCH_ONLY.items():
        value: Any = recipe
        for key in dotted.split("."):
            value = getattr(value, key)
        if value != off:
            raise RecipeError(f"recipe.{dotted}: the engine {recipe.engine} does not have it; {build.CURE}")
    if recipe.precision == "bf16":
        raise RecipeError(f"recipe.precision: the engine {recipe.engine} computes in float32, got bf16; {build.CURE}")


@contextmanager
def open_engine(
    inputs: RunInputs, threads: int | None, previous: RunEnvironment | None = None
) -> Iterator["ScratchEngine"]:
    """An engine before its first step, on the array library that `recipe.engine` names. Its threads end on exit.

    Raises:
        NetworkError, RecipeError, MissingExtra, TrainingError: as `check` does.
    """
    check(inputs.job.recipe, inputs.job.network)
    engine = ScratchEngine(inputs, threads or cpu_count(), _convolution(inputs.job.recipe, previous))
    try:
        yield engine
    finally:
        engine.close()


def _convolution(recipe: Recipe, previous: RunEnvironment | None) -> str:
    """How 3x3 convolutions are computed; a run that began in the environment `previous` keeps its own."""
    if recipe.engine != "numpy":
        return "direct"
    if previous is not None:
        return previous.convolution or "winograd"  # earlier versions had no other and did not say so
    return "direct" if recipe.precision == "float32-direct" else "winograd"


class ScratchEngine:
    """A network in training from scratch."""

    checkpoint_name = layout.CHECKPOINT_NUMPY
    read_every = 1

    def __init__(self, inputs: RunInputs, threads: int, convolution: str) -> None:
        job = inputs.job
        self._recipe, self._threads, self._convolution = job.recipe, threads, convolution
        self._scale = (1 / (255 * inputs.std)).astype(np.float32)
        self._shift = (-inputs.mean / inputs.std).astype(np.float32)
        self._splits = {"train": inputs.splits.part("train")}
        self._learner = Learner(
            job.network,
            inputs.input_shape,
            inputs.class_count,
            job.seed,
            job.recipe.optimizer,
            engine=job.recipe.engine,
            threads=threads,
            label_smoothing=job.recipe.label_smoothing,
            class_weights=inputs.class_weights,
            convolution=convolution,
        )
        if inputs.whitened:
            self._learner.load({**self._learner.weights(), **inputs.whitened})
        self._average = self._learner.weights() if job.recipe.ema else {}
        self._loss, self._correct = 0.0, 0

    def close(self) -> None:
        """End the threads."""
        self._learner.close()

    @property
    def parameter_count(self) -> int:
        return sum(math.prod(array.shape) for array in self._learner.parameters().values())

    def environment(self) -> RunEnvironment:
        name = self._recipe.engine
        device, device_name = device_of(name)
        return RunEnvironment.model_validate(
            {
                **common_facts(),
                "engine": name,
                name: library(name).__version__,
                "device": device,
                "device_name": device_name,
                "precision": "float32",
                "threads": self._threads,
                "convolution": self._convolution,
            }
        )

    def add_split(self, name: str, part: Part) -> None:
        self._splits[name] = part

    def begin_epoch(self, epoch: int) -> None:
        self._loss, self._correct = 0.0, 0
        self._learner.begin_epoch(epoch)

    def train_step(self, plan: EpochPlan, step: int, lr: float) -> None:
        images, labels, mixed = self._batch(plan, plan.batches[step])
        loss, correct = self._learner.train_step(images, labels, lr, mixed)
        self._loss, self._correct = self._loss + loss, self._correct + correct
        if self._recipe.ema:
            self._update_average(self._recipe.ema)

    def running_sums(self) -> RunningSums:
        return RunningSums(self._loss, self._correct)

    @contextmanager
    def eval_weights(self) -> Iterator[None]:
        if not self._average:
            yield
            return
        live = self._learner.weights()
        self._learner.load(self._average)
        try:
            yield
        finally:
            self._learner.load(live)

    def evaluate(self, split: str, test_time: str = "none") -> Evaluation:
        part = self._splits[split]
        height, width = part.images.shape[1:3]
        size = max(1, PIXELS_AT_ONCE // (height * width))
        logits = []
        for start in range(0, len(part), size):
            images = self._normalized(part.images[start : start + size])
            outputs = [w * self._learner.logits(_view(images, shift, flip)) for w, shift, flip in views(test_time)]
            logits.append(np.sum(outputs, 0))
        return Evaluation(np.concatenate(logits).astype(np.float32), np.asarray(part.labels, np.int64))

    def weights(self) -> dict[str, np.ndarray]:
        return self._learner.weights()

    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        self._learner.load(dict(weights))

    def has_finite_weights(self) -> bool:
        return all(bool(np.isfinite(array).all()) for array in self._learner.weights().values())

    def diagnose(
        self, *, epochs: int, train_accuracy: float | None, chance: float, should_stop: Callable[[], bool]
    ) -> str:
        del epochs, train_accuracy, chance, should_stop  # only the PyTorch engine looks for a reason
        return ""

    def save(self, path: Path, train_state: TrainState, best: Mapping[str, np.ndarray]) -> None:
        state = self._learner.state()
        numbers = {
            "course": train_state.to_json(),
            "learner": state["counts"],
            "sums": [self._loss, self._correct],
        }
        arrays = {
            **{f"weights/{name}": array for name, array in state["weights"].items()},
            **{
                f"kept/{name}/{key}": array
                for name, parameter_state in state["optimizer_state"].items()
                for key, array in parameter_state.items()
            },
            **{f"best/{name}": array for name, array in best.items()},
            **{f"average/{name}": array for name, array in self._average.items()},
        }
        with path.open("wb") as file:
            np.savez(file, plain=np.array(json.dumps(numbers)), **arrays)

    def load(self, path: Path) -> tuple[TrainState, dict[str, np.ndarray]]:
        with np.load(path, allow_pickle=False) as file:
            numbers = json.loads(str(file["plain"]))
            arrays = {name: file[name] for name in file.files if name != "plain"}
        optimizer_state: dict[str, dict[str, np.ndarray]] = {}
        for name, array in _under(arrays, "kept").items():
            parameter, _, key = name.rpartition("/")
            optimizer_state.setdefault(parameter, {})[key] = array
        self._learner.restore(
            {"weights": _under(arrays, "weights"), "optimizer_state": optimizer_state, "counts": numbers["learner"]}
        )
        self._loss, self._correct = numbers["sums"]
        self._average = _under(arrays, "average")
        return TrainState.from_json(numbers["course"]), _under(arrays, "best")

    def _batch(self, plan: EpochPlan, places: slice) -> tuple[np.ndarray, np.ndarray, MixedLabels | None]:
        """Augmented and normalized images (N, H, W, C) and labels; a mixed image has the next one of the order as partner."""
        part, order, draws = self._splits["train"], plan.order, plan.draws
        if draws is None:
            rows = order[places]
            return self._normalized(part.images[rows]), part.labels[rows], None
        if draws.label_lambda is None:
            rows = order[places]
            return self._normalized(augment.apply(part.images[rows], draws[places])), part.labels[rows], None
        indices = np.arange(*places.indices(len(order)))
        with_next = np.append(indices, (indices[-1] + 1) % len(order))
        rows = order[with_next]
        images = self._normalized(augment.apply(part.images[rows], draws[with_next]))
        labels = part.labels[rows]
        mixed = augment.mix(images[:-1], images[1:], draws[places])
        return mixed, labels[:-1], MixedLabels(labels[1:], draws.label_lambda[places])

    def _normalized(self, images: np.ndarray) -> np.ndarray:
        normalized = images.astype(np.float32)
        normalized *= self._scale
        normalized += self._shift
        return normalized

    def _update_average(self, decay: float) -> None:
        """The moving average of weights and running statistics."""
        weight = 1 - ema_decay(decay, self._learner.updates)
        for name, array in self._learner.weights().items():
            if np.issubdtype(array.dtype, np.floating):
                self._average[name] = self._average[name] + weight * (array - self._average[name])
            else:
                self._average[name] = array  # a count of batches is not averaged


def _under(arrays: Mapping[str, np.ndarray], group: str) -> dict[str, np.ndarray]:
    """The arrays of a group of the checkpoint, by their name in it."""
    prefix = f"{group}/"
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _view(images: np.ndarray, shift: int, is_mirrored: bool) -> np.ndarray:
    """Images (N, H, W, C) shifted by a pixel, with the edge repeated, and mirrored."""
    if shift:
        height, width = images.shape[1:3]
        padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
        images = padded[:, 1 - shift : 1 - shift + height, 1 - shift : 1 - shift + width]
    return images[:, :, ::-1] if is_mirrored else images
