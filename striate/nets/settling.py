"""What holds for one layer: its own word before the network's, and of that only what `linear` leaves."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from striate.core.errors import NetworkError
from striate.nets.layers import Activate, Activation, AveragePool, Conv, Norm, Normalize, Own, Pool
from striate.nets.placed import Placed
from striate.nets.sizes import text
from striate.nets.spec import NetworkConfig


def settle(placed: Placed, own: Own, network: NetworkConfig) -> Placed:
    """With what the layer says for itself, or else the network."""
    groups = own.norm_groups or network.norm_groups
    chosen = own.init or network.init
    if chosen == "dirac" and isinstance(placed.layer, Conv) and placed.layer.groups > 1:
        raise NetworkError("init dirac is for conv layers without groups; say another one here, as in :default")
    wanted: Norm = own.norm or network.norm
    if wanted == "instance" and len(placed.output_shape) == 1:
        wanted = "none"  # a feature is a map of one pixel, and minus its own mean it is 0
    norm, activation, taken = keep_linear(wanted, own.activation or network.activation, network)
    _check_norm(placed, norm, groups)
    return replace(
        placed,
        norm=norm,
        norm_groups=groups if norm == "group" else 1,
        norm_first=(own.norm_position or network.norm_position) == "before",
        activation=activation,
        bias=network.bias if own.bias is None else own.bias,
        init=chosen,
        zero_bias=network.zero_bias if own.zero_bias is None else own.zero_bias,
        taken_out=taken,
    )


def settle_alone(placed: Placed, layer: Normalize | Activate, network: NetworkConfig) -> Placed:
    """A norm or an activation that is a layer."""
    if isinstance(layer, Activate):
        _, activation, taken = keep_linear("none", layer.activation, network)
        return replace(placed, activation=activation, taken_out=taken)
    groups = layer.groups or network.norm_groups
    norm, _, taken = keep_linear(layer.norm, "none", network)
    _check_norm(placed, norm, groups)
    return replace(placed, norm=norm, norm_groups=groups if norm == "group" else 1, taken_out=taken)


def settle_pool(placed: Placed, layer: Pool, network: NetworkConfig) -> Placed:
    """A max pool, or the average pool that `linear` makes of it, under the same name: arms are compared by rows."""
    if not network.linear or isinstance(layer, AveragePool):
        return placed
    average = AveragePool(kernel=layer.kernel, stride=layer.stride, padding=layer.padding)
    return replace(placed, layer=average, taken_out=("max pool, now average pool",))


def _check_norm(placed: Placed, norm: Norm, groups: int) -> None:
    channels, pixels = placed.output_shape[0], math.prod(placed.output_shape[1:])
    if norm == "group" and channels % groups:
        fit = next(number for number in range(min(groups, channels), 0, -1) if channels % number == 0)
        raise NetworkError(f"group norm: {groups} groups do not divide {channels} channels; {fit} would (norm_groups)")
    if norm == "instance" and pixels == 1:
        # Also of a flat layer, whose values are maps of one pixel.
        raise NetworkError("instance norm makes every value of a 1-pixel map 0; use another norm here, as in :nonorm")


def check_whitening(placed: Sequence[Placed]) -> None:
    """Refuse `whiten` where it cannot be: it is made of the image's patches, two filters for each of their axes."""
    first, *others = placed
    for one in _with_inner([*others, *first.body, *first.shortcut]):
        if one.weight_shape and one.init == "whiten":
            raise NetworkError(
                f"layer {one.name}: init whiten is for the first layer, which sees the image; say it there (conv24k2p0:whiten)"
            )
    if not first.weight_shape or first.init != "whiten":
        return
    layer, axes = first.layer, math.prod(first.weight_shape[1:])
    if not isinstance(layer, Conv) or layer.groups > 1 or layer.dilation != 1 or len(first.input_shape) != 3:
        raise NetworkError(f"layer {first.name}: init whiten is for a 2D conv layer without groups or dilation")
    if any(side > image for side, image in zip(first.weight_shape[2:], first.input_shape[1:], strict=True)):
        raise NetworkError(
            f"layer {first.name}: init whiten needs patches of the image, and a kernel of {text(first.weight_shape[2:])} is larger"
            f" than {text(first.input_shape[1:])}; take a smaller one"
        )
    if layer.filters % 2 or layer.filters > 2 * axes:
        raise NetworkError(
            f"layer {first.name}: init whiten makes two filters for each axis of a {text(first.weight_shape[1:])} patch, so an"
            f" even number up to {2 * axes}; got {layer.filters}"
        )


def _with_inner(placed: Sequence[Placed]) -> Iterator[Placed]:
    for one in placed:
        yield one
        yield from _with_inner([*one.body, *one.shortcut])


def keep_linear(norm: Norm, activation: Activation, network: NetworkConfig) -> tuple[Norm, Activation, tuple[str, ...]]:
    """What `linear` leaves. Batch norm stays: once trained it is a scale and a shift, the same for every image."""
    if not network.linear:
        return norm, activation, ()
    taken = [f"{norm} norm"] * (norm in {"layer", "group", "instance"}) + [activation] * (activation != "none")
    return (norm if norm == "batch" else "none"), "none", tuple(taken)
