"""Which parts of a network are linear, which are shift-equivariant and to which shifts, measured in float64.

An operator takes maps to maps (or vectors). It is linear if f(a + b) = f(a) + f(b) and f(c a) = c f(a); an operator that is so after
f(0) is subtracted is linear but for its bias. It is shift-equivariant if moving its input by some pixels moves its output: to every
shift, or only to multiples of its stride; everywhere (images are moved in a circle), or only in the interior, where no window reaches
into the padding. A vector has no positions: there only invariance is possible. The response of a linear operator to a unit impulse
is, for a convolution, its kernel (turned around, because what networks call a convolution is a correlation).

Each operator is a call of torch that the network makes, repeated on other inputs: of random numbers, of both signs and of several
sizes, so that a kink or a bound at some value is found.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from striate.core.errors import NetworkError
from striate.core.seeds import integer_seed
from striate.explain.patches import graph_between
from striate.explain.traced import RecordedCall, TracedNetwork
from striate.nets.graph.graph import Node
from striate.nets.graph.receptive_field import Axis, ReceptiveFields
from striate.nets.layers import Shape
from striate.nets.pytorch.trace.tracer import tensors_of

# A residual below this share of the largest value is rounding, in float64.
TOLERANCE = 1e-9
SIZES = (1.0, 10.0, 100.0)
FACTORS = (-1.0, 0.5, 3.0)
MOST_SHIFT = 8

Linear = Literal["yes", "but for its bias", "no"]
Where = Literal["everywhere", "in the interior", "nowhere", "no positions"]
Function = Callable[[list[Tensor]], Tensor]


@dataclass(frozen=True, kw_only=True)
class Linearity:
    """The largest residuals relative to the largest value, after f(0) is subtracted; `bias` is the largest value of f(0)."""

    superposition: float
    homogeneity: float
    bias: float

    @property
    def verdict(self) -> Linear:
        if max(self.superposition, self.homogeneity) > TOLERANCE:
            return "no"
        return "but for its bias" if self.bias > 0 else "yes"


@dataclass(frozen=True, kw_only=True)
class Equivariance:
    """To which shifts, and where. Residuals are relative to the largest value, of the smallest shift that the operator follows (or of 1).

    `step`: shifts by multiples of so many pixels move the output; 0: none do. For a vector `where` is "everywhere" if it is invariant.
    """

    step: int
    where: Where
    interior: float
    border: float
    is_vector: bool  # the output has no positions

    @property
    def verdict(self) -> str:
        if self.where == "no positions":
            return self.where
        if not self.step:
            return "no"
        shifts = "every shift" if self.step == 1 else f"shifts by multiples of {self.step}"
        if self.is_vector:
            return f"invariant to {shifts}"
        return f"to {shifts}" + ("" if self.where == "everywhere" else ", in the interior")


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What was measured of one operator; `name` is a node of the graph, or "network" for the whole."""

    name: str
    operation: str
    linearity: Linearity
    equivariance: Equivariance
    impulse: (
        np.ndarray | None
    )  # of a linear operator on maps: (channels in, channels out, rows, columns), cut to what is not 0
    is_kernel: float | None  # of a convolution: the largest difference between the impulse response and its kernel


def probe(module: nn.Module, shape: Shape, layers: tuple[str, ...] = ()) -> list[Probe]:
    """Each operator of a network in float64, in its order, and the whole network; only those of `layers`, if they are given.

    Raises:
        NetworkError: for a layer that does not exist, or a module that cannot run on the shape.
    """
    try:
        double = copy.deepcopy(module).double().eval()
    except Exception as error:
        raise NetworkError(f"{type(module).__name__} cannot be copied into float64: {error}") from error
    network = TracedNetwork(double, shape)
    wanted = [
        node
        for node in network.graph.nodes
        if node.op not in ("input", "dropout") and (not layers or _is_of(node, layers))
    ]
    for layer in layers:
        network.node(layer)  # refuses what does not exist
    found = [one for node in wanted if (one := _probe_node(network, node)) is not None]
    return found if layers else [*found, _probe_whole(network)]


def _is_of(node: Node, layers: tuple[str, ...]) -> bool:
    return node.name in layers or node.layer in layers


def _probe_node(network: TracedNetwork, node: Node) -> Probe | None:
    """None for a node that no call on maps or vectors of the image gives."""
    graph = network.graph
    noise = torch.randn(1, *graph.input_shape, generator=_generator(), dtype=torch.float64)
    call = network.call(noise, node.name)
    operator = _Replay(call, network, node.name)
    if not operator.inputs or not operator(operator.inputs).is_floating_point():
        return None
    before = graph[node.inputs[0]]
    axes = _local_axes(graph_between(graph, before, node.name), node.name) if before.axes == 2 else None
    return _measured(node.name, node.op, operator, operator.inputs, axes, call if node.op == "conv" else None)


def _probe_whole(network: TracedNetwork) -> Probe:
    graph = network.graph

    @torch.no_grad()
    def run(inputs: list[Tensor]) -> Tensor:
        # The module itself: a change of type at its end is no node of the graph.
        with network.running():
            output: Tensor = network.module(inputs[0].clone())
        return output

    axes = _local_axes(graph, graph.output) if len(graph.input_shape) == 3 else None
    return _measured("network", "all of it", run, [torch.zeros(1, *graph.input_shape, dtype=torch.float64)], axes, None)


def _local_axes(graph: object, name: str) -> list[Axis] | None:
    return None if graph is None else ReceptiveFields(graph).axes(name)  # type: ignore[arg-type]


class _Replay:
    """A call of torch as a function of the tensors that come from the image."""

    def __init__(self, call: RecordedCall, network: TracedNetwork, name: str) -> None:
        self._call, self._network, self._name = call, network, name
        self._leaves, self._spec = tree_flatten((call.args, call.kwargs))
        self._at = [index for index, leaf in enumerate(self._leaves) if isinstance(leaf, Tensor) and leaf.requires_grad]
        self.inputs: list[Tensor] = [self._leaves[index].detach() for index in self._at]

    @torch.no_grad()
    def __call__(self, inputs: list[Tensor]) -> Tensor:
        leaves = list(self._leaves)
        for index, tensor in zip(self._at, inputs, strict=True):
            leaves[index] = tensor.clone()
        args, kwargs = tree_unflatten(leaves, self._spec)
        return self._network.channels_first(self._name, tensors_of(self._call.func(*args, **kwargs))[0])


def _measured(
    name: str,
    operation: str,
    function: Function,
    inputs: list[Tensor],
    axes: list[Axis] | None,
    convolution: RecordedCall | None,
) -> Probe:
    linearity = _linearity(function, inputs)
    impulse = (
        _impulse(function, inputs[0])
        if linearity.verdict != "no" and len(inputs) == 1 and inputs[0].ndim == 4
        else None
    )
    kernel = None
    if impulse is not None and convolution is not None:
        kernel = _difference_from_kernel(impulse, convolution)
    return Probe(
        name=name,
        operation=operation,
        linearity=linearity,
        equivariance=_equivariance(function, inputs, axes),
        impulse=impulse,
        is_kernel=kernel,
    )


def _linearity(function: Function, inputs: list[Tensor]) -> Linearity:
    zero = function([torch.zeros_like(tensor) for tensor in inputs])
    superposition = homogeneity = 0.0
    generator = _generator()
    for size in SIZES:
        a, b = (
            [size * torch.randn(tensor.shape, generator=generator, dtype=torch.float64) for tensor in inputs]
            for _ in range(2)
        )
        of_a, of_b = function(a) - zero, function(b) - zero
        together = function([x + y for x, y in zip(a, b, strict=True)]) - zero
        scale = max(float(part.abs().max()) for part in (of_a, of_b, together)) or 1.0
        superposition = max(superposition, float((together - of_a - of_b).abs().max()) / scale)
        for factor in FACTORS:
            scaled = function([factor * x for x in a]) - zero
            homogeneity = max(homogeneity, float((scaled - factor * of_a).abs().max()) / scale)
    return Linearity(superposition=superposition, homogeneity=homogeneity, bias=float(zero.abs().max()))


def _equivariance(function: Function, inputs: list[Tensor], axes: list[Axis] | None) -> Equivariance:
    generator = _generator()
    images = [torch.randn(tensor.shape, generator=generator, dtype=torch.float64) for tensor in inputs]
    output = function(images)
    is_vector = output.ndim != 4 or output.shape[2:].numel() == 1
    if images[0].ndim != 4:
        return Equivariance(step=0, where="no positions", interior=1.0, border=1.0, is_vector=is_vector)
    sides = tuple(images[0].shape[2:])
    strides = _strides(sides, output, axes)
    candidates = range(1, 1 + min(max(MOST_SHIFT, *strides), min(sides) - 1)) if not is_vector else range(1, 3)
    first: Equivariance | None = None
    for shift in candidates:
        moved = function([image.roll((shift, shift), (2, 3)) if image.ndim == 4 else image for image in images])
        interior, border = _residuals(output, moved, shift, strides, axes, sides)
        found = Equivariance(
            step=shift,
            where="everywhere" if max(interior, border) <= TOLERANCE else "in the interior",
            interior=interior,
            border=border,
            is_vector=is_vector,
        )
        first = first or found
        if interior <= TOLERANCE:
            return found
    assert first is not None
    return Equivariance(step=0, where="nowhere", interior=first.interior, border=first.border, is_vector=is_vector)


def _strides(sides: tuple[int, ...], output: Tensor, axes: list[Axis] | None) -> tuple[int, int]:
    """How many pixels of the input one pixel of the output is."""
    if output.ndim != 4 or output.shape[2:].numel() == 1:
        return 1, 1
    if axes is not None and all(axis.stride for axis in axes):
        return axes[0].stride or 1, axes[1].stride or 1
    rows, columns = (max(1, round(before / after)) for before, after in zip(sides, output.shape[2:], strict=True))
    return rows, columns


def _residuals(
    output: Tensor, moved: Tensor, shift: int, strides: tuple[int, ...], axes: list[Axis] | None, sides: tuple[int, ...]
) -> tuple[float, float]:
    """In the interior and outside it; 1 in the interior if it is empty and nothing else says that the output has moved."""
    scale = float(output.abs().max()) or 1.0
    if output.ndim != 4 or output.shape[2:].numel() == 1:
        residual = float((moved - output).abs().max()) / scale
        return residual, residual
    if any(shift % stride for stride in strides):
        return 1.0, 1.0
    steps = tuple(shift // stride for stride in strides)
    difference = (moved - output.roll(steps, (2, 3))).abs()[0].amax(0) / scale
    is_circular = all(
        side == stride * after for side, stride, after in zip(sides, strides, output.shape[2:], strict=True)
    )
    everywhere = float(difference.max()) if is_circular else 1.0
    inside = _interior(output, shift, steps, axes, sides)
    if inside is None or not bool(inside.any()):
        return everywhere, everywhere
    border = float(difference[~inside].max()) if not bool(inside.all()) else 0.0
    return float(difference[inside].max()), border if is_circular else max(border, everywhere)


def _interior(
    output: Tensor, shift: int, steps: tuple[int, ...], axes: list[Axis] | None, sides: tuple[int, ...]
) -> Tensor | None:
    """The positions whose window has no padding, and moved by `shift` is the window of the position `steps` before."""
    if axes is None:
        return None
    along = []
    for axis, step, side, count in zip(axes, steps, sides, output.shape[2:], strict=True):
        is_inside = np.zeros(count, bool)
        for position in range(step, count):
            now, before = axis.boxes[position], axis.boxes[position - step]
            is_whole = not axis.stride or (
                axis.first + position * axis.stride >= 0 and axis.first + position * axis.stride + axis.size <= side
            )
            was_whole = not axis.stride or axis.first + (position - step) * axis.stride >= 0
            is_moved = bool(now and before) and (now[0] - shift, now[1] - shift) == before  # type: ignore[index]
            is_inside[position] = is_whole and was_whole and is_moved
        along.append(torch.from_numpy(is_inside))
    return along[0][:, None] & along[1][None, :]


def _impulse(function: Function, like: Tensor) -> np.ndarray:
    """The response to a 1 in the middle of each of the first channels, cut to what is not 0."""
    zero = function([torch.zeros_like(like)])
    responses = []
    for channel in range(min(like.shape[1], 4)):
        image = torch.zeros_like(like)
        image[0, channel, like.shape[2] // 2, like.shape[3] // 2] = 1
        responses.append((function([image]) - zero)[0])
    stacked = torch.stack(responses)
    if stacked.ndim != 4 or not bool(stacked.any()):
        return stacked.numpy()
    rows, columns = (stacked.abs().amax(dims).nonzero().flatten() for dims in ((0, 1, 3), (0, 1, 2)))
    cut = stacked[:, :, int(rows.min()) : int(rows.max()) + 1, int(columns.min()) : int(columns.max()) + 1]
    return cut.numpy()


def _difference_from_kernel(impulse: np.ndarray, call: RecordedCall) -> float | None:
    """Between the impulse response and the kernel, turned around; None where stride, dilation or groups hide a part of it."""
    weight = call.argument("weight", 1).detach().numpy()
    kernel = np.flip(weight, (2, 3)).transpose(1, 0, 2, 3)[: len(impulse)]
    if kernel.shape != impulse.shape:
        return None
    return float(np.abs(kernel - impulse).max())


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(integer_seed(0, "probe"))
