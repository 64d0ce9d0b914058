"""What the driver needs of an engine.

An engine holds a network in training, its optimizer and the images. Arrays that cross this interface are NumPy arrays.
Everything that decides the next step is in the job and in what `save` writes, so a resumed run equals an uninterrupted one.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

import numpy as np

from striate.core.errors import StriateError
from striate.data import Part
from striate.data.augment import Draws
from striate.engines.metrics import balanced_accuracy
from striate.runs.records import RunEnvironment

# Images are evaluated in batches of so many pixels, as 250 images of 32x32: enough for the matrix units, little memory.
PIXELS_AT_ONCE = 250 * 32 * 32


class DivergedError(StriateError):
    """A loss, an output or a weight is no longer a finite number."""


@dataclass
class TrainState:
    """How far a run is: plain numbers, which the engine saves with its own state."""

    epoch: int = 0  # epochs done
    step: int = 0  # steps done in the current epoch
    epoch_seconds: float = 0.0  # of the steps of the current epoch
    seconds: float = 0.0  # of training and evaluation in all epochs done
    best_epoch: int = 0
    best_accuracy: float = -1.0  # on validation
    best_loss: float = float("inf")

    def update_best(self, accuracy: float, loss: float) -> bool:
        """Whether the epoch that ended is the best so far: the highest accuracy, and of equal ones the lowest loss."""
        if (accuracy, -loss) <= (self.best_accuracy, -self.best_loss):
            return False
        self.best_epoch, self.best_accuracy, self.best_loss = self.epoch, accuracy, loss
        return True

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, numbers: Mapping[str, Any]) -> Self:
        """The state that `to_json` wrote, in this version or another."""
        names = {field.name for field in fields(cls)}
        return cls(**{name: number for name, number in numbers.items() if name in names})


@dataclass(frozen=True)
class EpochPlan:
    """The batches of an epoch: what every engine trains on, decided by the seed and the number of the epoch."""

    order: np.ndarray  # indices of the training images, (N,)
    draws: Draws | None  # the augmentation of each image in that order; None: nothing is augmented
    batches: Sequence[slice]  # of the order


class RunningSums(NamedTuple):
    """Sums over the steps of the current epoch."""

    loss: float = 0.0  # of the loss of each image
    correct: float = 0.0  # images
    gradient_norm: float = 0.0  # over the steps where it was measured
    norm_steps: float = 0.0  # how many those are


@dataclass(frozen=True)
class Evaluation:
    """The outputs of a network on a split: logits (N, classes) in float32, and the labels (N,)."""

    logits: np.ndarray
    labels: np.ndarray
    dead_units: int | None = None  # relu units that were 0 on every image of a sample; None: not measured

    @property
    def accuracy(self) -> float:
        """The share of correct images. An image with a logit that is not finite is wrong."""
        is_correct = (self.logits.argmax(1) == self.labels) & np.isfinite(self.logits).all(1)
        return float(is_correct.mean())

    @property
    def balanced_accuracy(self) -> float:
        """The mean accuracy of the classes that have images. An image with a logit that is not finite is wrong."""
        is_finite = np.isfinite(self.logits).all(1)
        return balanced_accuracy(np.where(is_finite, self.logits.argmax(1), -1), self.labels, self.logits.shape[1])

    def score(self, is_balanced: bool) -> float:
        """What the best epoch has most of."""
        return self.balanced_accuracy if is_balanced else self.accuracy

    @property
    def loss(self) -> float:
        """The mean cross-entropy, without label smoothing."""
        logits = self.logits.astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            shifted = logits - logits.max(1, keepdims=True)
            log_sums = np.log(np.exp(shifted).sum(1))
        return float((log_sums - shifted[np.arange(len(logits)), self.labels]).mean())


class Engine(Protocol):
    """A network in training on a device. It knows the training images as the split "train"."""

    @property
    def checkpoint_name(self) -> str:
        """The file of the run folder that `save` writes."""
        ...

    @property
    def read_every(self) -> int:
        """The number of steps between two reads of `running_sums`, because reading waits for a GPU."""
        ...

    @property
    def parameter_count(self) -> int: ...

    def environment(self) -> RunEnvironment:
        """What the numbers are computed with."""
        ...

    def begin_epoch(self, epoch: int) -> None:
        """Prepare for the steps of an epoch, counted from 0: the sums are zero again."""
        ...

    def train_step(self, plan: EpochPlan, step: int, lr: float) -> None:
        """Update the weights once, on batch number `step` of the epoch, with the learning rate `lr`."""
        ...

    def running_sums(self) -> RunningSums:
        """The sums over the steps of the current epoch. Waits for the device."""
        ...

    def add_split(self, name: str, part: Part) -> None:
        """Put more images where `evaluate` can use them."""
        ...

    def eval_weights(self) -> AbstractContextManager[None]:
        """Inside, the weights are those to evaluate and keep: averaged, or with norms measured again, as the recipe says."""
        ...

    def evaluate(self, split: str, test_time: str = "none") -> Evaluation:
        """The network with its current weights on a split, averaged over the views of `test_time`."""
        ...

    def weights(self) -> dict[str, np.ndarray]:
        """Copies of the current weights by name, in PyTorch's order of axes."""
        ...

    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Replace the weights, to evaluate others."""
        ...

    def has_finite_weights(self) -> bool: ...

    def diagnose(
        self, *, epochs: int, train_accuracy: float | None, chance: float, should_stop: Callable[[], bool]
    ) -> str:
        """The likely reason why the network stayed at `chance` in `epochs` epochs. Empty when none was found or it was asked to stop."""
        ...

    def save(self, path: Path, train_state: TrainState, best: Mapping[str, np.ndarray]) -> None:
        """Write everything that decides the next step, and the weights of the best epoch."""
        ...

    def load(self, path: Path) -> tuple[TrainState, dict[str, np.ndarray]]:
        """Continue from what `save` wrote; returns what was given to it."""
        ...
