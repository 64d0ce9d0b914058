"""The feature maps of an image after a layer, and the units of a layer that are never on."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from striate.core.errors import NetworkError
from striate.explain.images import ImageSet
from striate.explain.traced import TracedNetwork


@dataclass(frozen=True, kw_only=True)
class FeatureMaps:
    """What one image gives after `node`: (channels, rows, columns), with each map's range and share of zeros."""

    node: str
    maps: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    zeros: np.ndarray


def feature_maps(network: TracedNetwork, image: Tensor, layer: str) -> FeatureMaps:
    """The maps of a normalized image (C, H, W) after a layer with its norm and activation, or after one node.

    Raises:
        NetworkError: for a layer without 2D maps.
    """
    node = network.output_node(layer)
    maps = network.values(image[None], [node.name])[node.name][0].float().cpu().numpy()
    if maps.ndim != 3:
        kind = "a vector" if maps.ndim == 1 else f"maps of {maps.ndim - 1} axes"
        raise NetworkError(f"layer '{layer}': gives {kind}; maps are shown of layers with 2D maps")
    if not np.isfinite(maps).all():
        raise NetworkError(f"layer '{layer}': gives values that are not finite numbers, which have no picture")
    flat = maps.reshape(len(maps), -1)
    return FeatureMaps(node=node.name, maps=maps, lowest=flat.min(1), highest=flat.max(1), zeros=(flat == 0).mean(1))


def dead_units(
    network: TracedNetwork,
    images: ImageSet,
    layers: list[str],
    progress: Callable[[float], None] = lambda share: None,
) -> dict[str, tuple[int, ...]]:
    """For each layer the channels whose value before the activation is above 0 nowhere in any of the images."""
    nodes = {layer: network.unit_node(layer).name for layer in layers}
    highest: dict[str, Tensor] = {}

    def see(name: str, value: Tensor) -> None:
        top = value.reshape(len(value), value.shape[1], -1).amax((0, 2))
        highest[name] = torch.maximum(highest[name], top) if name in highest else top

    seen = 0
    with network.running():
        for indices, pixels in images.batches():
            network.visit(pixels, list(nodes.values()), see)
            seen += len(indices)
            progress(seen / len(images))
    return {layer: tuple(torch.nonzero(highest[node] <= 0).flatten().tolist()) for layer, node in nodes.items()}
