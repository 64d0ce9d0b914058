"""Networks made wider or narrower by a factor."""

from collections.abc import Sequence

from striate.nets.layers import Conv, Dense, Layer, Residual
from striate.nets.spec import NetworkConfig


def widened(layers: Sequence[Layer], network: NetworkConfig) -> tuple[Layer, ...]:
    """Every layer with `width` times its filters or units; one that whitens, and the last, which gives the logits, keep their own."""
    wide = [_wide(layer, network.width) for layer in layers]
    return tuple(wide if network.head != "none" else [*wide[:-1], layers[-1]])


def _wide(layer: Layer, width: float) -> Layer:
    is_of_the_images = isinstance(layer, Conv) and layer.own.init == "whiten"  # its filters are as many as the axes
    if width == 1 or is_of_the_images:
        return layer
    match layer:
        case Conv():
            # A multiple of the groups, or the convolution could not be built.
            return layer.replace(filters=max(1, round(layer.filters * width / layer.groups)) * layer.groups)
        case Dense():
            return layer.replace(units=max(1, round(layer.units * width)))
        case Residual():
            body, shortcut = (tuple(_wide(one, width) for one in part) for part in (layer.body, layer.shortcut))
            return layer.replace(body=body, shortcut=shortcut)
    return layer
