"""The table of a network as data: without torch for what we build, by running it once for what somebody else has built."""

import importlib
from typing import Any

from striate.nets.config import NetworkConfig
from striate.nets.graph.graph import Graph, Shape
from striate.nets.shapes import network_graph
from striate.nets.summary.table import Table, table


def summarize(network: NetworkConfig, input_shape: Shape, classes: int) -> Table:
    """The table of `network` for images of (channels, height, width).

    Raises:
        NetworkError: for a network that does not fit these images.
    """
    return table(
        _traced(network, input_shape, classes) if network.is_foreign else network_graph(network, input_shape, classes)
    )


def _traced(network: NetworkConfig, input_shape: Shape, classes: int) -> Graph:
    # By name: whoever imports this file must not need torch. Nothing in the table depends on the weights.
    bare = network.replace(pretrained=False, freeze="none")
    module: Any = importlib.import_module("striate.nets.pytorch.pretrained").build(bare, input_shape, classes, seed=0)
    found: Graph = importlib.import_module("striate.nets.pytorch.trace.tracer").graph(module, input_shape)
    return found
