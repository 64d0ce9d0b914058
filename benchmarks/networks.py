"""The networks that the benchmarks train, written as the users of each library would: for Striate by name, for torch and
Keras as layers. Before anything is timed, their numbers of parameters are compared.
"""

from dataclasses import dataclass
from typing import Any

# ("conv", filters, kernel, stride, padding), ("norm",), ("relu",), ("pool",), ("flatten",), ("fc", units), ("res", steps):
# the steps, plus their input through a 1x1 convolution, then relu.
Steps = tuple[Any, ...]


def _conv(filters: int, norm: bool = False) -> Steps:
    return (("conv", filters, 3, 1, 1), *((("norm",),) if norm else ()), ("relu",))


def _fc(units: int) -> Steps:
    return (("fc", units), ("norm",), ("relu",))


def _block(filters: int) -> Steps:
    return (("res", (*_conv(filters), *_conv(filters), ("conv", filters, 3, 1, 1))), ("pool",))


@dataclass(frozen=True)
class Case:
    """A network, its images, and how it is trained."""

    steps: Steps
    striate: dict[str, Any]  # the same network in a study file
    channels: int
    batch_size: int
    optimizer: tuple[str, dict[str, float]]  # torch's name and arguments
    augment: bool = False  # flip, and crop after padding by 4
    description: str = ""

    @property
    def lr(self) -> float:
        return self.optimizer[1]["lr"]


_A_CONV = (("conv", 10, 2, 2, 0), ("relu",), ("pool",))
_D = (*_conv(64, True), ("pool",), *_conv(128, True), ("pool",), *_conv(256, True), *_conv(256, True), ("pool",))
_C = (*_conv(100, True), *_conv(200, True), ("pool",), *(s for f in (300, 400, 500, 600, 700) for s in _conv(f, True)))

CASES = {
    "A1": Case(
        (("conv", 32, 2, 2, 0), ("relu",), ("pool",), *_A_CONV, ("conv", 10, 2, 2, 0), ("flatten",)),
        {"layers": "report-a"},
        channels=1,
        batch_size=64,
        optimizer=("SGD", {"lr": 0.001}),
        description="report-a: 1,860 parameters, gray",
    ),
    "B1": Case(
        (*_block(64), *_block(128), *_block(256), ("flatten",), ("fc", 10)),
        {"layers": "report-b"},
        channels=3,
        batch_size=128,
        optimizer=("Adam", {"lr": 0.001}),
        description="report-b: 9 conv layers with skips, 2,002,570 parameters",
    ),
    "B2": Case(
        (*_conv(6), ("flatten",), ("fc", 10)),
        {"layers": "report-b-fc"},
        channels=3,
        batch_size=64,
        optimizer=("Adam", {"lr": 0.001}),
        description="report-b-fc: one conv layer and fc, 61,618 parameters",
    ),
    "D1": Case(
        (*_D, ("flatten",), *_fc(1024), *_fc(1024), ("fc", 10)),
        {"layers": "report-d", "norm": "batch"},
        channels=3,
        batch_size=128,
        optimizer=("Adam", {"lr": 0.001}),
        augment=True,
        description="report-d with batch norm, flip and crop",
    ),
    "C2": Case(
        (*_C, ("pool",), ("flatten",), *_fc(100), *_fc(200), ("fc", 10)),
        {"layers": "report-c"},
        channels=3,
        batch_size=100,
        optimizer=("Adadelta", {"lr": 1.0}),
        description="report-c: 14,594,010 parameters",
    ),
}


def torch_module(steps: Steps, channels: int) -> Any:
    """The network as torch layers, with torch's own initial weights."""
    from torch import nn

    return nn.Sequential(*_torch_layers(steps, channels)[0])


def _torch_layers(steps: Steps, channels: int, size: int = 32) -> tuple[list[Any], int, int]:
    """Layers, and the channels (then features) and size that come out."""
    from torch import nn

    class Residual(nn.Module):
        def __init__(self, layers: list[Any], before: int, after: int) -> None:
            super().__init__()
            self.layers, self.shortcut = nn.Sequential(*layers), nn.Conv2d(before, after, 1)

        def forward(self, x: Any) -> Any:
            return nn.functional.relu(self.layers(x) + self.shortcut(x))

    layers: list[Any] = []
    for kind, *numbers in steps:
        match kind:
            case "conv":
                filters, kernel, stride, padding = numbers
                layers.append(nn.Conv2d(channels, filters, kernel, stride, padding))
                channels, size = filters, (size + 2 * padding - kernel) // stride + 1
            case "norm":
                layers.append(nn.BatchNorm2d(channels) if size else nn.BatchNorm1d(channels))
            case "relu":
                layers.append(nn.ReLU())
            case "pool":
                layers.append(nn.MaxPool2d(2))
                size //= 2
            case "flatten":
                layers.append(nn.Flatten())
                channels, size = channels * size * size, 0
            case "fc":
                layers.append(nn.Linear(channels, numbers[0]))
                channels = numbers[0]
            case "res":
                inside, after, size = _torch_layers(numbers[0], channels, size)
                layers.append(Residual(inside, channels, after))
                channels = after
    return layers, channels, size


def keras_layers(steps: Steps, x: Any) -> Any:
    """The network as Keras layers on the tensor `x`, with Keras' own initial weights."""
    from keras import layers

    for kind, *numbers in steps:
        match kind:
            case "conv":
                filters, kernel, stride, padding = numbers
                x = layers.Conv2D(filters, kernel, stride, padding="same" if padding else "valid")(x)
            case "norm":
                x = layers.BatchNormalization()(x)
            case "relu":
                x = layers.ReLU()(x)
            case "pool":
                x = layers.MaxPooling2D(2)(x)
            case "flatten":
                x = layers.Flatten()(x)
            case "fc":
                x = layers.Dense(numbers[0])(x)
            case "res":
                inside = keras_layers(numbers[0], x)
                x = layers.ReLU()(layers.Add()([inside, layers.Conv2D(inside.shape[-1], 1)(x)]))
    return x
