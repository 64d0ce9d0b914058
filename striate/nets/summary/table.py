"""The table of a network: what each layer gives, costs and sees, with totals. No torch.

A row is a layer as the reports count: the norm and the activation that follow a convolution belong to it. Its shape
and its receptive field are those of what leaves the row. `table_columns` defines every column; `text`, `_repr_html_`
and `json` all read from there, so what is shown always stands beside what it means.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from striate.nets.graph.graph import Graph, Node, Shape
from striate.nets.graph.receptive_field import Field, ReceptiveFields
from striate.nets.summary import columns as table_columns
from striate.nets.summary import render as table_html
from striate.nets.summary import render as table_text

Kind = Literal["conv", "fc", "norm", "other"]
BYTES = 4  # a float32
MB = 2**20


@dataclass(frozen=True, kw_only=True)
class Row:
    """One layer."""

    name: str
    op: str
    output_shape: Shape
    kernel: str
    written: str  # weights + biases as products
    parameters: int
    neurons: int
    macs: int
    field: Field
    activation_bytes: int


@dataclass(frozen=True, kw_only=True)
class Totals:
    """The sums under the table; sizes are for one image in float32."""

    parameters: int
    parameters_of: dict[Kind, int]
    unused_parameters: int
    neurons: int
    neurons_of: dict[Kind, int]
    macs: int
    input_mb: float
    forward_backward_mb: float
    parameters_mb: float

    @property
    def total_mb(self) -> float:
        return self.input_mb + self.forward_backward_mb + self.parameters_mb


@dataclass(frozen=True, kw_only=True)
class Table:
    """The rows and their totals."""

    input_shape: Shape
    rows: tuple[Row, ...]
    totals: Totals

    def text(self, width: int = 160, *, color: bool = False, legend: bool = True) -> str:
        """For a terminal of `width` columns: in one piece, or in two where that is too narrow."""
        return table_text.render_text(self, width, color, legend)

    def _repr_html_(self) -> str:
        return table_html.render_html(self)

    def json(self) -> dict[str, Any]:
        """Plain data, with the definitions."""
        return table_columns.plain(self)


def table(graph: Graph) -> Table:
    """The table of `graph`."""
    fields = ReceptiveFields(graph)
    nodes = [node for node in graph.nodes if node.op != "input"]
    rows = tuple(_row([node for node in nodes if node.layer == layer], fields) for layer in graph.layers)
    return Table(input_shape=graph.input_shape, rows=rows, totals=_totals(graph, nodes))


def _row(nodes: Sequence[Node], fields: ReceptiveFields) -> Row:
    # What the layer is named for, even where something (padding) comes before it in the row.
    main = max(nodes, key=lambda node: (node.op in ("conv", "fc"), bool(node.kernel)))
    return Row(
        name=main.layer,
        op=main.op,
        output_shape=nodes[-1].output_shape,
        kernel=_kernel(main),
        written=" + ".join(filter(None, map(_written, nodes))),
        parameters=sum(node.parameters for node in nodes),
        neurons=sum(map(_neurons, nodes)),
        macs=sum(node.macs for node in nodes),
        field=fields.of(nodes[-1].name),
        activation_bytes=_activation_bytes(nodes),
    )


def _totals(graph: Graph, nodes: Sequence[Node]) -> Totals:
    parameters = sum(node.parameters for node in nodes) + graph.unused_parameters
    return Totals(
        parameters=parameters,
        parameters_of=_by_kind((_kind(node), node.parameters) for node in nodes),
        unused_parameters=graph.unused_parameters,
        neurons=sum(map(_neurons, nodes)),
        neurons_of=_by_kind((_kind(node), _neurons(node)) for node in nodes),
        macs=sum(node.macs for node in nodes),
        input_mb=math.prod(graph.input_shape) * BYTES / MB,
        # Once for the value and once for its gradient.
        forward_backward_mb=2 * _activation_bytes(nodes) / MB,
        parameters_mb=parameters * BYTES / MB,
    )


def _kind(node: Node) -> Kind:
    return node.op if node.op in ("conv", "fc", "norm") else "other"


def _by_kind(counted: Iterable[tuple[Kind, int]]) -> dict[Kind, int]:
    found: dict[Kind, int] = {}
    for kind, count in counted:
        found[kind] = found.get(kind, 0) + count
    return {kind: count for kind, count in found.items() if count or kind in ("conv", "fc")}


def _neurons(node: Node) -> int:
    return node.size if node.op in ("conv", "fc") else 0


def _activation_bytes(nodes: Iterable[Node]) -> int:
    # An activation function can overwrite its input, and the count that the reports give leaves it out.
    return BYTES * sum(node.size for node in nodes if node.op != "activation")


def _kernel(node: Node) -> str:
    """3x3, with what is not as usual: s stride, d dilation, g groups."""
    if not node.kernel or node.op == "pad":
        return ""
    usual = node.kernel if node.op in ("pool", "avgpool") else (1,) * len(node.kernel)
    stride = f" s{_sides(node.stride)}" if node.stride != usual else ""
    dilation = f" d{_sides(node.dilation)}" if set(node.dilation) != {1} else ""
    groups = f" g{node.groups}" if node.groups > 1 else ""
    return f"{'x'.join(map(str, node.kernel))}{stride}{dilation}{groups}"


def _sides(sides: tuple[int, ...]) -> str:
    return str(sides[0]) if len(set(sides)) == 1 else "x".join(map(str, sides))


def _written(node: Node) -> str:
    """64 x 3 x 3 x 3 + 64; of a norm 2 x 64; of weights that an earlier layer has counted, shared."""
    if not node.parameters:
        return "shared" if node.weight_shape and node.op in ("conv", "fc") else ""
    if node.op == "norm" and node.weights == node.biases:
        return f"2 x {node.weights}"
    product = " x ".join(map(str, node.weight_shape))
    weights = product if math.prod(node.weight_shape) == node.weights else str(node.weights)
    return " + ".join(part for part, count in ((weights, node.weights), (str(node.biases), node.biases)) if count)
