"""Networks as data: the notation, the records, shapes and costs. `torch_build` makes the torch module."""

from striate.nets.config import NetworkConfig
from striate.nets.notation import parse, write
from striate.nets.shapes import Row, network_graph, parameters, removed_by_linear, rows
from striate.nets.zoo import NETWORKS

__all__ = [
    "NETWORKS",
    "NetworkConfig",
    "Row",
    "network_graph",
    "parameters",
    "parse",
    "removed_by_linear",
    "rows",
    "write",
]
