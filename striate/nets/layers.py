"""The kinds of layer, as frozen records."""

from typing import ClassVar

from pydantic import Field

from striate.core.records import Record, Whole

_Size = Field(ge=1)


class Conv(Record):
    """A 2D convolution with bias; `padding` None keeps the size at stride 1 ("same": (kernel - 1) / 2 on each side)."""

    kind: ClassVar[str] = "conv"
    filters: Whole = _Size
    kernel: Whole = Field(3, ge=1)
    stride: Whole = Field(1, ge=1)
    padding: Whole | None = Field(None, ge=0)

    @property
    def pad(self) -> int:
        """Pixels added on each side."""
        return (self.kernel - 1) // 2 if self.padding is None else self.padding


class Pool(Record):
    """Max pooling over square blocks; the stride equals the kernel."""

    kind: ClassVar[str] = "pool"
    kernel: Whole = Field(2, ge=1)


class GlobalPool(Record):
    """The mean of each channel over the whole map."""

    kind: ClassVar[str] = "gap"


class Dense(Record):
    """A fully connected layer with bias; a map is flattened before it (channel, row, column)."""

    kind: ClassVar[str] = "fc"
    units: Whole = _Size


class Dropout(Record):
    """Zeroes a share of the activations while training."""

    kind: ClassVar[str] = "drop"
    share: float = Field(gt=0, lt=1)


Layer = Conv | Pool | GlobalPool | Dense | Dropout
