"""The layer table of a network and its number of parameters.

A network of the notation needs no torch. A module that somebody else has written is built, and for the table run once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from striate.nets.config import NetworkConfig
from striate.nets.graph.from_layers import network_graph
from striate.nets.graph.graph import Graph
from striate.nets.layers import Shape
from striate.nets.resolve import resolve
from striate.nets.resolved import all_layers
from striate.nets.summary.columns import legend
from striate.nets.summary.render import render_html, render_text
from striate.nets.summary.table import LayerTable, layer_table


@dataclass(frozen=True)
class NetworkSummary:
    """A layer table that can be printed, and that a notebook shows as HTML."""

    table: LayerTable

    def text(self, width: int = 160, *, color: bool = False, legend: bool = False) -> str:
        """The table for a terminal of `width` columns; with `legend`, also what each column means."""
        return render_text(self.table, width, color=color, with_legend=legend)

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return render_html(self.table)

    def json(self) -> dict[str, Any]:
        """The table as JSON data, with what each column means."""
        data = self.table.to_json()
        data["totals"]["total_bytes"] = self.table.totals.total_bytes
        return {**data, "meaning": {name.strip(): meaning for name, meaning in legend()}}


def summarize(network: NetworkConfig, input_shape: Shape, classes: int) -> NetworkSummary:
    """The layer table of `network` for images of (channels, height, width).

    Raises:
        NetworkError: for a network that does not fit these images.
    """
    if network.is_foreign:
        return summarize_graph(_traced(network, input_shape, classes))
    return summarize_graph(network_graph(network, input_shape, classes))


def summarize_graph(graph: Graph) -> NetworkSummary:
    """The layer table of a graph, as `striate.nets.pytorch.trace.tracer.trace` makes it of any torch module."""
    return NetworkSummary(layer_table(graph))


def count_parameters(
    network: NetworkConfig, input_shape: Shape, classes: int, note: Callable[[str], None] = lambda _: None
) -> int:
    """All weights, biases, scales and shifts of `network`. `note` is told what of a file of weights is not used as it is.

    Raises:
        NetworkError: for a network that does not fit images of (channels, height, width).
    """
    if network.is_foreign:
        from striate.nets.pytorch import pretrained

        return pretrained.count_parameters(network, input_shape, classes, note)
    return sum(layer.parameters for layer in all_layers(resolve(network, input_shape, classes)))


def _traced(network: NetworkConfig, input_shape: Shape, classes: int) -> Graph:
    """The graph of a module that somebody else has written; its weights do not matter."""
    from striate.nets.pytorch import pretrained
    from striate.nets.pytorch.trace.tracer import trace

    bare = network.replace(pretrained=False, freeze="none")
    return trace(pretrained.build(bare, input_shape, classes, seed=0), input_shape)
