"""A batch, or a worker's part of it, on its way through the network and back."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from striate.core.seeds import stream
from striate.engines.scratch.library import Array
from striate.engines.scratch.threads import ThreadTeam

Draw = Callable[[str], np.random.Generator]


@dataclass
class ForwardContext:
    """What layers leave here going forward they take going back; parameters' gradients are left for the optimizer."""

    team: ThreadTeam
    count: int  # images of the whole batch
    first: int = 0  # the place of the first of ours in it
    part: int = 0  # which worker
    is_training: bool = False
    draw: Draw | None = None  # a layer's random numbers for this step, those of the whole batch
    gradients: dict[str, Array] = field(default_factory=dict)
    buffers: dict[Any, Array] = field(default_factory=dict)  # arrays to be used again in the next step
    _kept: dict[str, Any] = field(default_factory=dict)

    def keep(self, layer: str, what: Any) -> None:
        """For the way back; evaluation has none."""
        if self.is_training:
            self._kept[layer] = what

    def take(self, layer: str) -> Any:
        return self._kept.pop(layer)

    def add_up(self, value: Array) -> Array:
        """The sum over all workers."""
        return self.team.add_up(self.part, value)

    def buffer(self, key: tuple[str, ...], shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """An array to write into, the same one each step: fresh memory costs a zeroed page for every 4 kB of it."""
        size = int(np.prod(shape))
        found = self.buffers.get(key)
        if found is None or found.size < size or found.dtype != dtype:
            found = self.buffers[key] = np.empty(size, dtype)
        return found[:size].reshape(shape)


def drawn(seed: int, epoch: int, step: int) -> Draw:
    """A stream for each layer of each step. Nothing has to be saved to go on from the middle of an epoch."""
    return lambda layer: stream(seed, "dropout", epoch, step, layer)


def shares_drawn(context: ForwardContext, layer: str, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform numbers for our images, out of those of the whole batch: the number of workers does not change them."""
    if context.draw is None:
        raise ValueError("a context with dropout needs random numbers")
    generator = context.draw(layer)
    # One 64-bit draw for each number, so those of the images before ours can be jumped over.
    generator.bit_generator.advance(context.first * int(np.prod(shape[1:])))  # type: ignore[attr-defined]
    return generator.random(shape)
