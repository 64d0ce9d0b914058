"""A network in training, written from scratch: parameters, running statistics and optimizer state, all plain arrays.

`train_step` is one update of the weights, `logits` an evaluation. `state()` is everything that decides the next step, as
NumPy arrays and numbers; after `restore()` the next step is the one that would have followed.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from striate.engines.scratch import optimizers
from striate.engines.scratch.build import build
from striate.engines.scratch.context import ForwardContext, dropout_streams
from striate.engines.scratch.library import Array, library, to_numpy
from striate.engines.scratch.ops import loss
from striate.engines.scratch.optimized.layers import DIRECT, OPTIMIZED, arrange
from striate.engines.scratch.threads import SingleThreadedBlas, ThreadTeam, split_evenly
from striate.nets.config import NetworkConfig
from striate.nets.layers import Shape
from striate.recipes import OptimizerConfig

# Numbers of a parameter that are updated at once: enough that threads rarely wait for Python's global lock between operations.
BLOCK = 1 << 18
# The loss tells once that numbers are no longer finite, so no operation warns. Each thread has its own setting.
QUIET = np.errstate(over="ignore", invalid="ignore", divide="ignore")


@dataclass(frozen=True)
class MixedLabels:
    """A second label of each image (N,), and the first label's share of the target (N,)."""

    labels: Array
    label_lambda: Array


class _Batch(NamedTuple):
    """A batch as arrays of the library."""

    images: Array  # N x H x W x C
    targets: Array  # N x classes, each row sums to 1
    labels: Array  # N

    def part(self, rows: slice) -> "_Batch":
        return _Batch(self.images[rows, ...], self.targets[rows, ...], self.labels[rows])


class Learner:
    """One network on one array library."""

    def __init__(
        self, network: NetworkConfig, input_shape: Shape, classes: int, seed: int, optimizer: OptimizerConfig, *,
        engine: str = "numpy", dtype: str = "float32", threads: int = 1, label_smoothing: float = 0.0,
        class_weights: np.ndarray | None = None, convolution: str = "winograd", uses_optimized_layers: bool = True,
    ) -> None:  # fmt: skip
        """`input_shape` is (channels, height, width), as everywhere; the images themselves are N x H x W x C.

        Optimized layers exist for NumPy only. `convolution` is winograd, which takes tiles where they are faster, or direct.
        """
        self.xp = library(engine)
        self.dtype = getattr(self.xp, dtype)
        self.optimizer = optimizers.build(optimizer)
        optimized = DIRECT if convolution == "direct" else OPTIMIZED
        replacements = optimized if engine == "numpy" and uses_optimized_layers else None
        self.network = build(network, input_shape, classes, seed, self.xp, dtype, replacements)
        if replacements:
            arrange(self.network)
        self.seed, self.classes, self.label_smoothing = seed, classes, label_smoothing
        self.class_weights = None if class_weights is None else self.xp.asarray(class_weights, dtype=self.dtype)
        # Another library has threads of its own, or a GPU.
        self.team = ThreadTeam(threads if engine == "numpy" else 1)
        self._single_threaded_blas = SingleThreadedBlas()
        self.epoch = self.step = 0  # the current epoch and the steps done in it: they decide what dropout draws
        self.updates = 0  # steps done in all epochs
        self.optimizer_state = self._initial_optimizer_state()
        self._buffers: list[dict[Any, Array]] = [{} for _ in range(self.team.size)]
        self._shared: dict[Any, Array] = {}

    def close(self) -> None:
        """End the threads."""
        self.team.close()

    def parameters(self) -> dict[str, Array]:
        """Every parameter by PyTorch's name, in this engine's order of axes."""
        return {
            f"{layer.name}.{key}": array
            for layer in self.network.leaf_layers()
            for key, array in layer.parameters.items()
        }

    def begin_epoch(self, epoch: int) -> None:
        self.epoch, self.step = epoch, 0

    def train_step(
        self, images_NHWC: Array, labels: Array, lr: float, mixed: MixedLabels | None = None
    ) -> tuple[float, int]:
        """One update. Returns the sum of the images' losses and the number of correct images, both before the update."""
        batch = self._batch(images_NHWC, labels, mixed)
        parts = split_evenly(len(labels), self.team.size)
        streams = dropout_streams(self.seed, self.epoch, self.step)
        contexts = [
            ForwardContext(
                self.team,
                len(labels),
                part.start,
                worker,
                True,
                streams,
                buffers=self._buffers[worker],
                shared=self._shared,
            )
            for worker, part in enumerate(parts)
        ]
        self.updates += 1

        @QUIET
        def work(worker: int) -> tuple[float, int]:
            sums = self._forward_backward(contexts[worker], batch.part(parts[worker]))
            self.team.wait()
            self._update(contexts, worker, lr)
            return sums

        with self._single_threaded_blas():
            sums = self.team.run(work, len(parts))
        self.step += 1
        return sum(loss for loss, _ in sums), sum(correct for _, correct in sums)

    def logits(self, images_NHWC: Array) -> np.ndarray:
        """Logits (N, classes) as in evaluation: no dropout, running statistics."""
        images = self.xp.asarray(images_NHWC, dtype=self.dtype)
        parts = split_evenly(images.shape[0], self.team.size)

        @QUIET
        def work(worker: int) -> np.ndarray:
            part = parts[worker]
            context = ForwardContext(
                self.team, images.shape[0], part.start, worker, buffers=self._buffers[worker], shared=self._shared
            )
            return to_numpy(self.network.forward(images[part, ...], context))

        with self._single_threaded_blas():
            return np.concatenate(self.team.run(work, len(parts)))

    def gradients(self, images_NHWC: Array, labels: Array) -> dict[str, np.ndarray]:
        """The gradient of the mean loss for each parameter, in PyTorch's order of axes. Only running statistics change."""
        context = ForwardContext(
            ThreadTeam(), len(labels), is_training=True, streams=dropout_streams(self.seed, self.epoch, self.step)
        )
        self._forward_backward(context, self._batch(images_NHWC, labels, None))
        return {name: self._to_torch(name, array) for name, array in context.gradients.items()}

    def weights(self) -> dict[str, np.ndarray]:
        """Parameters and running statistics as in PyTorch's state_dict: its names, its order of axes."""
        return {
            f"{layer.name}.{key}": self._to_torch(f"{layer.name}.{key}", array)
            for layer in self.network.leaf_layers()
            for key, array in {**layer.parameters, **layer.buffers}.items()
        }

    def load(self, weights: dict[str, np.ndarray]) -> None:
        """Load what `weights` returned, here or from PyTorch."""
        for layer in self.network.leaf_layers():
            for arrays in (layer.parameters, layer.buffers):
                for key, array in arrays.items():
                    name = f"{layer.name}.{key}"
                    arrays[key] = self._from_torch(name, weights[name], array.dtype)

    def state(self) -> dict[str, Any]:
        """Everything that decides the next step, except the job."""
        optimizer_state = {
            name: {key: self._to_torch(name, array) for key, array in arrays.items()}
            for name, arrays in self.optimizer_state.items()
        }
        counts = {"epoch": self.epoch, "step": self.step, "updates": self.updates}
        return {"weights": self.weights(), "optimizer_state": optimizer_state, "counts": counts}

    def restore(self, state: dict[str, Any]) -> None:
        self.load(state["weights"])
        for name, arrays in state["optimizer_state"].items():
            self.optimizer_state[name] = {
                key: self._from_torch(name, array, self.dtype) for key, array in arrays.items()
            }
        for key, count in state["counts"].items():
            setattr(self, key, int(count))

    def _batch(self, images_NHWC: Array, labels: Array, mixed: MixedLabels | None) -> _Batch:
        xp = self.xp
        images, labels = xp.asarray(images_NHWC, dtype=self.dtype), xp.asarray(labels)
        target_options = (self.classes, self.label_smoothing, self.dtype)
        if mixed is None:
            return _Batch(images, self._weighted(loss.targets(labels, *target_options), labels), labels)
        partners, label_lambda = xp.asarray(mixed.labels), xp.asarray(mixed.label_lambda)
        targets = loss.mixed_targets(labels, partners, label_lambda, *target_options)
        return _Batch(images, self._weighted(targets, labels, partners, label_lambda), labels)

    def _weighted(
        self, targets: Array, labels: Array, partners: Array | None = None, label_lambda: Array | None = None
    ) -> Array:
        """The targets of a batch with the weights of the classes in them."""
        weights = self.class_weights
        if weights is None:
            return targets
        label_weights = self.xp.take(weights, labels, axis=0)
        if partners is not None and label_lambda is not None:
            share = self.xp.astype(label_lambda, self.dtype)
            label_weights = share * label_weights + (1 - share) * self.xp.take(weights, partners, axis=0)
        return loss.weighted_targets(targets, weights, label_weights)

    def _forward_backward(self, context: ForwardContext, batch: _Batch) -> tuple[float, int]:
        """Forward and backward of one worker's images; the loss is the mean over the whole batch."""
        xp = self.xp
        logits = self.network.forward(batch.images, context)
        weighted = self.class_weights is not None
        forward = loss.weighted_cross_entropy if weighted else loss.cross_entropy
        backward = loss.weighted_cross_entropy_backward if weighted else loss.cross_entropy_backward
        losses = forward(logits, batch.targets)
        is_correct = xp.argmax(logits, axis=1) == batch.labels
        self.network.backward(backward(logits, batch.targets) / context.batch_size, context)
        return float(xp.sum(losses, dtype=xp.float64)), int(xp.sum(xp.astype(is_correct, xp.int64)))

    def _update(self, contexts: list[ForwardContext], worker: int, lr: float) -> None:
        """Update this worker's slice of every parameter, by the sum of all workers' gradients."""
        parameters = self.parameters()
        for name in contexts[0].gradients:
            p, state = parameters[name], self.optimizer_state[name]
            gradients = [context.gradients[name] for context in contexts if name in context.gradients]
            if self.xp is not np:
                self.optimizer.update(p, gradients[0], state, lr, self.updates)
                continue
            flat = [array.reshape(-1) for array in (p, *gradients, *state.values())]
            for block in _blocks(p.size, worker, len(contexts)):
                p_block, g, *others = (array[block] for array in flat)
                for other in others[: len(gradients) - 1]:
                    g = g + other
                state_block = dict(zip(state, others[len(gradients) - 1 :], strict=True))
                self.optimizer.update(p_block, g, state_block, lr, self.updates)

    def _initial_optimizer_state(self) -> dict[str, dict[str, Array]]:
        xp, names = self.xp, self.optimizer.state_names()
        frozen = {layer.name for layer in self.network.leaf_layers() if layer.is_frozen}
        return {
            name: {key: xp.zeros_like(array) for key in names}
            for name, array in self.parameters().items()
            if name.rpartition(".")[0] not in frozen
        }

    def _torch_axes(self, name: str) -> tuple[int, ...] | None:
        layer_name, _, key = name.rpartition(".")
        return next(layer.torch_axes.get(key) for layer in self.network.leaf_layers() if layer.name == layer_name)

    def _to_torch(self, name: str, array: Array) -> np.ndarray:
        """A copy in PyTorch's order of axes."""
        axes, copied = self._torch_axes(name), to_numpy(array)
        return copied if axes is None else np.ascontiguousarray(copied.transpose(axes))

    def _from_torch(self, name: str, array: np.ndarray, dtype: Any) -> Array:
        axes = self._torch_axes(name)
        ours = array if axes is None else np.ascontiguousarray(array.transpose(np.argsort(axes)))
        return self.xp.asarray(np.array(ours), dtype=dtype)


def _blocks(size: int, worker: int, workers: int) -> list[slice]:
    """The blocks that a worker updates of a parameter of `size` numbers."""
    parts = split_evenly(size, workers)
    if worker >= len(parts):  # fewer numbers than workers
        return []
    own = parts[worker]
    return [slice(start, min(start + BLOCK, own.stop)) for start in range(own.start, own.stop, BLOCK)]
