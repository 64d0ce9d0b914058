"""A network in place, as a graph of operations: what the table and the receptive fields are read from.

Two ways lead here, and neither is visible afterwards: `shapes` makes a graph from the notation without torch,
`traced` makes one from any torch module by running it once. A graph is checked when made: names are unique, each
input is an earlier node, and what describes a window does so for every axis.

Shapes are (channels, *spatial) or (features,), without the batch. `layer` groups nodes into the rows of the
table: the norm and the activation of conv1 belong to conv1; a flatten, a dropout, an add and a concat that joins
branches are layers of their own. Own parameters are counted where they are first used: a node that shares its
weights with an earlier one has `weights` and `biases` 0, and its `weight_shape` all the same, because it multiplies
by them again.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

from striate.core.errors import NetworkError

Shape = tuple[int, ...]
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
# How far the promise of a receptive field through this node goes; `receptive` says what each means.
Certainty = Literal["exact", "upper bound", "depends on the data"]
# For each position along one axis, the (start, stop) that it reads of the axis before.
Windows = tuple[tuple[int, int], ...]


@dataclass(frozen=True, kw_only=True)
class Node:
    """One operation: where its values come from, what it makes of them, what it costs.

    `kernel`, `stride`, `dilation` and `padding` (before, after) are per spatial axis. `windows` replaces them where
    the windows are not alike (adaptive pools, reflected padding). `whole` marks a node whose every value depends on
    every position of its inputs though its op does not say so: layer, group and instance norm. (Batch norm does not
    mix positions once trained.) An fc of output (features,) reads all of its input; one whose output keeps the
    spatial axes is applied at each position apart. A flatten in a permuted order is `whole` too: where its
    values come from is not in the graph. An op that is not known is "other", `whole` and an "upper bound"; "other"
    without these and without a window takes each position from the same position. `groups` is also the
    number of groups of a norm.
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
    weight_shape: tuple[int, ...] = ()  # as torch has it and the reports write it: filters x channels x rows x columns
    products: int = 0  # multiply-adds of activations with activations (attention); those with weights follow from above

    def __post_init__(self) -> None:
        assert self.op in get_args(Op), f"node {self.name}: unknown op {self.op}"
        axes = {len(part) for part in (self.kernel, self.stride, self.dilation, self.padding)}
        assert axes in ({0}, {self.axes}), f"node {self.name}: kernel, stride, dilation, padding need one entry an axis"
        assert len(self.windows) in (0, self.axes), f"node {self.name}: windows need one entry an axis"

    @property
    def axes(self) -> int:
        """Spatial axes of the output."""
        return len(self.output_shape) - 1

    @property
    def parameters(self) -> int:
        return self.weights + self.biases

    @property
    def size(self) -> int:
        """How many values come out for one image."""
        return math.prod(self.output_shape)

    @property
    def macs(self) -> int:
        """Multiply-adds for one image: of convolutions, fc and matrix products; all else counts 0."""
        if self.op == "conv":
            return math.prod(self.weight_shape) * math.prod(self.output_shape[1:]) + self.products
        if self.op == "fc":
            # An fc that is applied at every position multiplies once at each.
            return math.prod(self.weight_shape) * (self.size // self.weight_shape[0]) + self.products
        return self.products


@dataclass(frozen=True, kw_only=True)
class Graph:
    """Nodes in the order of execution, from the one input to the one output."""

    nodes: tuple[Node, ...]
    output: str
    unused_parameters: int = 0  # of a module, in no operation of this pass (a head that is for training only)

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for node in self.nodes:
            if node.name in seen:
                raise NetworkError(f"graph: two nodes are called '{node.name}'; names must differ")
            missing = [name for name in node.inputs if name not in seen]
            if missing:
                raise NetworkError(f"graph: node '{node.name}' reads '{missing[0]}', and no earlier node has this name")
            if (node.op == "input") != (not node.inputs):
                raise NetworkError(f"graph: node '{node.name}' ({node.op}): the input reads nothing and all else reads")
            seen.add(node.name)
        if [node.op for node in self.nodes].count("input") != 1 or self.nodes[0].op != "input":
            raise NetworkError("graph: the first node, and no other, must be the input")
        if self.output not in seen:
            raise NetworkError(f"graph: the output '{self.output}' is not a node of it")

    @property
    def input_shape(self) -> Shape:
        return self.nodes[0].output_shape

    @cached_property
    def _named(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    def __getitem__(self, name: str) -> Node:
        """The node called `name`."""
        if name not in self._named:
            raise NetworkError(f"graph: there is no node '{name}'; there are: {', '.join(self._named)}")
        return self._named[name]

    def __contains__(self, name: object) -> bool:
        return name in self._named

    @property
    def layers(self) -> tuple[str, ...]:
        """The rows of the table, in order, without the input."""
        return tuple(dict.fromkeys(node.layer for node in self.nodes if node.op != "input"))
