"""The layer table of a network as records: what each layer gives, costs and depends on, with totals.

A row is a layer as the reports count: the norm and the activation that follow a convolution belong to it. Its shape
and its receptive field are those of what leaves the row. Records know no renderer; they can be saved as JSON.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from striate.core.errors import NetworkError
from striate.nets.graph.graph import Graph, Node
from striate.nets.graph.receptive_field import ReceptiveField, ReceptiveFields
from striate.nets.layers import Shape

Kind = Literal["conv", "fc", "norm", "other"]
BYTES = 4  # a float32


@dataclass(frozen=True, kw_only=True)
class LayerRow:
    """One layer; sizes are in bytes, for one image in float32."""

    name: str
    op: str
    output_shape: Shape
    kernel: str
    formula: str  # weights + biases as products
    parameters: int
    neurons: int
    macs: int
    field: ReceptiveField
    activation_bytes: int
    uncounted: tuple[str, ...] = ()  # operators whose multiply-adds are not known, and not in `macs`


@dataclass(frozen=True, kw_only=True)
class Totals:
    """The sums under the table; sizes are in bytes, for one image in float32."""

    parameters: int
    parameters_of: dict[Kind, int]
    unused_parameters: int
    neurons: int
    neurons_of: dict[Kind, int]
    macs: int
    input_bytes: int
    forward_backward_bytes: int
    parameters_bytes: int

    @property
    def total_bytes(self) -> int:
        return self.input_bytes + self.forward_backward_bytes + self.parameters_bytes


@dataclass(frozen=True, kw_only=True)
class LayerTable:
    """The rows and their totals."""

    input_shape: Shape
    rows: tuple[LayerRow, ...]
    totals: Totals

    def to_json(self) -> dict[str, Any]:
        """JSON data that `from_json` reads back as an equal table."""
        data: dict[str, Any] = _adapter().dump_python(self, mode="json", exclude_defaults=True)
        return data

    @property
    def uncounted(self) -> tuple[str, ...]:
        """The layers whose multiply-adds are not all known, with the operators."""
        return tuple(f"{row.name} ({', '.join(row.uncounted)})" for row in self.rows if row.uncounted)

    @classmethod
    def from_json(cls, data: Any) -> "LayerTable":
        """The table that `to_json` wrote; keys of a later version are ignored.

        Raises:
            NetworkError: for data that is not a table, naming the first key that is wrong.
        """
        try:
            return _adapter().validate_python(data)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the whole"
            raise NetworkError(f"not a layer table: {place}: {first['msg']}") from error


@cache
def _adapter() -> TypeAdapter[LayerTable]:
    return TypeAdapter(LayerTable)


def layer_table(graph: Graph) -> LayerTable:
    """The table of `graph`."""
    fields = ReceptiveFields(graph)
    nodes = [node for node in graph.nodes if node.op != "input"]
    rows = tuple(_row([node for node in nodes if node.layer == layer], fields) for layer in graph.layers)
    return LayerTable(input_shape=graph.input_shape, rows=rows, totals=_totals(graph, nodes))


def _row(nodes: Sequence[Node], fields: ReceptiveFields) -> LayerRow:
    # What the layer is named for, even where something (padding) comes before it in the row.
    main = max(nodes, key=lambda node: (node.op in ("conv", "fc"), bool(node.kernel)))
    return LayerRow(
        name=main.layer,
        op=main.op,
        output_shape=nodes[-1].output_shape,
        kernel=_kernel(main),
        formula=" + ".join(filter(None, map(_formula, nodes))),
        parameters=sum(node.parameters for node in nodes),
        neurons=sum(map(_neurons, nodes)),
        macs=sum(node.macs for node in nodes),
        field=fields.of(nodes[-1].name),
        activation_bytes=_activation_bytes(nodes),
        uncounted=tuple(dict.fromkeys(name for node in nodes for name in node.uncounted)),
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
        input_bytes=BYTES * math.prod(graph.input_shape),
        # Once for the value and once for its gradient.
        forward_backward_bytes=2 * _activation_bytes(nodes),
        parameters_bytes=BYTES * parameters,
    )


def _kind(node: Node) -> Kind:
    return node.op if node.op in ("conv", "fc", "norm") else "other"


def _by_kind(counts: Iterable[tuple[Kind, int]]) -> dict[Kind, int]:
    """The sum for each kind; conv and fc also where it is 0."""
    sums: dict[Kind, int] = {}
    for kind, count in counts:
        sums[kind] = sums.get(kind, 0) + count
    return {kind: count for kind, count in sums.items() if count or kind in ("conv", "fc")}


def _neurons(node: Node) -> int:
    return node.size if node.op in ("conv", "fc") else 0


def _activation_bytes(nodes: Iterable[Node]) -> int:
    # An activation function can overwrite its input, and the count that the reports give leaves it out.
    return BYTES * sum(node.size for node in nodes if node.op != "activation")


def _kernel(node: Node) -> str:
    """3x3, followed by what is not the default: s stride, d dilation, g groups."""
    if not node.kernel or node.op == "pad":
        return ""
    default = node.kernel if node.op in ("pool", "avgpool") else (1,) * len(node.kernel)
    stride = f" s{_sides(node.stride)}" if node.stride != default else ""
    dilation = f" d{_sides(node.dilation)}" if set(node.dilation) != {1} else ""
    groups = f" g{node.groups}" if node.groups > 1 else ""
    return f"{'x'.join(map(str, node.kernel))}{stride}{dilation}{groups}"


def _sides(sides: tuple[int, ...]) -> str:
    return str(sides[0]) if len(set(sides)) == 1 else "x".join(map(str, sides))


def _formula(node: Node) -> str:
    """64 x 3 x 3 x 3 + 64; of a norm 2 x 64; of weights that an earlier layer has counted, shared."""
    if not node.parameters:
        return "shared" if node.weight_shape and node.op in ("conv", "fc") else ""
    if node.op == "norm" and node.weights == node.biases:
        return f"2 x {node.weights}"
    product = " x ".join(map(str, node.weight_shape))
    weights = product if math.prod(node.weight_shape) == node.weights else str(node.weights)
    return " + ".join(part for part, count in ((weights, node.weights), (str(node.biases), node.biases)) if count)
