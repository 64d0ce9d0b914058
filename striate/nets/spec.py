"""A network as data: its layers in the notation, and what holds for the whole of it.

No torch here. `shapes` says what comes out of each layer, `torch_build` makes the module.
"""

from functools import cached_property
from typing import ClassVar, Literal

from pydantic import field_validator

from striate.core.records import Record
from striate.nets.layers import Layer
from striate.nets.notation import parse, write

Norm = Literal["none", "batch"]
Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh", "none"]


class NetworkConfig(Record):
    """What a study file says of a network.

    `norm` and `activation` follow every conv layer and every fc layer, in this order, except the classifier:
    an fc layer with one unit per class, appended unless `head` is none (then the last layer gives the logits).
    """

    shorthand: ClassVar[str] = "layers"

    layers: str
    """The layers, in the notation."""
    norm: Norm = "none"
    """The norm after every conv and fc layer but the classifier."""
    activation: Activation = "relu"
    """The activation after it."""
    head: Literal["classifier", "none"] = "classifier"
    """classifier: an fc layer with a unit for each class is appended; none: the last layer gives the logits."""

    @field_validator("layers")
    @classmethod
    def _readable(cls, text: str) -> str:
        return write(parse(text))

    @cached_property
    def parsed(self) -> tuple[Layer, ...]:
        """The layers as records."""
        return parse(self.layers)
