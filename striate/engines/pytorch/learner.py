"""What changes while a network learns: weights, their averages, optimizer, place in the epoch, sums so far, the best yet.

`state()` is all of it as tensors and plain data, `restore` puts it back: nothing else decides the next step
but the job. Random numbers need no state here, because each epoch's streams come from (seed, purpose, epoch);
only torch's generator, which dropout uses within an epoch, is saved with the rest.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from striate.core.seeds import integer
from striate.engines.protocol import RunningStats, TrainState
from striate.engines.pytorch.averaging import Average

# What is summed over the images, or steps, of an epoch.
LOSS, RIGHT, NORM, NORMS = range(4)


@dataclass
class Learner:
    """A network in training on one device."""

    module: nn.Module
    optimizer: torch.optim.Optimizer
    seed: int
    device: torch.device
    average: Average | None = None
    train_state: TrainState = field(default_factory=TrainState)
    best: dict[str, Tensor] = field(default_factory=dict)  # weights of the best epoch, on the CPU
    sums: Tensor = field(init=False)  # as named above, on the device
    looked: RunningStats = field(init=False)  # as of the last look

    def __post_init__(self) -> None:
        self._set_sums([0.0] * 4)
        self.running_stats()

    def begin_epoch(self) -> None:
        train_state = self.train_state
        train_state.step = train_state.seen = 0
        train_state.epoch_seconds = 0.0
        self._set_sums([0.0] * 4)
        torch.manual_seed(integer(self.seed, "dropout", train_state.epoch))

    def running_stats(self) -> RunningStats:
        """Mean loss, share right and mean norm of the gradient over the epoch so far. Waits for the device."""
        loss, right, norm, norms = self.sums.tolist()
        seen = max(self.train_state.seen, 1)
        self.looked = RunningStats(loss / seen, right / seen, norm / norms if norms else None)
        return self.looked

    def weights(self) -> dict[str, Tensor]:
        """Copies of the weights and buffers as they stand, on the CPU."""
        return {name: tensor.detach().cpu().clone() for name, tensor in self.module.state_dict().items()}

    def state(self) -> dict[str, Any]:
        return {
            "module": self.module.state_dict(),
            "average": self.average.state() if self.average else None,
            "optimizer": self.optimizer.state_dict(),
            "course": vars(self.train_state),
            "sums": self.sums.tolist(),
            "best": self.best,
            "random": {"cpu": torch.get_rng_state(), self.device.type: self._generator().get_rng_state()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        if "plain" in state:
            state = _from_first(state)
        fused = [group.get("fused") for group in self.optimizer.param_groups]
        self.module.load_state_dict(state["module"])
        if self.average:
            self.average.restore(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        for group, here in zip(self.optimizer.param_groups, fused, strict=True):
            group["fused"] = here  # what this device can do, not what the last one could
        self.train_state = TrainState(**state["course"])
        self._set_sums(state["sums"])
        self.running_stats()
        self.best = state["best"]
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


def _from_first(state: dict[str, Any]) -> dict[str, Any]:
    """A state as the first version wrote it."""
    best = state["best"]
    train_state = {**state["plain"], **{f"best_{key}": best[key] for key in ("epoch", "accuracy", "loss")}}
    return {
        **state,
        "average": None,
        "course": train_state,
        "best": best["weights"],
        "sums": [*state["sums"], 0.0, 0.0],
    }
