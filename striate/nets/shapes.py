"""What comes out of each layer and what it costs, without torch: as rows, as a sum, as a graph.

The names are those that the reports use: conv1, pool1, fc1; the classifier is the last fc. Shapes are
(channels, *spatial) or (features,). A residual block is the rows of its layers and then its own, the sum.
"""

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from striate.nets.config import NetworkConfig
from striate.nets.graph.from_layers import graph_from_layers
from striate.nets.graph.graph import Graph
from striate.nets.layers import Layer, Shape
from striate.nets.resolve import resolve, volume
from striate.nets.resolved import ResolvedLayer

__all__ = ["Row", "Shape", "network_graph", "parameters", "removed_by_linear", "rows"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One layer of a network in place: its name, what it is, its shapes and its parameters."""

    name: str
    layer: Layer
    input_shape: Shape
    output_shape: Shape
    weights: int
    biases: int
    norm_parameters: int  # scale and shift of the norm that follows it
    is_last: bool = False

    @property
    def parameters(self) -> int:
        return self.weights + self.biases + self.norm_parameters


def rows(network: NetworkConfig, input_shape: Shape, classes: int) -> tuple[Row, ...]:
    """Every layer of `network` on an input of (channels, height, width).

    Raises:
        NetworkError: naming the first layer that does not fit and the size that it met.
    """
    return tuple(
        Row(
            name=placed.name,
            layer=placed.layer,
            input_shape=placed.input_shape,
            output_shape=placed.output_shape,
            weights=placed.weights,
            biases=placed.biases,
            norm_parameters=placed.norm_parameters,
            is_last=placed.is_last,
        )
        for placed in _flat(resolve(network, input_shape, classes))
    )


def parameters(network: NetworkConfig, input_shape: Shape, classes: int) -> int:
    """All weights, biases, scales and shifts. For a module that is not ours, torch is imported and counts them."""
    if network.is_foreign:
        # By name: whoever imports this file must not need torch.
        return int(importlib.import_module("striate.nets.pytorch.pretrained").parameters(network, input_shape, classes))
    return sum(row.parameters for row in rows(network, input_shape, classes))


def removed_by_linear(network: NetworkConfig, input_shape: Shape, classes: int) -> tuple[tuple[str, str], ...]:
    """What `linear: true` took out of `network`: (layer, part), in order."""
    return tuple(
        (placed.name, part)
        for placed in _flat(resolve(network, input_shape, classes))
        for part in placed.removed_by_linear
    )


def network_graph(network: NetworkConfig, input_shape: Shape, classes: int) -> Graph:
    """The operations of `network`, norms and activations and sums included, in the order of execution."""
    return graph_from_layers(resolve(network, input_shape, classes), volume(network, input_shape))


def _flat(placed: Sequence[ResolvedLayer]) -> Iterator[ResolvedLayer]:
    for one in placed:
        yield from _flat(one.body)
        yield from _flat(one.shortcut)
        yield one
