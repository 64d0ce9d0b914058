"""The shape that comes out of a layer, and what would fit where nothing comes out.

Shapes are (channels, *spatial) or (features,).
"""

import math

from striate.core.errors import NetworkError
from striate.nets.layers import Activate, Conv, Dense, Dropout, Flatten, GlobalPool, Normalize, Pick, Pool, per_axis

Shape = tuple[int, ...]
SimpleLayer = Conv | Pool | Pick | GlobalPool | Flatten | Dense | Dropout | Normalize | Activate


def output_shape(layer: SimpleLayer, shape: Shape) -> Shape:
    """The shape after `layer`.

    Raises:
        NetworkError: for a layer that does not fit; it says what came and what would fit.
    """
    match layer:
        case Conv():
            _needs_map(shape)
            _divides(layer, shape)
            pads = layer.pads(len(shape) - 1)
            return (layer.filters, *_slide(shape, layer.kernel, layer.stride, layer.dilation, pads))
        case Pool():
            _needs_map(shape)
            pads = _pool_pads(layer, len(shape) - 1)
            return (shape[0], *_slide(shape, layer.kernel, layer.steps(len(shape) - 1), 1, pads))
        case Pick():
            _needs_map(shape)
            return (shape[0], *_slide(shape, layer.size, layer.size, 1, ((0, 0),) * (len(shape) - 1)))
        case GlobalPool():
            _needs_map(shape)
            return shape[:1]
        case Flatten():
            return (math.prod(shape),)
        case Dense():
            return (layer.units,)
        case Dropout() | Normalize() | Activate():
            return shape


def text(shape: Shape) -> str:
    """As people write it: 64x32x32."""
    return "x".join(map(str, shape))


def _slide(
    shape: Shape,
    kernel: int | tuple[int, ...],
    stride: int | tuple[int, ...],
    dilation: int | tuple[int, ...],
    pads: tuple[tuple[int, int], ...],
) -> Shape:
    axes = len(shape) - 1
    every = [per_axis(size, axes) for size in (kernel, stride, dilation)]
    for sizes in (*every, pads):
        if len(sizes) != axes:
            raise NetworkError(f"has sizes for {len(sizes)} axes, and the {text(shape)} map has {axes}")
    return tuple(_along(shape, *one) for one in zip(shape[1:], *every, pads, strict=True))


def _along(shape: Shape, side: int, kernel: int, stride: int, dilation: int, pads: tuple[int, int]) -> int:
    wide, room = dilation * (kernel - 1) + 1, side + sum(pads)
    if wide > room:
        spread = f" (dilated to {wide})" if dilation > 1 else ""
        padded = f" (padded to {room})" if sum(pads) else ""
        fits = (room - 1) // dilation + 1
        raise NetworkError(
            f"a {kernel}-wide kernel{spread} does not fit the {text(shape)} map{padded} that reaches it; "
            f"a kernel of {fits} would, or {wide - room} more {'pixel' if wide - room == 1 else 'pixels'} "
            "by padding, or fewer pools and strides before it"
        )
    return (room - wide) // stride + 1


def _pool_pads(layer: Pool, axes: int) -> tuple[tuple[int, int], ...]:
    pads = per_axis(layer.padding, axes)
    # A block that lies in the padding alone has no maximum; torch refuses it too.
    for pad, kernel in zip(pads, per_axis(layer.kernel, axes), strict=False):
        if pad > kernel // 2:
            raise NetworkError(f"a pool is padded by at most half its kernel ({kernel // 2}), got {pad}")
    return tuple((pad, pad) for pad in pads)


def _divides(layer: Conv, shape: Shape) -> None:
    for what, count in (("input channels", shape[0]), ("filters", layer.filters)):
        if count % layer.groups:
            fit = [number for number in range(1, layer.groups + 1) if shape[0] % number == layer.filters % number == 0]
            raise NetworkError(f"{layer.groups} groups do not divide its {count} {what}; {fit[-1]} would")


def _needs_map(shape: Shape) -> None:
    if len(shape) < 2:
        raise NetworkError(f"needs a map of channels x height x width, and what reaches it is flat ({shape[0]} values)")
