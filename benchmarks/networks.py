"""The networks that the benchmarks train, written as the users of each library would: for Striate by name, for torch and
Keras as layers. Before anything is timed, their numbers of parameters are compared.
"""

from dataclasses import dataclass
from typing import Any

# ("conv", filters, kernel, stride, padding), ("norm",), ("relu",), ("pool",), ("gap",), ("flatten",), ("fc", units),
# ("res", steps, stride): the steps, plus their input, then relu. Where the shape changes, the input goes through a 1x1
# convolution of that stride, and through a norm if the steps have one.
Steps = tuple[Any, ...]


def _conv(filters: int, norm: bool = False, stride: int = 1) -> Steps:
    return (("conv", filters, 3, stride, 1), *((("norm",),) if norm else ()), ("relu",))


def _fc(units: int) -> Steps:
    return (("fc", units), ("norm",), ("relu",))


def _block(filters: int) -> Steps:
    return (("res", (*_conv(filters), *_conv(filters), ("conv", filters, 3, 1, 1)), 1), ("pool",))


def _vgg(*filters: int) -> Steps:
    """A pool after each 0."""
    return tuple(step for f in filters for step in (_conv(f, True) if f else (("pool",),)))


def _residual(filters: int, stride: int = 1) -> Steps:
    return (("res", (*_conv(filters, True, stride), ("conv", filters, 3, 1, 1), ("norm",)), stride),)


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
_VGG11 = _vgg(64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0)
_RESNET20 = (
    *_conv(16, True),
    *(step for f, stride in ((16, 1), (32, 2), (64, 2)) for step in (*_residual(f, stride), *2 * _residual(f))),
)
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
    "VGG11": Case(
        (*_VGG11, ("flatten",), ("fc", 10)),
        {"layers": "vgg11"},
        channels=3,
        batch_size=128,
        optimizer=("Adam", {"lr": 0.001}),
        augment=True,
        description="vgg11 for 32x32 with batch norm, flip and crop",
    ),
    "ResNet20": Case(
        (*_RESNET20, ("gap",), ("fc", 10)),
        {"layers": "resnet20", "bias": True},
        channels=3,
        batch_size=128,
        optimizer=("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.0001}),
        augment=True,
        description="resnet20 with biases, flip and crop",
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
        def __init__(self, layers: list[Any], shortcut: list[Any]) -> None:
            super().__init__()
            self.layers, self.shortcut = nn.Sequential(*layers), nn.Sequential(*shortcut)

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
                steps_inside, stride = numbers
                inside, after, size = _torch_layers(steps_inside, channels, size)
                shortcut: list[Any] = [nn.Conv2d(channels, after, 1, stride)] if after != channels else []
                if shortcut and ("norm",) in steps_inside:
                    shortcut.append(nn.BatchNorm2d(after))
                layers.append(Residual(inside, shortcut))
                channels = after
            case "gap":
                layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
                size = 0
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
                steps_inside, stride = numbers
                inside = keras_layers(steps_inside, x)
                if inside.shape[-1] != x.shape[-1]:
                    x = layers.Conv2D(inside.shape[-1], 1, stride)(x)
                    x = layers.BatchNormalization()(x) if ("norm",) in steps_inside else x
                x = layers.ReLU()(layers.Add()([inside, x]))
            case "gap":
                x = layers.GlobalAveragePooling2D()(x)
    return x
