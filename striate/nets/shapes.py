"""What comes out of each layer, and what it costs, without torch.

Shapes are (channels, height, width) or (features,). The names are those that the reports use: conv1, pool1,
fc1; the classifier is the last fc. They also name the random streams of the initial weights.
"""

from dataclasses import dataclass

from striate.core.errors import NetworkError
from striate.nets.layers import Conv, Dense, Dropout, GlobalPool, Layer, Pool
from striate.nets.spec import NetworkConfig

Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One layer of a network in place: its name, what it is, its shapes and its parameters."""

    name: str
    layer: Layer
    input_shape: Shape
    output_shape: Shape
    weights: int  # weights and biases of the layer itself
    norm_parameters: int  # scale and shift of the norm that follows it
    is_last: bool = False

    @property
    def parameters(self) -> int:
        return self.weights + self.norm_parameters


def rows(network: NetworkConfig, input_shape: Shape, classes: int) -> tuple[Row, ...]:
    """Every layer of `network` on an input of (channels, height, width).

    Raises:
        NetworkError: naming the first layer that does not fit and the size that it met.
    """
    layers = network.parsed
    if network.head == "classifier":
        layers = (*layers, Dense(units=classes))
    counts: dict[str, int] = {}
    found: list[Row] = []
    shape = input_shape
    for index, layer in enumerate(layers):
        counts[layer.kind] = counts.get(layer.kind, 0) + 1
        name = f"{layer.kind}{counts[layer.kind]}"
        last = index == len(layers) - 1
        try:
            output = output_shape(layer, shape)
        except NetworkError as error:
            raise NetworkError(f"layer {name}: {error}") from error
        found.append(_row(name, layer, shape, output, network, last))
        shape = output
    if shape not in {(classes,), (classes, 1, 1)}:
        raise NetworkError(
            f"with head: none the last layer must give {classes} values, one per class; {found[-1].name} gives {_text(shape)}"
        )
    return tuple(found)


def parameters(network: NetworkConfig, input_shape: Shape, classes: int) -> int:
    """All weights, biases, scales and shifts."""
    return sum(row.parameters for row in rows(network, input_shape, classes))


def output_shape(layer: Layer, shape: Shape) -> Shape:
    """The shape after `layer`."""
    match layer:
        case Conv():
            _needs_map(shape)
            size = tuple(_slide(side, layer.kernel, layer.stride, layer.pad, shape) for side in shape[1:])
            return (layer.filters, *size)
        case Pool():
            _needs_map(shape)
            return (shape[0], *(_slide(side, layer.kernel, layer.kernel, 0, shape) for side in shape[1:]))
        case GlobalPool():
            _needs_map(shape)
            return shape[:1]
        case Dense():
            return (layer.units,)
        case Dropout():
            return shape


def _row(name: str, layer: Layer, before: Shape, after: Shape, network: NetworkConfig, last: bool) -> Row:
    weights = norm = 0
    if isinstance(layer, Conv):
        weights = layer.filters * (before[0] * layer.kernel**2 + 1)
    elif isinstance(layer, Dense):
        weights = layer.units * (_volume(before) + 1)
    if network.norm == "batch" and isinstance(layer, Conv | Dense) and not last:
        norm = 2 * after[0]
    return Row(
        name=name,
        layer=layer,
        input_shape=before,
        output_shape=after,
        weights=weights,
        norm_parameters=norm,
        is_last=last,
    )


def _slide(side: int, kernel: int, stride: int, pad: int, shape: Shape) -> int:
    if kernel > side + 2 * pad:
        padded = f" (padded to {side + 2 * pad})" if pad else ""
        raise NetworkError(f"a {kernel}-wide kernel does not fit the {_text(shape)} map{padded} that reaches it")
    return (side + 2 * pad - kernel) // stride + 1


def _needs_map(shape: Shape) -> None:
    if len(shape) != 3:
        raise NetworkError(f"needs a map of channels x height x width, and what reaches it is flat ({shape[0]} values)")


def _text(shape: Shape) -> str:
    return "x".join(map(str, shape))


def _volume(shape: Shape) -> int:
    volume = 1
    for side in shape:
        volume *= side
    return volume
