"""What a run needs of whatever trains it: the seam between the driver and the engines.

An engine holds a network in training, its optimizer and the images; arrays that cross the seam are NumPy's. All that
decides its next step is in the job and in what `save` writes, so that a resumed run equals one that never stopped.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from striate.core.errors import StriateError
from striate.data import Part
from striate.runs.records import EpochRow

# Images are evaluated in batches of so many pixels, as 250 images of 32x32: enough for the matrix units, little memory.
PIXELS_AT_ONCE = 250 * 32 * 32


class DivergedError(StriateError):
    """A loss, an output or a weight is no longer a finite number."""


@dataclass
class TrainState:
    """Where a run is; plain numbers that the engine saves with its own state."""

    epoch: int = 0  # epochs done
    step: int = 0  # steps done in the epoch that runs
    seen: int = 0  # images of the epoch that runs
    epoch_seconds: float = 0.0  # spent on the steps of the epoch that runs
    seconds: float = 0.0  # spent in all
    best_epoch: int = 0
    best_accuracy: float = -1.0  # on validation
    best_loss: float = float("inf")

    def offer(self, accuracy: float, loss: float) -> bool:
        """Whether the epoch that ended is the best yet: the highest accuracy, of equals the lower loss."""
        if (accuracy, -loss) <= (self.best_accuracy, -self.best_loss):
            return False
        self.best_epoch, self.best_accuracy, self.best_loss = self.epoch, accuracy, loss
        return True


class RunningStats(NamedTuple):
    """The epoch that runs, as far as it is; `gradient_norm` is the mean over the steps where it was measured."""

    loss: float
    accuracy: float
    gradient_norm: float | None


@dataclass(frozen=True)
class Evaluation:
    """Logits (N, classes) in float32, the labels (N,) that belong to them, and how many units stayed silent."""

    logits: np.ndarray
    labels: np.ndarray
    dead_units: int | None = None  # never above 0 on the images looked at; None: no unit that can be dead

    @property
    def accuracy(self) -> float:
        """The share that is right. Not-a-number logits say nothing, so they are wrong."""
        right = (self.logits.argmax(1) == self.labels) & np.isfinite(self.logits).all(1)
        return float(right.mean())

    @property
    def loss(self) -> float:
        """The mean cross-entropy, without label smoothing, whatever the training used."""
        logits = self.logits.astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            shifted = logits - logits.max(1, keepdims=True)
            log_sums = np.log(np.exp(shifted).sum(1))
        return float((log_sums - shifted[np.arange(len(logits)), self.labels]).mean())


class Engine(Protocol):
    """A network in training on some device."""

    @property
    def train_state(self) -> TrainState: ...

    @property
    def best(self) -> Mapping[str, np.ndarray]:
        """The weights of the best epoch; empty before the first."""
        ...

    @property
    def parameters(self) -> int: ...

    def environment(self) -> dict[str, Any]:
        """What the numbers are made with, for env.json."""
        ...

    @property
    def train_feed(self) -> Any:
        """The training images where `evaluate` wants them."""
        ...

    def feed(self, part: Part) -> Any:
        """The images of a part where `evaluate` wants them."""
        ...

    def begin_epoch(self) -> None: ...

    def steps(self, scale: float, should_stop: Callable[[], bool]) -> Iterator[None]:
        """The steps of the epoch that runs, from where it is, the learning rate times `scale`; yields after each.

        Raises:
            DivergedError: at the first step seen with a loss that is not finite.
        """
        ...

    def running_stats(self) -> RunningStats: ...

    @property
    def rate(self) -> float:
        """The learning rate of the last step."""
        ...

    def eval_weights(self) -> AbstractContextManager[None]:
        """Inside, the weights are those that are judged and kept: averaged, norms measured, as the recipe says."""
        ...

    def evaluate(self, feed: Any, test_time: str = "none") -> Evaluation:
        """The network as it stands on all images of `feed`, over the views of `test_time`."""
        ...

    def weights(self) -> dict[str, np.ndarray]:
        """The weights as they stand, by name, float32."""
        ...

    def keep_best(self) -> None:
        """The weights as they stand become `best`."""
        ...

    def use_best(self) -> None:
        """Go on with the best weights, only to evaluate."""
        ...

    def is_sound(self) -> bool:
        """Whether every weight is a finite number."""
        ...

    def diagnose(self, rows: Sequence[EpochRow], should_stop: Callable[[], bool]) -> str:
        """Why the network learned nothing, found by looking; empty if nothing was found, or it was asked to stop."""
        ...

    def save(self, path: Path) -> None: ...

    def load(self, path: Path) -> None: ...
