"""A network in training with PyTorch: one update of its weights, and everything that changes from update to update.

`state()` is all of it as tensors and plain data, `restore()` puts it back: nothing else but the job decides the next step.
Random numbers need no state, because the streams of an epoch come from (seed, purpose, epoch). Only torch's own generator,
which dropout uses within an epoch, is saved with the rest.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from striate.core.seeds import integer_seed
from striate.engines.protocol import RunningSums
from striate.engines.pytorch.averaging import Average
from striate.engines.pytorch.device import Setup
from striate.engines.pytorch.device_dataset import Batch
from striate.engines.pytorch.fused_step import FusedStep


@dataclass
class Learner:
    """A network, its optimizer and the sums over the current epoch, on one device."""

    module: nn.Module
    optimizer: torch.optim.Optimizer
    setup: Setup
    label_smoothing: float = 0.0
    clip: float | None = None  # the largest norm of the gradient
    average: Average | None = None
    class_weights: Tensor | None = None  # in the loss; None: all images weigh the same
    sums: Tensor = field(init=False)  # the fields of RunningSums, on the device

    def __post_init__(self) -> None:
        self._update = FusedStep(self.optimizer)
        self._parameters = list(self.module.parameters())
        self._set_sums(RunningSums())

    def begin_epoch(self, seed: int, epoch: int) -> None:
        self._set_sums(RunningSums())
        torch.manual_seed(integer_seed(seed, "dropout", epoch))

    def step(self, batch: Batch, lr: float, *, measures_norm: bool = False) -> Tensor:
        """Update the weights once. Returns what the batch adds to the sums, without waiting for the device."""
        with self.setup.autocast():
            logits = self.module(batch.images)
        logits = logits.float()
        loss = batch_loss(logits, batch, self.label_smoothing, self.class_weights)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        for parameter in self._parameters:  # as `zero_grad` does, a tenth of a small network's step faster
            parameter.grad = None
        loss.backward()
        norm = self._gradient_norm(measures_norm)
        self._update()
        if self.average:
            self.average.update()
        with torch.no_grad():
            correct = (logits.argmax(1) == batch.labels).sum()
            return torch.stack([loss * len(batch), correct.to(loss.dtype), *norm])

    def running_sums(self) -> RunningSums:
        """The sums as numbers. Waits for the device."""
        return RunningSums(*self.sums.tolist())

    def weights(self) -> dict[str, Tensor]:
        """Copies of the weights and buffers, on the CPU."""
        return {name: tensor.detach().cpu().clone() for name, tensor in self.module.state_dict().items()}

    def state(self) -> dict[str, Any]:
        return {
            "module": self.module.state_dict(),
            "average": self.average.state() if self.average else None,
            "optimizer": self.optimizer.state_dict(),
            "sums": self.sums.tolist(),
            "random": {"cpu": torch.get_rng_state(), self.setup.device.type: self._generator().get_rng_state()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        fused = [group.get("fused") for group in self.optimizer.param_groups]
        self.module.load_state_dict(state["module"])
        if self.average:
            self.average.restore(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        for group, is_fused in zip(self.optimizer.param_groups, fused, strict=True):
            group["fused"] = is_fused  # what this device supports, not what the previous one did
        self._update = FusedStep(self.optimizer)  # with the state that was loaded
        self._set_sums(state["sums"])
        torch.set_rng_state(state["random"]["cpu"])
        if self.setup.device.type in state["random"]:
            self._generator().set_rng_state(state["random"][self.setup.device.type])

    def _gradient_norm(self, is_measured: bool) -> tuple[Tensor, Tensor]:
        """The norm of the whole gradient and 1, or zeros where it is not measured. Clips the gradient if asked for."""
        zero = torch.zeros((), device=self.setup.device)
        if self.clip is None and not is_measured:
            return zero, zero
        gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        if self.clip is not None:
            torch.nn.utils.clip_grads_with_norm_(self._parameters, self.clip, norm)
        return norm, zero + 1

    def _set_sums(self, sums: tuple[float, ...] | list[float]) -> None:
        # Apple's GPUs have no float64; float32 is exact up to 16 million.
        dtype = torch.float32 if self.setup.device.type == "mps" else torch.float64
        self.sums = torch.tensor(sums, dtype=dtype, device=self.setup.device)

    def _generator(self) -> Any:
        """The module that holds the device's random state: torch itself for the CPU."""
        device = self.setup.device
        return torch if device.type == "cpu" else torch.get_device_module(device)


def batch_loss(
    logits: Tensor, batch: Batch, label_smoothing: float = 0.0, class_weights: Tensor | None = None
) -> Tensor:
    """The mean cross-entropy of a batch; for mixed images the sum of both labels' losses, weighted by `label_lambda`.

    With `class_weights` each image has the weight of its class, and the mean is over these weights.
    """
    if batch.partners is None or batch.label_lambda is None:
        return functional.cross_entropy(logits, batch.labels, class_weights, label_smoothing=label_smoothing)
    own, partner = (
        functional.cross_entropy(logits, labels, class_weights, label_smoothing=label_smoothing, reduction="none")
        for labels in (batch.labels, batch.partners)
    )
    losses = batch.label_lambda * own + (1 - batch.label_lambda) * partner
    if class_weights is None:
        return losses.mean()
    weights = batch.label_lambda * class_weights[batch.labels]
    weights = weights + (1 - batch.label_lambda) * class_weights[batch.partners]
    return losses.sum() / weights.sum()
