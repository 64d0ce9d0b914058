"""The graph of a network of the notation, without torch: each norm, activation and sum is a node, named as the torch module is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
    _append_layers(nodes, resolve(network, input_shape, classes), "input")
    return Graph(nodes=tuple(nodes), output=nodes[-1].name)


def _append_layers(nodes: list[Node], layers: Sequence[ResolvedLayer], before: str) -> str:
    """Append the nodes of `layers`, the first of which reads node `before`; the name of the last."""
    for layer in layers:
        if isinstance(layer.layer, Normalize | Activate):
            if (layer.norm, layer.activation) == ("none", "none"):
                continue  # what `linear` took out is no operation
            nodes.append(_own_norm_or_activation(layer, next(node for node in nodes if node.name == before)))
        elif layer.body:
            inputs = (_append_layers(nodes, layer.body, before), _append_layers(nodes, layer.shortcut, before))
            add = f"{layer.name}.add"
            nodes.append(Node(name=add, op="add", inputs=inputs, output_shape=layer.output_shape, layer=layer.name))
            _append_norm_and_activation(nodes, layer, f"{layer.name}.")
        else:
            nodes.append(_main_node(layer, before))
            _append_norm_and_activation(nodes, layer, f"{layer.name}_")
        before = nodes[-1].name
    return before


def _own_norm_or_activation(layer: ResolvedLayer, before: Node) -> Node:
    """A norm or an activation that is a layer. Its row is that of the layer it follows, as in a traced module."""
    op: Op = "norm" if layer.norm != "none" else "activation"
    follows = before.op != "input" and (op == "activation" or before.op in {"conv", "fc", "activation"})
    return replace(
        _norm_or_activation(layer, op, layer.name, before.name), layer=before.layer if follows else layer.name
    )


def _append_norm_and_activation(nodes: list[Node], layer: ResolvedLayer, prefix: str) -> None:
    """Append the norm and the activation that follow `layer`, in their order."""
    steps: list[tuple[Op, str]] = [("norm", layer.norm), ("activation", layer.activation)]
    for op, function in steps if layer.norm_first else reversed(steps):
        if function != "none":
            nodes.append(_norm_or_activation(layer, op, f"{prefix}{op}", nodes[-1].name))


def _norm_or_activation(layer: ResolvedLayer, op: Op, name: str, before: str) -> Node:
    half = layer.norm_parameters // 2 if op == "norm" else 0
    return Node(
        name=name,
        op=op,
        inputs=(before,),
        output_shape=layer.output_shape,
        layer=layer.name,
        # Batch norm is a scale and a shift once trained; the others take their means from the image at hand.
        whole=op == "norm" and layer.norm not in {"none", "batch"},
        weights=half,
        biases=half,
        weight_shape=(half,) if half else (),
    )


def _main_node(layer: ResolvedLayer, before: str) -> Node:
    """The layer itself, without what follows it."""
    window = _window(layer)
    return Node(
        name=layer.name,
        op=_OPS[layer.layer.kind],
        inputs=(before,),
        output_shape=layer.output_shape,
        layer=layer.name,
        kernel=window.kernel,
        stride=window.stride,
        dilation=window.dilation,
        padding=window.padding,
        groups=window.groups,
        weights=layer.weights,
        biases=layer.biases,
        weight_shape=layer.weight_shape,
        # The graph does not hold the order of a permuted flatten.
        whole=isinstance(layer.layer, Flatten) and layer.layer.permutation is not None,
    )


@dataclass(frozen=True, kw_only=True)
class _Window:
    """What slides over a map; empty for a layer without a window."""

    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    padding: tuple[tuple[int, int], ...] = ()
    groups: int = 1


def _window(resolved: ResolvedLayer) -> _Window:
    layer, axes = resolved.layer, len(resolved.input_shape) - 1
    ones = (1,) * axes
    match layer:
        case Conv():
            return _Window(
                kernel=per_axis(layer.kernel, axes),
                stride=per_axis(layer.stride, axes),
                dilation=per_axis(layer.dilation, axes),
                padding=layer.pads(axes),
                groups=layer.groups,
            )
        case Pool():
            padding = tuple((pad, pad) for pad in per_axis(layer.padding, axes))
            return _Window(
                kernel=per_axis(layer.kernel, axes), stride=layer.strides(axes), dilation=ones, padding=padding
            )
        case Subsample():
            return _Window(kernel=ones, stride=per_axis(layer.size, axes), dilation=ones, padding=((0, 0),) * axes)
    return _Window()
