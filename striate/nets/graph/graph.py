"""A network as a graph of operations, from which the layer table and the receptive fields are computed.

`from_layers` makes a graph from the notation without torch, `pytorch.trace` makes one from any torch module by running
it once; the graph does not show which. It is checked when made: names are unique, each input is an earlier node, and
windows have one entry per axis.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

from striate.core.errors import NetworkError
from striate.nets.layers import Shape

Op = Literal[
    "input",
    "conv",
    "pool",  # max
    "avgpool",
    "pick",  # one pixel of each block: a window of 1
    "gap",
    "flatten",
    "fc",
    "norm",
    "activation",
    "dropout",
    "add",  # and subtract
    "multiply",  # and divide
    "concat",  # along the channels
    "pad",  # and crop: negative padding
    "other",
]
# What a receptive field through this node promises; `receptive_field` defines each.
Certainty = Literal["exact", "upper bound", "depends on the data"]
# For each position along one axis, the (start, stop) that it reads of the axis before.
Windows = tuple[tuple[int, int], ...]


@dataclass(frozen=True, kw_only=True)
class Node:
    """One operation: its inputs, its output and its cost.

    `layer` is the row of the table that the node belongs to: the norm and the activation of conv1 belong to conv1; a
    flatten, a dropout, an add and a concat that joins branches are layers of their own.

    `kernel`, `stride`, `dilation` and `padding` (before, after) are per spatial axis. `windows` replaces them where
    the windows are not alike (adaptive pools, reflected padding). `groups` is also the number of groups of a norm.

    `whole` marks a node whose every value depends on every position of its inputs, beyond what its op implies: layer,
    group and instance norm (batch norm does not mix positions once trained), and a flatten in a permuted order. An fc
    with output (features,) reads all of its input; one whose output keeps the spatial axes is applied at each
    position. An unknown operation is "other", `whole` and an "upper bound"; "other" without these and without a
    window takes each position from the same position.

    Parameters are counted where they are first used: a node that shares its weights with an earlier one has `weights`
    and `biases` 0, and still its `weight_shape`, because it multiplies by them again.
    """

    name: str
    op: Op
    inputs: tuple[str, ...] = ()
    output_shape: Shape
    layer: str
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    padding: tuple[tuple[int, int], ...] = ()
    windows: tuple[Windows, ...] = ()
    groups: int = 1
    whole: bool = False
    certainty: Certainty = "exact"
    weights: int = 0
    biases: int = 0
    weight_shape: Shape = ()  # in torch's order: filters x channels x rows x columns
    products: int = 0  # multiply-adds of activations with activations (attention), beside those with weights
    uncounted: tuple[str, ...] = ()  # operators in it whose multiply-adds are not known

    def __post_init__(self) -> None:
        assert self.op in get_args(Op), f"node {self.name}: unknown op {self.op}"
        axes = {len(part) for part in (self.kernel, self.stride, self.dilation, self.padding)}
        assert axes in ({0}, {self.axes}), (
            f"node {self.name}: kernel, stride, dilation, padding need one entry per axis"
        )
        assert len(self.windows) in (0, self.axes), f"node {self.name}: windows need one entry per axis"

    @property
    def axes(self) -> int:
        """Spatial axes of the output."""
        return len(self.output_shape) - 1

    @property
    def parameters(self) -> int:
        return self.weights + self.biases

    @property
    def size(self) -> int:
        """The number of output values for one image."""
        return math.prod(self.output_shape)

    @property
    def macs(self) -> int:
        """Multiply-adds for one image: of convolutions, fc and matrix products; all else counts 0."""
        if self.op == "conv":
            return math.prod(self.weight_shape) * math.prod(self.output_shape[1:]) + self.products
        if self.op == "fc":
            # Applied at every position, it multiplies once at each.
            return math.prod(self.weight_shape) * (self.size // self.weight_shape[0]) + self.products
        return self.products


@dataclass(frozen=True, kw_only=True)
class Graph:
    """Nodes in the order of execution, from the one input to the one output."""

    nodes: tuple[Node, ...]
    output: str
    unused_parameters: int = 0  # of a module, in no operation of this forward pass (a head for training only)

    def __post_init__(self) -> None:
        earlier: set[str] = set()
        for node in self.nodes:
            if node.name in earlier:
                raise NetworkError(f"graph: two nodes are called '{node.name}'; names must differ")
            missing = [name for name in node.inputs if name not in earlier]
            if missing:
                raise NetworkError(f"graph: node '{node.name}' reads '{missing[0]}', and no earlier node has this name")
            if (node.op == "input") != (not node.inputs):
                raise NetworkError(
                    f"graph: node '{node.name}' ({node.op}): the input has no inputs, every other node has"
                )
            earlier.add(node.name)
        if [node.op for node in self.nodes].count("input") != 1 or self.nodes[0].op != "input":
            raise NetworkError("graph: the first node, and no other, must be the input")
        if self.output not in earlier:
            raise NetworkError(f"graph: the output '{self.output}' is not a node of it")

    @property
    def input_shape(self) -> Shape:
        return self.nodes[0].output_shape

    @cached_property
    def _by_name(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    def __getitem__(self, name: str) -> Node:
        """The node called `name`."""
        if name not in self._by_name:
            raise NetworkError(f"graph: no node '{name}'; the nodes are {', '.join(self._by_name)}")
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    @property
    def layers(self) -> tuple[str, ...]:
        """The rows of the table, in order, without the input."""
        return tuple(dict.fromkeys(node.layer for node in self.nodes if node.op != "input"))
