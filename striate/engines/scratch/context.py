"""What travels with a batch, or a worker's share of it, through the network and back."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from striate.core.seeds import stream
from striate.engines.scratch.library import Array
from striate.engines.scratch.threads import ThreadTeam

Streams = Callable[[str], np.random.Generator]


@dataclass
class ForwardContext:
    """Layers save here in the forward pass what they need in the backward pass, and put parameters' gradients here."""

    team: ThreadTeam
    batch_size: int  # images of the whole batch, over all workers
    first: int = 0  # the index in the batch of this worker's first image
    worker: int = 0
    is_training: bool = False
    streams: Streams | None = None  # the random numbers of a layer in this step, for the whole batch
    gradients: dict[str, Array] = field(default_factory=dict)  # by the parameter's name
    buffers: dict[Any, Array] = field(default_factory=dict)  # arrays that are used again in the next step
    shared: dict[Any, Array] = field(default_factory=dict)  # the same, one for all workers
    _saved: dict[str, Any] = field(default_factory=dict)

    def save_for_backward(self, layer: str, value: Any) -> None:
        """Keep `value` until the layer's backward pass. Evaluation has none, so nothing is kept then."""
        if self.is_training:
            self._saved[layer] = value

    def pop_saved(self, layer: str) -> Any:
        """What the layer saved; it is forgotten here, so that its memory can be freed."""
        return self._saved.pop(layer)

    def all_reduce(self, value: Array) -> Array:
        """The sum of `value` over all workers."""
        return self.team.all_reduce(self.worker, value)

    def buffer(self, key: tuple[str, ...], shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """An array to write into, the same one in each step: new memory costs a zeroed page for every 4 kB of it."""
        return _buffer(self.buffers, key, shape, dtype)

    def gradient_buffer(self, key: str, shape: tuple[int, ...], g: np.ndarray) -> np.ndarray:
        """The first of two arrays that `g` is not in. Layers in sequence take turns in them: each reads what the next one wrote."""
        first, second = (("gradient", key, turn) for turn in ("0", "1"))
        array = self.buffer(first, shape, g.dtype)
        return self.buffer(second, shape, g.dtype) if np.may_share_memory(array, g) else array

    def shared_buffer(self, key: tuple[str, ...], shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """The same array for all workers. What one writes the others may read after `team.wait()`."""
        with self.team.lock:
            return _buffer(self.shared, key, shape, dtype)

    def uniform(self, layer: str, shape: tuple[int, ...]) -> np.ndarray:
        """Numbers in [0, 1) for this worker's images, cut from those of the whole batch.

        So the number of workers does not change them.
        """
        if self.streams is None:
            raise ValueError(f"layer {layer}: dropout needs a context with random streams")
        generator = self.streams(layer)
        # Each number takes one 64-bit draw, so those of the images before ours can be skipped.
        generator.bit_generator.advance(self.first * int(np.prod(shape[1:])))  # type: ignore[attr-defined]
        return generator.random(shape)


def _buffer(arrays: dict[Any, Array], key: tuple[str, ...], shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    size = math.prod(shape)
    array = arrays.get(key)
    if array is None or array.size < size or array.dtype != dtype:
        array = arrays[key] = np.empty(size, dtype)
    return array[:size].reshape(shape)


def dropout_streams(seed: int, epoch: int, step: int) -> Streams:
    """A stream for each layer of each step. So nothing has to be saved to resume in the middle of an epoch."""
    return lambda layer: stream(seed, "dropout", epoch, step, layer)
