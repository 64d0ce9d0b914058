"""The kinds of layer, as frozen records.

A size is one whole number for all spatial axes or one number an axis; equal numbers are kept as one, so that
two spellings of a layer are one record. What a layer says for itself (`own`) goes before what the network says.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

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


class Own(Record):
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
    own: Own = Own()

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


class Pick(Record):
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
    own: Own = Own()


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


Layer = Conv | AveragePool | Pool | Pick | GlobalPool | Flatten | Dense | Dropout | Normalize | Activate | Residual
