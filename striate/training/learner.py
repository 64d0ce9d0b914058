"""What changes while a network learns: weights, optimizer, place in the epoch, sums so far, the best yet.

`state()` is all of it as tensors and plain data, `restore` puts it back: nothing else decides the next step
but the job. Random numbers need no state here, because each epoch's streams come from (seed, purpose, epoch);
only torch's generator, which dropout uses within an epoch, is saved with the rest.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from striate.core.seeds import integer


@dataclass
class Best:
    """The epoch with the highest validation accuracy; of equals, the one with the lower loss."""

    epoch: int = 0
    accuracy: float = -1.0
    loss: float = float("inf")
    weights: dict[str, Tensor] = field(default_factory=dict)

    def offer(self, epoch: int, accuracy: float, loss: float, module: nn.Module) -> None:
        if (accuracy, -loss) > (self.accuracy, -self.loss):
            self.epoch, self.accuracy, self.loss = epoch, accuracy, loss
            self.weights = {name: tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()}


@dataclass
class Learner:
    """A network in training."""

    module: nn.Module
    optimizer: torch.optim.Optimizer
    seed: int
    epoch: int = 0  # epochs done
    step: int = 0  # steps done in the epoch that runs
    loss_sum: float = 0.0  # over the images of the epoch that runs
    right: int = 0
    seen: int = 0
    epoch_seconds: float = 0.0  # spent on the steps of the epoch that runs
    seconds: float = 0.0  # spent in all
    best: Best = field(default_factory=Best)

    _PLAIN = ("epoch", "step", "loss_sum", "right", "seen", "epoch_seconds", "seconds")

    def begin_epoch(self) -> None:
        self.step = self.right = self.seen = 0
        self.loss_sum = self.epoch_seconds = 0.0
        torch.manual_seed(integer(self.seed, "dropout", self.epoch))

    def state(self) -> dict[str, Any]:
        cuda = torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None
        return {
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "plain": {name: getattr(self, name) for name in self._PLAIN},
            "best": vars(self.best),
            "random": {"cpu": torch.get_rng_state(), "cuda": cuda},
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name in self._PLAIN:
            setattr(self, name, state["plain"][name])
        self.best = Best(**state["best"])
        torch.set_rng_state(state["random"]["cpu"])
        if state["random"]["cuda"] is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(state["random"]["cuda"])
