"""A network as a graph of operations, without torch: each norm, activation and sum is a node, named as the torch module is."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from striate.nets.config import NetworkConfig
from striate.nets.graph.graph import Graph, Node, Op
from striate.nets.layers import Activate, Conv, Flatten, Normalize, Pool, Shape, Subsample, per_axis
from striate.nets.resolve import resolve, volume
from striate.nets.resolved import ResolvedLayer

_OPS: dict[str, Op] = {
    "conv": "conv",
    "pool": "pool",
    "avgpool": "avgpool",
    "pick": "pick",
    "gap": "gap",
    "flatten": "flatten",
    "fc": "fc",
    "drop": "dropout",
}


def network_graph(network: NetworkConfig, input_shape: Shape, classes: int) -> Graph:
    """The operations of `network` on images of (channels, height, width), from the input to the logits.

    Raises:
        NetworkError: for a network that does not fit these images, or a module that somebody else has written.
    """
    nodes = [Node(name="input", op="input", output_shape=volume(network, input_shape), layer="input")]
    _extend(nodes, resolve(network, input_shape, classes), "input")
    return Graph(nodes=tuple(nodes), output=nodes[-1].name)


def _extend(nodes: list[Node], placed: Sequence[ResolvedLayer], before: str) -> str:
    """Append the nodes of `placed`, which reads from `before`; the name of the last."""
    for one in placed:
        if isinstance(one.layer, Normalize | Activate):
            if (one.norm, one.activation) == ("none", "none"):
                continue  # what `linear` took out is no operation
            nodes.append(_alone(one, next(node for node in nodes if node.name == before)))
        elif one.body:
            inputs = (_extend(nodes, one.body, before), _extend(nodes, one.shortcut, before))
            add = f"{one.name}.add"
            nodes.append(Node(name=add, op="add", inputs=inputs, output_shape=one.output_shape, layer=one.name))
            _follow(nodes, one, f"{one.name}.")
        else:
            nodes.append(_node(one, before))
            _follow(nodes, one, f"{one.name}_")
        before = nodes[-1].name
    return before


def _alone(one: ResolvedLayer, before: Node) -> Node:
    """A norm or an activation that is a layer. Its row is that of the layer it follows, as in a traced module."""
    op: Op = "norm" if one.norm != "none" else "activation"
    follows = before.op != "input" and (op == "activation" or before.op in {"conv", "fc", "activation"})
    return replace(_after(one, op, one.name, before.name), layer=before.layer if follows else one.name)


def _follow(nodes: list[Node], one: ResolvedLayer, prefix: str) -> None:
    """Append the norm and the activation, in their order."""
    steps: list[tuple[Op, str]] = [("norm", one.norm), ("activation", one.activation)]
    for op, which in steps if one.norm_first else reversed(steps):
        if which != "none":
            nodes.append(_after(one, op, f"{prefix}{op}", nodes[-1].name))


def _after(one: ResolvedLayer, op: Op, name: str, before: str) -> Node:
    half = one.norm_parameters // 2 if op == "norm" else 0
    return Node(
        name=name,
        op=op,
        inputs=(before,),
        output_shape=one.output_shape,
        layer=one.name,
        # Batch norm is a scale and a shift once trained; the others take their means from the image at hand.
        whole=op == "norm" and one.norm not in {"none", "batch"},
        weights=half,
        biases=half,
        weight_shape=(half,) if half else (),
    )


def _node(one: ResolvedLayer, before: str) -> Node:
    """The layer itself."""
    return Node(
        name=one.name,
        op=_OPS[one.layer.kind],
        inputs=(before,),
        output_shape=one.output_shape,
        layer=one.name,
        weights=one.weights,
        biases=one.biases,
        weight_shape=one.weight_shape,
        # A permuted flatten gives each value a place that the graph does not hold.
        whole=isinstance(one.layer, Flatten) and one.layer.permutation is not None,
        **_window(one),
    )


def _window(one: ResolvedLayer) -> dict[str, Any]:
    """Kernel, stride, dilation and padding of what slides over a map."""
    layer, axes = one.layer, len(one.input_shape) - 1
    ones, none = (1,) * axes, ((0, 0),) * axes
    match layer:
        case Conv():
            dilation, pads = per_axis(layer.dilation, axes), layer.pads(axes)
            kernel, stride = per_axis(layer.kernel, axes), per_axis(layer.stride, axes)
            return {"kernel": kernel, "stride": stride, "dilation": dilation, "padding": pads, "groups": layer.groups}
        case Pool():
            pads = tuple((pad, pad) for pad in per_axis(layer.padding, axes))
            kernel = per_axis(layer.kernel, axes)
            return {"kernel": kernel, "stride": layer.steps(axes), "dilation": ones, "padding": pads}
        case Subsample():
            return {"kernel": ones, "stride": per_axis(layer.size, axes), "dilation": ones, "padding": none}
    return {}
