"""The layer table of a network and its number of parameters.

A network of the notation needs no torch. A module that somebody else has written is built, and for the table run once.
"""

from striate.nets.config import NetworkConfig
from striate.nets.graph.from_layers import network_graph
from striate.nets.graph.graph import Graph
from striate.nets.layers import Shape
from striate.nets.resolve import resolve
from striate.nets.resolved import all_layers
from striate.nets.summary.table import Table, table


def summarize(network: NetworkConfig, input_shape: Shape, classes: int) -> Table:
    """The table of `network` for images of (channels, height, width).

    Raises:
        NetworkError: for a network that does not fit these images.
    """
    return table(
        _traced(network, input_shape, classes) if network.is_foreign else network_graph(network, input_shape, classes)
    )


def count_parameters(network: NetworkConfig, input_shape: Shape, classes: int) -> int:
    """All weights, biases, scales and shifts of `network`.

    Raises:
        NetworkError: for a network that does not fit images of (channels, height, width).
    """
    if network.is_foreign:
        from striate.nets.pytorch import pretrained

        return pretrained.parameters(network, input_shape, classes)
    return sum(layer.parameters for layer in all_layers(resolve(network, input_shape, classes)))


def _traced(network: NetworkConfig, input_shape: Shape, classes: int) -> Graph:
    """The graph of a module that somebody else has written; its weights do not matter."""
    from striate.nets.pytorch import pretrained
    from striate.nets.pytorch.trace import tracer

    bare = network.replace(pretrained=False, freeze="none")
    return tracer.graph(pretrained.build(bare, input_shape, classes, seed=0), input_shape)
