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
    """A network in training on one device."""

    module: nn.Module
    optimizer: torch.optim.Optimizer
    seed: int
    device: torch.device
    epoch: int = 0  # epochs done
    step: int = 0  # steps done in the epoch that runs
    seen: int = 0  # images of the epoch that runs
    epoch_seconds: float = 0.0  # spent on the steps of the epoch that runs
    seconds: float = 0.0  # spent in all
    sums: Tensor = field(init=False)  # (loss, right) over the images of the epoch that runs, on the device
    mean_loss: float = 0.0  # as of the last look
    best: Best = field(default_factory=Best)

    _PLAIN = ("epoch", "step", "seen", "epoch_seconds", "seconds")

    def __post_init__(self) -> None:
        self._set_sums([0.0, 0.0])

    def begin_epoch(self) -> None:
        self.step = self.seen = 0
        self.epoch_seconds = 0.0
        self._set_sums([0.0, 0.0])
        torch.manual_seed(integer(self.seed, "dropout", self.epoch))

    def look(self) -> tuple[float, float]:
        """Mean loss and share right over the images of the epoch so far. Waits for the device."""
        loss, right = self.sums.tolist()
        self.mean_loss = loss / self.seen
        return self.mean_loss, right / self.seen

    def state(self) -> dict[str, Any]:
        return {
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "plain": {name: getattr(self, name) for name in self._PLAIN},
            "sums": self.sums.tolist(),
            "best": vars(self.best),
            "random": {"cpu": torch.get_rng_state(), self.device.type: self._generator().get_rng_state()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        fused = [group.get("fused") for group in self.optimizer.param_groups]
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        for group, here in zip(self.optimizer.param_groups, fused, strict=True):
            group["fused"] = here  # what this device can do, not what the last one could
        for name in self._PLAIN:
            setattr(self, name, state["plain"][name])
        self._set_sums(state["sums"])
        self.best = Best(**state["best"])
        torch.set_rng_state(state["random"]["cpu"])
        if self.device.type in state["random"]:
            self._generator().set_rng_state(state["random"][self.device.type])

    def _set_sums(self, values: list[float]) -> None:
        # Apple's GPUs have no float64; float32 still counts to 16 million.
        dtype = torch.float32 if self.device.type == "mps" else torch.float64
        self.sums = torch.tensor(values, dtype=dtype, device=self.device)

    def _generator(self) -> Any:
        """The module that holds the device's random state: torch itself for the CPU."""
        return torch if self.device.type == "cpu" else torch.get_device_module(self.device)
