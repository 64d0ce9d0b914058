"""A network in training by hand: parameters, running statistics and what the optimizer keeps, all plain arrays.

`train_step` is one update of the weights, `logits` an evaluation. `state()` is everything as NumPy arrays and numbers,
`restore` puts it back, and then the next step is the one that would have come.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from striate.engines.scratch import optimizers
from striate.engines.scratch.build import build
from striate.engines.scratch.context import ForwardContext, drawn
from striate.engines.scratch.library import Array, library, to_numpy
from striate.engines.scratch.ops import loss
from striate.engines.scratch.optimized.layers import FASTER
from striate.engines.scratch.threads import OneThreadEach, ThreadTeam, shares
from striate.nets.config import NetworkConfig
from striate.nets.layers import Shape
from striate.recipes import OptimizerConfig

# A block of a parameter whose intermediate results stay in a core's cache, in numbers.
BLOCK = 16_384
# Numbers that break are told by the loss, once, and not by a warning at each operation; threads have settings of their own.
QUIET = np.errstate(over="ignore", invalid="ignore", divide="ignore")


@dataclass(frozen=True)
class Mixed:
    """A second label for each image, and the first's share of the target."""

    labels: Array
    share: Array


class Learner:
    """One network on one array library."""

    def __init__(
        self, network: NetworkConfig, input_shape: Shape, classes: int, seed: int, optimizer: OptimizerConfig, *,
        engine: str = "numpy", dtype: str = "float32", threads: int = 1, label_smoothing: float = 0.0, plain: bool = False,
    ) -> None:  # fmt: skip
        """Images are (channels, height, width) in `input_shape`, as everywhere, and NHWC when they come.

        `plain` does without the faster ways for NumPy.
        """
        self.xp = library(engine)
        self.dtype = getattr(self.xp, dtype)
        self.optimizer = optimizers.build(optimizer)
        is_faster = engine == "numpy" and not plain
        self.network = build(network, input_shape, classes, seed, self.xp, dtype, FASTER if is_faster else None)
        self.seed, self.classes, self.label_smoothing = seed, classes, label_smoothing
        # Another library has its own threads, or a GPU.
        self.team = ThreadTeam(threads if engine == "numpy" else 1)
        self._one_thread_each = OneThreadEach()
        self.epoch = self.step = 0  # the epoch that runs, and the steps done in it: they decide what dropout draws
        self.updates = 0  # steps done in all
        self.kept = self._nothing_kept()
        self._buffers: list[dict[Any, Array]] = [{} for _ in range(self.team.size)]

    def parameters(self) -> dict[str, Array]:
        """Every parameter by torch's name, in our order of axes."""
        return {f"{layer.name}.{key}": array for layer in self.network.all() for key, array in layer.parameters.items()}

    def begin_epoch(self, epoch: int) -> None:
        self.epoch, self.step = epoch, 0

    def train_step(
        self, images_NHWC: Array, labels: Array, rate: float, mixed: Mixed | None = None
    ) -> tuple[float, int]:
        """One update; the sum of the images' losses and how many were right, both before it."""
        images, target, known = self._batch(images_NHWC, labels, mixed)
        parts = shares(len(labels), self.team.size)
        draw = drawn(self.seed, self.epoch, self.step)
        trips = [
            ForwardContext(self.team, len(labels), part.start, index, True, draw, buffers=self._buffers[index])
            for index, part in enumerate(parts)
        ]
        self.updates += 1

        @QUIET
        def work(index: int) -> tuple[float, int]:
            part = parts[index]
            found = self._forward_backward(trips[index], images[part, ...], target[part, ...], known[part])
            self.team.wait()
            self._update(trips, index, rate)
            return found

        with self._one_thread_each():
            done = self.team.run(work, len(parts))
        self.step += 1
        return sum(loss for loss, _ in done), sum(right for _, right in done)

    def logits(self, images_NHWC: Array) -> np.ndarray:
        """The logits (N, classes) as in evaluation: no dropout, running statistics."""
        images = self.xp.asarray(images_NHWC, dtype=self.dtype)
        parts = shares(images.shape[0], self.team.size)

        @QUIET
        def work(index: int) -> np.ndarray:
            context = ForwardContext(
                self.team, images.shape[0], parts[index].start, index, buffers=self._buffers[index]
            )
            return to_numpy(self.network.forward(images[parts[index], ...], context))

        with self._one_thread_each():
            return np.concatenate(self.team.run(work, len(parts)))

    def gradients(self, images_NHWC: Array, labels: Array) -> dict[str, np.ndarray]:
        """The gradient of the mean loss by each parameter, in torch's order of axes; nothing is changed but running statistics."""
        images, target, known = self._batch(images_NHWC, labels, None)
        context = ForwardContext(
            ThreadTeam(), len(labels), is_training=True, draw=drawn(self.seed, self.epoch, self.step)
        )
        self._forward_backward(context, images, target, known)
        return {name: self._turned(name, array) for name, array in context.gradients.items()}

    def weights(self) -> dict[str, np.ndarray]:
        """Parameters and running statistics as torch's state_dict has them: its names, its order of axes."""
        found = {}
        for layer in self.network.all():
            for key, array in {**layer.parameters, **layer.buffers}.items():
                found[f"{layer.name}.{key}"] = self._turned(f"{layer.name}.{key}", array)
        return found

    def load(self, weights: dict[str, np.ndarray]) -> None:
        """Take what `weights` gave, here or from torch."""
        for layer in self.network.all():
            for held in (layer.parameters, layer.buffers):
                for key, array in held.items():
                    held[key] = self._from_torch(f"{layer.name}.{key}", weights[f"{layer.name}.{key}"], array.dtype)

    def state(self) -> dict[str, Any]:
        """Everything that decides the next step, but for the job."""
        kept = {
            name: {key: self._turned(name, array) for key, array in slots.items()} for name, slots in self.kept.items()
        }
        plain = {"epoch": self.epoch, "step": self.step, "updates": self.updates}
        return {"weights": self.weights(), "kept": kept, "plain": plain}

    def restore(self, state: dict[str, Any]) -> None:
        self.load(state["weights"])
        for name, slots in state["kept"].items():
            self.kept[name] = {key: self._from_torch(name, array, self.dtype) for key, array in slots.items()}
        for key, number in state["plain"].items():
            setattr(self, key, int(number))

    def _batch(self, images_NHWC: Array, labels: Array, mixed: Mixed | None) -> tuple[Array, Array, Array]:
        """Images, targets and labels of the library."""
        xp = self.xp
        images, known = xp.asarray(images_NHWC, dtype=self.dtype), xp.asarray(labels)
        about = (self.classes, self.label_smoothing, self.dtype)
        if mixed is None:
            return images, loss.targets(known, *about), known
        others, share = xp.asarray(mixed.labels), xp.asarray(mixed.share)
        return images, loss.mixed_targets(known, others, share, *about), known

    def _forward_backward(
        self, context: ForwardContext, images: Array, target: Array, known: Array
    ) -> tuple[float, int]:
        """Forward and backward of one part; the loss is the mean over the whole batch."""
        xp = self.xp
        logits = self.network.forward(images, context)
        losses = loss.cross_entropy(logits, target)
        right = xp.argmax(logits, axis=1) == known
        self.network.backward(loss.cross_entropy_backward(logits, target) / context.count, context)
        return float(xp.sum(losses, dtype=xp.float64)), int(xp.sum(xp.astype(right, xp.int64)))

    def _update(self, trips: list[ForwardContext], index: int, rate: float) -> None:
        """The worker's share of every parameter moves by the sum of all workers' gradients."""
        parameters = self.parameters()
        for name in trips[0].gradients:
            p, kept = parameters[name], self.kept[name]
            gradients = [context.gradients[name] for context in trips]
            if self.xp is not np:
                self.optimizer.update(p, gradients[0], kept, rate, self.updates)
                continue
            flat = [array.reshape(-1) for array in (p, *gradients, *kept.values())]
            own = shares(p.size, len(trips))[index] if p.size >= len(trips) else slice(0, p.size if not index else 0)
            for start in range(own.start, own.stop, BLOCK):
                block = slice(start, min(start + BLOCK, own.stop))
                p_block, g, *others = (array[block] for array in flat)
                for other in others[: len(trips) - 1]:
                    g = g + other
                slots = dict(zip(kept, others[len(trips) - 1 :], strict=True))
                self.optimizer.update(p_block, g, slots, rate, self.updates)

    def _nothing_kept(self) -> dict[str, dict[str, Array]]:
        xp, names = self.xp, self.optimizer.kept_names()
        frozen = {layer.name for layer in self.network.all() if layer.is_frozen}
        return {
            name: {key: xp.zeros_like(array) for key in names}
            for name, array in self.parameters().items()
            if name.rpartition(".")[0] not in frozen
        }

    def _axes(self, name: str) -> tuple[int, ...] | None:
        where, _, key = name.rpartition(".")
        return next(layer.torch_axes.get(key) for layer in self.network.all() if layer.name == where)

    def _turned(self, name: str, array: Array) -> np.ndarray:
        """Ours in torch's order of axes."""
        axes, found = self._axes(name), to_numpy(array)
        return found if axes is None else np.ascontiguousarray(found.transpose(axes))

    def _from_torch(self, name: str, array: np.ndarray, dtype: Any) -> Array:
        axes = self._axes(name)
        torch_axes = array if axes is None else np.ascontiguousarray(array.transpose(np.argsort(axes)))
        return self.xp.asarray(np.array(torch_axes), dtype=dtype)
