"""Networks as data: the notation, the records, shapes and costs. `torch_build` makes the torch module."""

from striate.nets.notation import parse, write
from striate.nets.shapes import Row, parameters, rows
from striate.nets.spec import NetworkConfig

__all__ = ["NetworkConfig", "Row", "parameters", "parse", "rows", "write"]
