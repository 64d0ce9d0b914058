"""One layer of a network with its name, its shapes and all its settings. Data only."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from striate.nets.layers import Activation, Conv, Dense, Init, Layer, Norm, Shape, per_axis


@dataclass(frozen=True, kw_only=True)
class ResolvedLayer:
    """One layer as every engine builds it.

    `norm` and `activation` are those that follow a conv or fc layer, or that the layer itself is; a residual block has
    an activation after its sum. `bias`, `init` and `zero_bias` mean something for conv and fc only.
    """

    name: str
    layer: Layer  # with `width` and `linear` applied
    input_shape: Shape
    output_shape: Shape
    norm: Norm = "none"
    norm_groups: int = 1
    norm_first: bool = True  # or after the activation
    activation: Activation = "none"
    bias: bool = True
    init: Init = "default"
    zero_bias: bool = False
    body: tuple["ResolvedLayer", ...] = ()
    shortcut: tuple["ResolvedLayer", ...] = ()
    removed_by_linear: tuple[str, ...] = ()  # what `linear` took out of this layer
    is_last: bool = False

    @property
    def weight_shape(self) -> Shape:
        """As in torch: (filters, channels of a group, *kernel) or (units, features); () for a layer without weights."""
        if isinstance(self.layer, Conv):
            kernel = per_axis(self.layer.kernel, len(self.input_shape) - 1)
            return (self.layer.filters, self.input_shape[0] // self.layer.groups, *kernel)
        return (self.layer.units, self.input_shape[0]) if isinstance(self.layer, Dense) else ()

    @property
    def weights(self) -> int:
        """How many weights the layer has, without biases and norm."""
        return math.prod(self.weight_shape) if self.weight_shape else 0

    @property
    def biases(self) -> int:
        """How many biases the layer has."""
        return self.output_shape[0] if self.weight_shape and self.bias else 0

    @property
    def norm_parameters(self) -> int:
        """Scale and shift for each channel."""
        return 0 if self.norm == "none" else 2 * self.output_shape[0]

    @property
    def parameters(self) -> int:
        """Of this layer itself, without those inside a block."""
        return self.weights + self.biases + self.norm_parameters


def all_layers(layers: Iterable[ResolvedLayer]) -> Iterator[ResolvedLayer]:
    """Every layer, in order: before a residual block the layers of its body, then those of its shortcut."""
    for layer in layers:
        yield from all_layers(layer.body)
        yield from all_layers(layer.shortcut)
        yield layer
