"""The kinds of layer, as frozen records.

A size is one whole number for all spatial axes or one number an axis; equal numbers are kept as one, so that
two spellings of a layer are one record. What a layer says for itself (`own`) goes before what the network says.

The shape that comes out of a layer, and what would fit where nothing comes out.

Shapes are (channels, *spatial) or (features,).
"""

import math
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from striate.core.errors import NetworkError
from striate.core.records import Flag, Record, Whole

Norm = Literal["none", "batch", "layer", "group", "instance"]
Activation = Literal["none", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "sigmoid", "tanh"]
Init = Literal[
    "default", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal", "lecun", "orthogonal", "dirac", "whiten"
]  # fmt: skip
Position = Literal["before", "after"]


def _one_or_each(value: int | tuple[int, ...]) -> int | tuple[int, ...]:
    if isinstance(value, int):
        return value
    if not 2 <= len(value) <= 3:
        raise ValueError("one number, or one for each of 2 or 3 axes")
    return value[0] if len(set(value)) == 1 else value


_FromOne = Annotated[Whole, Field(ge=1)]
_FromZero = Annotated[Whole, Field(ge=0)]
Sizes = Annotated[_FromOne | tuple[_FromOne, ...], AfterValidator(_one_or_each)]
Pads = Annotated[_FromZero | tuple[_FromZero, ...], AfterValidator(_one_or_each)]


def per_axis(size: int | tuple[int, ...], axes: int) -> tuple[int, ...]:
    """One number an axis; a tuple of another length is returned as it is, for the caller to refuse."""
    return (size,) * axes if isinstance(size, int) else size


class LayerOverrides(Record):
    """What one conv or fc layer says for itself; None leaves it to the network."""

    norm: Norm | None = None
    norm_groups: _FromOne | None = None
    norm_position: Position | None = None
    activation: Activation | None = None
    init: Init | None = None
    bias: Flag | None = None
    zero_bias: Flag | None = None


class Conv(Record):
    """A convolution. `padding` None is "same": dilation x (kernel - 1) pixels in all, an odd one after the image.

    At stride 1 that keeps the size. It does not depend on the stride, as everybody writes it in torch.
    """

    kind: ClassVar[str] = "conv"
    filters: _FromOne
    kernel: Sizes = 3
    stride: Sizes = 1
    dilation: Sizes = 1
    groups: _FromOne = 1
    padding: Pads | None = None
    own: LayerOverrides = LayerOverrides()

    @field_validator("padding")
    @classmethod
    def _same(cls, padding: Any, info: ValidationInfo) -> Any:
        """A number that says what "same" would do is "same"."""
        if padding is None or not {"kernel", "dilation"} <= info.data.keys():
            return padding
        axes = max((len(size) for size in (*info.data.values(), padding) if isinstance(size, tuple)), default=1)
        sides = same_padding(per_axis(info.data["kernel"], axes), per_axis(info.data["dilation"], axes))
        return None if sides == tuple((pad, pad) for pad in per_axis(padding, axes)) else padding

    def pads(self, axes: int) -> tuple[tuple[int, int], ...]:
        """Pixels added before and after, for each axis."""
        if self.padding is None:
            return same_padding(per_axis(self.kernel, axes), per_axis(self.dilation, axes))
        return tuple((pad, pad) for pad in per_axis(self.padding, axes))


def same_padding(kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """What keeps the size at stride 1; an odd number of pixels has the additional one after, as in torch."""
    totals = [wide * (side - 1) for side, wide in zip(kernel, dilation, strict=False)]
    return tuple((total // 2, total - total // 2) for total in totals)


class Pool(Record):
    """The maximum of each block; `stride` None equals the kernel."""

    kind: ClassVar[str] = "pool"
    kernel: Sizes = 2
    stride: Sizes | None = None
    padding: Pads = 0

    @field_validator("stride")
    @classmethod
    def _as_wide(cls, stride: Any, info: ValidationInfo) -> Any:
        return None if stride == info.data.get("kernel") else stride

    def steps(self, axes: int) -> tuple[int, ...]:
        return per_axis(self.kernel if self.stride is None else self.stride, axes)


class AveragePool(Pool):
    """The mean of each block; padding counts as zeros."""

    kind: ClassVar[str] = "avgpool"


class Subsample(Record):
    """The first pixel of each whole block (top left): a pool that chooses by place and not by value."""

    kind: ClassVar[str] = "pick"
    size: Sizes = 2


class GlobalPool(Record):
    """The mean of each channel over the whole map."""

    kind: ClassVar[str] = "gap"


class Flatten(Record):
    """A map as one row of values (channel, row, column), or these permuted as `permutation` decides, for every run."""

    kind: ClassVar[str] = "flatten"
    permutation: _FromZero | None = None


class Dense(Record):
    """A fully connected layer; a map is flattened before it."""

    kind: ClassVar[str] = "fc"
    units: _FromOne
    own: LayerOverrides = LayerOverrides()


class Dropout(Record):
    """Zeroes a share of the activations while training."""

    kind: ClassVar[str] = "drop"
    share: float = Field(gt=0, lt=1)


class Normalize(Record):
    """A norm on its own, where it does not follow a conv or fc layer."""

    kind: ClassVar[str] = "norm"
    norm: Literal["batch", "layer", "group", "instance"]
    groups: _FromOne | None = None


class Activate(Record):
    """An activation on its own."""

    kind: ClassVar[str] = "act"
    activation: Literal["relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "sigmoid", "tanh"]


class Residual(Record):
    """The layers of `body`, to whose result the input is added, through the layers of `shortcut` if there are any.

    Without any, a shape that changes is met by a 1x1 convolution without activation (or an fc layer). The last layer
    of the body has no activation unless its own; the block's activation follows the sum.
    """

    kind: ClassVar[str] = "res"
    body: tuple["Layer", ...] = Field(min_length=1)
    shortcut: tuple["Layer", ...] = ()
    activation: Activation | None = None


Layer = Conv | AveragePool | Pool | Subsample | GlobalPool | Flatten | Dense | Dropout | Normalize | Activate | Residual


Shape = tuple[int, ...]
SimpleLayer = Conv | Pool | Subsample | GlobalPool | Flatten | Dense | Dropout | Normalize | Activate


def output_shape(layer: SimpleLayer, shape: Shape) -> Shape:
    """The shape after `layer`.

    Raises:
        NetworkError: for a layer that does not fit; it says what came and what would fit.
    """
    match layer:
        case Conv():
            _needs_map(shape)
            _divides(layer, shape)
            pads = layer.pads(len(shape) - 1)
            return (layer.filters, *_slide(shape, layer.kernel, layer.stride, layer.dilation, pads))
        case Pool():
            _needs_map(shape)
            pads = _pool_pads(layer, len(shape) - 1)
            return (shape[0], *_slide(shape, layer.kernel, layer.steps(len(shape) - 1), 1, pads))
        case Subsample():
            _needs_map(shape)
            return (shape[0], *_slide(shape, layer.size, layer.size, 1, ((0, 0),) * (len(shape) - 1)))
        case GlobalPool():
            _needs_map(shape)
            return shape[:1]
        case Flatten():
            return (math.prod(shape),)
        case Dense():
            return (layer.units,)
        case Dropout() | Normalize() | Activate():
            return shape


def text(shape: Shape) -> str:
    """As people write it: 64x32x32."""
    return "x".join(map(str, shape))


def _slide(
    shape: Shape,
    kernel: int | tuple[int, ...],
    stride: int | tuple[int, ...],
    dilation: int | tuple[int, ...],
    pads: tuple[tuple[int, int], ...],
) -> Shape:
    axes = len(shape) - 1
    every = [per_axis(size, axes) for size in (kernel, stride, dilation)]
    for sizes in (*every, pads):
        if len(sizes) != axes:
            raise NetworkError(f"has sizes for {len(sizes)} axes, and the {text(shape)} map has {axes}")
    return tuple(_along(shape, *one) for one in zip(shape[1:], *every, pads, strict=True))


def _along(shape: Shape, side: int, kernel: int, stride: int, dilation: int, pads: tuple[int, int]) -> int:
    wide, room = dilation * (kernel - 1) + 1, side + sum(pads)
    if wide > room:
        spread = f" (dilated to {wide})" if dilation > 1 else ""
        padded = f" (padded to {room})" if sum(pads) else ""
        fits = (room - 1) // dilation + 1
        raise NetworkError(
            f"a {kernel}-wide kernel{spread} does not fit the {text(shape)} map{padded} that reaches it; "
            f"a kernel of {fits} would, or {wide - room} more {'pixel' if wide - room == 1 else 'pixels'} "
            "by padding, or fewer pools and strides before it"
        )
    return (room - wide) // stride + 1


def _pool_pads(layer: Pool, axes: int) -> tuple[tuple[int, int], ...]:
    pads = per_axis(layer.padding, axes)
    # A block that lies in the padding alone has no maximum; torch refuses it too.
    for pad, kernel in zip(pads, per_axis(layer.kernel, axes), strict=False):
        if pad > kernel // 2:
            raise NetworkError(f"a pool is padded by at most half its kernel ({kernel // 2}), got {pad}")
    return tuple((pad, pad) for pad in pads)


def _divides(layer: Conv, shape: Shape) -> None:
    for what, count in (("input channels", shape[0]), ("filters", layer.filters)):
        if count % layer.groups:
            fit = [number for number in range(1, layer.groups + 1) if shape[0] % number == layer.filters % number == 0]
            raise NetworkError(f"{layer.groups} groups do not divide its {count} {what}; {fit[-1]} would")


def _needs_map(shape: Shape) -> None:
    if len(shape) < 2:
        raise NetworkError(f"needs a map of channels x height x width, and what reaches it is flat ({shape[0]} values)")
