"""The kinds of layer as frozen records, and the shape that comes out of each.

A size is one whole number for all spatial axes or one number per axis; equal numbers are kept as one, so that two
spellings of a layer are one record. Nothing here depends on the network around a layer.
"""

import math
from collections.abc import Sequence
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
# (channels, *spatial) of a map, or (features,); without the batch.
Shape = tuple[int, ...]

# The largest kernel, stride, dilation or padding; more is a typing mistake, and would take hours to count.
MAX_SIZE = 10_000


def _one_or_per_axis(value: int | tuple[int, ...]) -> int | tuple[int, ...]:
    if isinstance(value, int):
        return value
    if not 2 <= len(value) <= 3:
        raise ValueError("one number, or one for each of 2 or 3 axes")
    return value[0] if len(set(value)) == 1 else value


_Positive = Annotated[Whole, Field(ge=1)]
_NotNegative = Annotated[Whole, Field(ge=0)]
_Size = Annotated[Whole, Field(ge=1, le=MAX_SIZE)]
_Pad = Annotated[Whole, Field(ge=0, le=MAX_SIZE)]
Sizes = Annotated[_Size | tuple[_Size, ...], AfterValidator(_one_or_per_axis)]
Pads = Annotated[_Pad | tuple[_Pad, ...], AfterValidator(_one_or_per_axis)]


def per_axis(size: int | tuple[int, ...], axes: int) -> tuple[int, ...]:
    """One number per axis; a tuple of another length is returned as it is, for the caller to refuse."""
    return (size,) * axes if isinstance(size, int) else size


class LayerOverrides(Record):
    """What one conv or fc layer sets for itself; None means the network's value."""

    norm: Norm | None = None
    norm_groups: _Positive | None = None
    norm_position: Position | None = None
    activation: Activation | None = None
    init: Init | None = None
    bias: Flag | None = None
    zero_bias: Flag | None = None


class Conv(Record):
    """A convolution. `padding` None is "same": dilation x (kernel - 1) pixels in all, an odd one after the image.

    At stride 1 that keeps the size. It does not depend on the stride, as is usual in PyTorch code.
    """

    kind: ClassVar[str] = "conv"
    filters: _Positive
    kernel: Sizes = 3
    stride: Sizes = 1
    dilation: Sizes = 1
    groups: _Positive = 1
    padding: Pads | None = None
    overrides: LayerOverrides = LayerOverrides()

    @field_validator("padding")
    @classmethod
    def _same(cls, padding: Any, info: ValidationInfo) -> Any:
        """Numbers that equal "same" padding become None."""
        if padding is None or not {"kernel", "dilation"} <= info.data.keys():
            return padding
        axes = max((len(size) for size in (*info.data.values(), padding) if isinstance(size, tuple)), default=1)
        sides = same_padding(per_axis(info.data["kernel"], axes), per_axis(info.data["dilation"], axes))
        return None if sides == tuple((pad, pad) for pad in per_axis(padding, axes)) else padding

    def pads(self, axes: int) -> tuple[tuple[int, int], ...]:
        """Pixels added before and after the map, for each axis."""
        if self.padding is None:
            return same_padding(per_axis(self.kernel, axes), per_axis(self.dilation, axes))
        return tuple((pad, pad) for pad in per_axis(self.padding, axes))


def same_padding(kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Pixels before and after that keep the size at stride 1; of an odd number the additional one is after, as in torch."""
    totals = [step * (side - 1) for side, step in zip(kernel, dilation, strict=False)]
    return tuple((total // 2, total - total // 2) for total in totals)


class Pool(Record):
    """The maximum of each block; `stride` None equals the kernel."""

    kind: ClassVar[str] = "pool"
    kernel: Sizes = 2
    stride: Sizes | None = None
    padding: Pads = 0

    @field_validator("stride")
    @classmethod
    def _default_stride(cls, stride: Any, info: ValidationInfo) -> Any:
        """A stride that equals the kernel becomes None."""
        return None if stride == info.data.get("kernel") else stride

    def strides(self, axes: int) -> tuple[int, ...]:
        """The stride along each axis."""
        return per_axis(self.kernel if self.stride is None else self.stride, axes)


class AveragePool(Pool):
    """The mean of each block; padding counts as zeros."""

    kind: ClassVar[str] = "avgpool"


class Subsample(Record):
    """The first pixel of each whole block (top left), whatever its value."""

    kind: ClassVar[str] = "pick"
    size: Sizes = 2


class GlobalPool(Record):
    """The mean of each channel over the whole map."""

    kind: ClassVar[str] = "gap"


class Flatten(Record):
    """A map as one row of values (channel, row, column), or in the fixed random order number `permutation`."""

    kind: ClassVar[str] = "flatten"
    permutation: _NotNegative | None = None


class Dense(Record):
    """A fully connected layer; a map is flattened before it."""

    kind: ClassVar[str] = "fc"
    units: _Positive
    overrides: LayerOverrides = LayerOverrides()


class Dropout(Record):
    """Sets a share of the activations to zero in training."""

    kind: ClassVar[str] = "drop"
    share: float = Field(gt=0, lt=1)


class Normalize(Record):
    """A norm as a layer, where it does not follow a conv or fc layer."""

    kind: ClassVar[str] = "norm"
    norm: Literal["batch", "layer", "group", "instance"]
    groups: _Positive | None = None


class Activate(Record):
    """An activation as a layer."""

    kind: ClassVar[str] = "act"
    activation: Literal["relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "sigmoid", "tanh"]


class Residual(Record):
    """The result of the layers of `body` plus the input, which goes through the layers of `shortcut` if there are any.

    Where there are none and the shape changes, the shortcut is a 1x1 convolution (or an fc layer) without activation.
    The last layer of the body has an activation only if it sets one for itself; `activation` follows the sum.
    """

    kind: ClassVar[str] = "res"
    body: tuple["Layer", ...] = Field(min_length=1)
    shortcut: tuple["Layer", ...] = ()
    activation: Activation | None = None


SimpleLayer = Conv | AveragePool | Pool | Subsample | GlobalPool | Flatten | Dense | Dropout | Normalize | Activate
Layer = SimpleLayer | Residual


def output_shape(layer: SimpleLayer, shape: Shape) -> Shape:
    """The shape after `layer` of an input of `shape`.

    Raises:
        NetworkError: for a layer that does not fit, with the shape of its input and what would fit.
    """
    match layer:
        case Conv():
            _require_map(shape)
            _check_groups(layer, shape)
            pads = layer.pads(len(shape) - 1)
            return (layer.filters, *_slide(shape, layer.kernel, layer.stride, layer.dilation, pads))
        case Pool():
            _require_map(shape)
            pads = _pool_pads(layer, len(shape) - 1)
            return (shape[0], *_slide(shape, layer.kernel, layer.strides(len(shape) - 1), 1, pads))
        case Subsample():
            _require_map(shape)
            return (shape[0], *_slide(shape, layer.size, layer.size, 1, ((0, 0),) * (len(shape) - 1)))
        case GlobalPool():
            _require_map(shape)
            return shape[:1]
        case Flatten():
            return (math.prod(shape),)
        case Dense():
            return (layer.units,)
        case Dropout() | Normalize() | Activate():
            return shape


def shape_text(shape: Sequence[int]) -> str:
    """64x32x32."""
    return "x".join(map(str, shape))


def largest_divisor(number: int, limit: int) -> int:
    """The largest divisor of `number` that is not above `limit`."""
    low = [divisor for divisor in range(1, math.isqrt(number) + 1) if number % divisor == 0]
    return max(
        divisor for pair in zip(low, (number // d for d in low), strict=True) for divisor in pair if divisor <= limit
    )


def _slide(
    shape: Shape,
    kernel: int | tuple[int, ...],
    stride: int | tuple[int, ...],
    dilation: int | tuple[int, ...],
    pads: tuple[tuple[int, int], ...],
) -> Shape:
    """The sides of the map that a window slid over `shape` gives."""
    axes = len(shape) - 1
    windows = [per_axis(size, axes) for size in (kernel, stride, dilation)]
    for sizes in (*windows, pads):
        if len(sizes) != axes:
            raise NetworkError(f"has sizes for {len(sizes)} axes, and the {shape_text(shape)} map has {axes}")
    return tuple(_slide_axis(shape, *axis) for axis in zip(shape[1:], *windows, pads, strict=True))


def _slide_axis(shape: Shape, side: int, kernel: int, stride: int, dilation: int, pads: tuple[int, int]) -> int:
    span, room = dilation * (kernel - 1) + 1, side + sum(pads)
    if span > room:
        dilated = f" (dilated to {span})" if dilation > 1 else ""
        padded = f" (padded to {room})" if sum(pads) else ""
        largest_fit = (room - 1) // dilation + 1
        raise NetworkError(
            f"a {kernel}-wide kernel{dilated} does not fit the {shape_text(shape)} map{padded} that reaches it; "
            f"a kernel of {largest_fit} would, or {span - room} more {'pixel' if span - room == 1 else 'pixels'} "
            "by padding, or fewer pools and strides before it"
        )
    return (room - span) // stride + 1


def _pool_pads(layer: Pool, axes: int) -> tuple[tuple[int, int], ...]:
    pads = per_axis(layer.padding, axes)
    # A block that lies in the padding alone has no maximum; torch refuses it too.
    for pad, kernel in zip(pads, per_axis(layer.kernel, axes), strict=False):
        if pad > kernel // 2:
            raise NetworkError(f"a pool is padded by at most half its kernel ({kernel // 2}), got {pad}")
    return tuple((pad, pad) for pad in pads)


def _check_groups(layer: Conv, shape: Shape) -> None:
    for name, count in (("input channels", shape[0]), ("filters", layer.filters)):
        if count % layer.groups:
            largest_fit = largest_divisor(math.gcd(shape[0], layer.filters), layer.groups)
            raise NetworkError(f"{layer.groups} groups do not divide its {count} {name}; {largest_fit} would")


def _require_map(shape: Shape) -> None:
    if len(shape) < 2:
        raise NetworkError(f"needs a map of channels x height x width, and its input is flat ({shape[0]} values)")
