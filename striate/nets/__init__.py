"""Networks as data: the notation, the records, shapes and costs. `torch_build` makes the torch module."""

from striate.nets.notation import parse, write
from striate.nets.shapes import Row, graph, parameters, rows, taken_out
from striate.nets.spec import NetworkConfig
from striate.nets.zoo import NETWORKS

__all__ = ["NETWORKS", "NetworkConfig", "Row", "graph", "parameters", "parse", "rows", "taken_out", "write"]
