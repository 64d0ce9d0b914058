"""Which pixels of one image a class, a layer or a unit depends on, by seven methods, as arrays.

    gradient        the derivative of the target with respect to each pixel
    guided          guided backpropagation: rectifiers pass where they are on and the gradient is above 0
    deconvnet       rectifiers pass where the gradient is above 0
    gradcam         the maps of a layer, each weighted by the mean of the target's gradient over it, and summed; then max(sum, 0),
                    unless `signed` (Selvaraju et al. 2017, arXiv:1610.02391)
    guided-gradcam  guided backpropagation times Grad-CAM, brought to the image's size by repeating pixels
    integrated      integrated gradients: difference to a baseline times the mean gradient on the way from it (arXiv:1703.01365)
    occlusion       how much the target falls when a window of pixels is replaced by the baseline, averaged over the windows on a pixel

Images are as the network gets them: normalized, so that the baseline 0 is the mean color.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from striate.core.errors import NetworkError
from striate.explain.images import VALUES_AT_ONCE
from striate.explain.rectifiers import Backward, GuidedRule
from striate.explain.traced import TracedNetwork
from striate.nets.layers import shape_text

Method = Literal["gradient", "guided", "deconvnet", "gradcam", "guided-gradcam", "integrated", "occlusion"]
METHODS: tuple[Method, ...] = get_args(Method)
# Of a layer name: the network's output.
OUTPUT = ""


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is explained: one value of the network, or the sum of several.

    By default of the output: `unit=(3,)` is the logit of class 3. With `layer`, a node of the graph: `unit` is (channel, *position)
    or (feature,); a channel alone is the sum of its map, and no unit is the sum of the whole layer.
    """

    layer: str = OUTPUT
    unit: tuple[int, ...] = ()

    def __str__(self) -> str:
        place = " ".join(map(str, self.unit))
        return f"{self.layer or 'output'}{f' unit {place}' if self.unit else ''}"


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """One number for each value of the image (channels, *sides); for Grad-CAM one for each position of the layer's map (1, *sides).

    `value` is the target's value. `gap` is, for integrated gradients, the sum of the array minus the difference between
    the target's values for image and baseline: 0 but for the numerical integration.
    """

    method: Method
    target: Target
    array: np.ndarray
    value: float
    layer: str = ""  # of Grad-CAM: whose maps
    gap: float | None = None


@dataclass(frozen=True, kw_only=True)
class Options:
    """`layer` (of gradcam) is the node whose maps are weighted; left out, the last one that has positions, before the target."""

    layer: str = ""
    signed: bool = False  # of gradcam
    steps: int = 50  # of integrated
    baseline: float = 0.0  # of integrated and occlusion
    window: int = 8  # of occlusion, in pixels
    stride: int = 4
    progress: Callable[[float], None] = lambda share: None  # of integrated and occlusion


def attribute(
    network: TracedNetwork, image: Tensor, target: Target, method: Method, options: Options | None = None
) -> Attribution:
    """The attribution of `target` to the values of `image` (channels, *sides).

    Raises:
        NetworkError: for a target or a layer that does not exist, a network that the method does not cover, or values that are not finite.
    """
    if method not in METHODS:
        raise NetworkError(f"method '{method:.40}': must be one of {', '.join(METHODS)}")
    options = options or Options()
    pixels = network.place(image[None])
    name = network.node(target.layer).name if target.layer else network.graph.output
    target = Target(layer=name, unit=target.unit)
    _check_unit(network, target)
    with network.running():
        found = _by_method(network, pixels, target, method, options)
    if not np.isfinite(found.array).all() or not np.isfinite(found.value):
        raise NetworkError(f"layer '{name}': gives values that are not finite numbers, which nothing explains")
    return found


def _by_method(network: TracedNetwork, pixels: Tensor, target: Target, method: Method, options: Options) -> Attribution:
    match method:
        case "gradient":
            array, value = _gradient(network, pixels, target)
        case "guided" | "deconvnet":
            array, value = _guided(network, pixels, target, method)
        case "gradcam" | "guided-gradcam":
            return _gradcam(network, pixels, target, method, options)
        case "integrated":
            return _integrated(network, pixels, target, options)
        case "occlusion":
            array, value = _occlusion(network, pixels, target, options)
    return Attribution(method=method, target=target, array=_numpy(array), value=float(value))


def upsampled(array: np.ndarray, sides: tuple[int, ...]) -> np.ndarray:
    """A map (channels, *sides) brought to the sides of the image by repeating its values."""
    for axis, side in enumerate(sides, 1):
        index = (np.arange(side) * array.shape[axis]) // side
        array = np.take(array, index, axis)
    return array


def _check_unit(network: TracedNetwork, target: Target) -> None:
    shape = network.graph[target.layer].output_shape
    unit = target.unit
    is_whole = len(unit) in (0, 1, len(shape))
    if not is_whole or not all(0 <= index < side for index, side in zip(unit, shape, strict=False)):
        raise NetworkError(
            f"unit {' '.join(map(str, unit))}: layer '{target.layer}' gives {shape_text(shape)} values; give a channel, "
            f"or a channel and a position, each counted from 0"
        )


def _scalars(target: Target, value: Tensor) -> Tensor:
    """The target's value for each image."""
    for index in target.unit:  # from the channel to the position
        value = value[:, index]
    return value.reshape(len(value), -1).sum(1)


def _gradients(
    network: TracedNetwork, pixels: Tensor, target: Target, rule: GuidedRule | None = None
) -> tuple[Tensor, Tensor]:
    """For each image the gradient of its target, and the target's value."""
    pixels = pixels.detach().requires_grad_()
    with torch.enable_grad():
        value = network.differentiable(pixels, [target.layer], rule)[target.layer]
        scalars = _scalars(target, network.channels_first(target.layer, value))
    if not scalars.requires_grad:
        raise NetworkError(
            f"{target}: has no gradient with respect to the image: the network detaches it, or computes without gradients"
        )
    if rule is not None:
        rule.check(value)
    (gradient,) = torch.autograd.grad(scalars.sum(), pixels, allow_unused=True)
    return (torch.zeros_like(pixels) if gradient is None else gradient), scalars.detach()


def _gradient(network: TracedNetwork, pixels: Tensor, target: Target) -> tuple[Tensor, Tensor]:
    gradient, value = _gradients(network, pixels, target)
    return gradient[0], value[0]


def _guided(network: TracedNetwork, pixels: Tensor, target: Target, backward: Backward) -> tuple[Tensor, Tensor]:
    gradient, value = _gradients(network, pixels, target, GuidedRule(backward, network.name_of_call))
    return gradient[0], value[0]


def _gradcam(network: TracedNetwork, pixels: Tensor, target: Target, method: Method, options: Options) -> Attribution:
    layer = network.node(options.layer).name if options.layer else _last_map(network, target)
    if network.graph[layer].axes != len(pixels.shape) - 2:
        raise NetworkError(
            f"gradcam: layer '{layer}' has no map over the image; give one that has, such as {_last_map(network, target)}"
        )
    guided = _guided(network, pixels, target, "guided")[0] if method == "guided-gradcam" else None
    with torch.enable_grad():
        # The image needs a gradient so that frozen networks, too, are differentiated.
        values = network.differentiable(pixels.requires_grad_(), [layer, target.layer])
        scalars = _scalars(target, network.channels_first(target.layer, values[target.layer]))
        gradient = None
        if values[layer].requires_grad:
            (gradient,) = torch.autograd.grad(scalars.sum(), values[layer], allow_unused=True)
    if gradient is None:
        raise NetworkError(f"gradcam: {target} has no gradient with respect to layer '{layer}'; give a layer before it")
    maps, gradient = (network.channels_first(layer, part.detach())[0] for part in (values[layer], gradient))
    weights = gradient.flatten(1).mean(1)
    cam = torch.tensordot(weights, maps, 1)[None]
    array = _numpy(cam if options.signed and guided is None else cam.clamp(min=0))
    if guided is not None:
        array = _numpy(guided) * upsampled(array, tuple(pixels.shape[2:]))
    return Attribution(method=method, target=target, array=array, value=scalars[0].item(), layer=layer)


def _last_map(network: TracedNetwork, target: Target) -> str:
    """The last node before the target that has more than one position: the deepest one that says where."""
    names = [node.name for node in network.graph.nodes]
    for node in reversed(network.graph.nodes[: names.index(target.layer) + 1]):
        if (
            node.axes == len(network.input_shape) - 1
            and node.size > node.output_shape[0]
            and node.op not in ("input", "pool", "dropout")
        ):
            return node.name
    raise NetworkError("gradcam: the network has no layer with a map over the image")


def _integrated(network: TracedNetwork, pixels: Tensor, target: Target, options: Options) -> Attribution:
    """By Gauss-Legendre quadrature over the way from the baseline to the image."""
    nodes, weights = np.polynomial.legendre.leggauss(options.steps)
    shares = torch.from_numpy((1 + nodes) / 2).to(pixels)
    baseline = torch.full_like(pixels, options.baseline)
    total = torch.zeros_like(pixels, dtype=torch.float64 if pixels.device.type != "mps" else None)
    at_once = max(1, VALUES_AT_ONCE // pixels.numel())
    for start in range(0, options.steps, at_once):
        part = shares[start : start + at_once].reshape(-1, *[1] * (pixels.ndim - 1))
        gradients, _ = _gradients(network, baseline + part * (pixels - baseline), target)
        total += torch.tensordot(
            torch.from_numpy(weights[start : start + at_once] / 2).to(total), gradients.to(total), 1
        )
        options.progress(min(1.0, (start + at_once) / options.steps))
    array = ((pixels - baseline).to(total) * total)[0]
    ends = [_value(network, ends, target)[0].item() for ends in (pixels, baseline)]
    gap = float(array.sum()) - (ends[0] - ends[1])
    return Attribution(method="integrated", target=target, array=_numpy(array), value=ends[0], gap=gap)


@torch.no_grad()
def _value(network: TracedNetwork, pixels: Tensor, target: Target) -> Tensor:
    values: list[Tensor] = []
    network.visit(pixels, [target.layer], lambda _, value: values.append(_scalars(target, value)))
    return values[0]


def _occlusion(network: TracedNetwork, pixels: Tensor, target: Target, options: Options) -> tuple[Tensor, Tensor]:
    sides = pixels.shape[2:]
    value = _value(network, pixels, target)[0]
    total, count = torch.zeros(sides).to(value), torch.zeros(sides).to(value)
    boxes = _windows(tuple(sides), options.window, options.stride)
    at_once = max(1, VALUES_AT_ONCE // pixels.numel())
    for start in range(0, len(boxes), at_once):
        part = boxes[start : start + at_once]
        images = pixels.repeat(len(part), *[1] * (pixels.ndim - 1))
        for image, box in zip(images, part, strict=True):
            image[(slice(None), *box)] = options.baseline
        for box, without in zip(part, _value(network, images, target), strict=True):
            total[box] += value - without
            count[box] += 1
        options.progress(min(1.0, (start + at_once) / len(boxes)))
    return (total / count.clamp(min=1)).expand(pixels.shape[1:]), value


def _windows(sides: tuple[int, ...], window: int, stride: int) -> list[tuple[slice, ...]]:
    """Windows from 0 in steps of `stride` along each axis; the last one ends with the image, and may be narrower."""
    if window < 1 or stride < 1:
        raise NetworkError(f"occlusion: window and stride must be 1 or more, got {window} and {stride}")
    boxes: list[tuple[slice, ...]] = [()]
    for side in sides:
        count = -(-max(side - window, 0) // stride) + 1
        steps = [slice(step * stride, min(step * stride + window, side)) for step in range(count)]
        boxes = [(*box, step) for box in boxes for step in steps]
    return boxes


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()
