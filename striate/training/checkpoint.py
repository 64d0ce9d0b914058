"""The state of a learner in a file and back. Loaded with `weights_only=True`: a checkpoint runs no code."""

import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from striate.core.errors import RunError
from striate.runs import RunWriter, layout
from striate.training.learner import Learner

# What a kill may cost, at most.
AFTER_EPOCH_SECONDS = 5.0
WITHIN_EPOCH_SECONDS = 60.0


class Checkpoints:
    """Saves a learner now and then, and brings it back."""

    def __init__(self, writer: RunWriter) -> None:
        self._writer = writer
        self._saved = time.monotonic()

    def resume(self, learner: Learner) -> int:
        """Put back the saved state, if there is one; the number of epochs that are done."""
        path = self._writer.path(layout.CHECKPOINT)
        if path.exists():
            try:
                learner.restore(torch.load(path, map_location="cpu", weights_only=True))
            except Exception as error:
                raise RunError(f"{path}: cannot be read ({error}); remove the run's folder to train it anew") from error
        return learner.epoch

    def maybe(self, learner: Learner, *, after_epoch: bool) -> None:
        """Save if the last save is long ago."""
        if time.monotonic() - self._saved > (AFTER_EPOCH_SECONDS if after_epoch else WITHIN_EPOCH_SECONDS):
            self.save(learner)

    def save(self, learner: Learner) -> None:
        state = learner.state()
        self._writer.save(layout.CHECKPOINT, lambda path: _save(path, state))
        self._saved = time.monotonic()


def save_weights(writer: RunWriter, name: str, weights: dict[str, Tensor]) -> None:
    """Weights under their names, in float32, as safetensors."""
    held = save({key: tensor.detach().cpu().contiguous() for key, tensor in weights.items()})
    writer.save(name, lambda path: _write(path, held))


def _save(path: Path, state: dict[str, Any]) -> None:
    # Into a file that Python opened: given a path, torch's own writer calls a full disk an internal error.
    with path.open("wb") as file:
        torch.save(state, file)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
