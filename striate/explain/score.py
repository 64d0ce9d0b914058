"""Whether a unit's strongest and weakest patches tell what excites it: do they predict which of two other images excites it more?

An image is scored by its patches alone: the closest it comes to one of the strongest patches, against how close it is to the
weakest at the same place; the network is not asked. The score of the unit is the share of pairs of held-out images that these
scores put into the right order. Chance is 0.5. After the machine interpretability score of Zimmermann et al. (2024), without a
second network: patches are compared by their pixels, or by the first layer of the network itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from striate.core.errors import NetworkError
from striate.core.seeds import stream
from striate.explain.images import ImageSet
from striate.explain.patches import Excitement, cut, shown_box
from striate.explain.traced import TracedNetwork

HELD_OUT = 100
# Positions of an image that are compared, along each axis.
MOST_POSITIONS = 8


@dataclass(frozen=True, kw_only=True)
class Score:
    """The shares of pairs in the right order, by what patches are compared with."""

    channel: int
    by_pixels: float
    by_first_layer: float
    pairs: int

    @property
    def sentence(self) -> str:
        return (
            f"Do its patches predict which of two held-out images excites it more? {self.by_pixels:.2f} by pixels, "
            f"{self.by_first_layer:.2f} by the first layer; chance 0.50."
        )


def scores(network: TracedNetwork, images: ImageSet, found: Excitement, channels: Sequence[int]) -> list[Score]:
    """The scores of channels, each on images that are not among its shown patches.

    The same candidates are drawn for every channel; those whose patches are shown are left out.

    Raises:
        NetworkError: for a layer whose units have receptive fields of different sizes: their patches cannot be compared.
    """
    if any(stride is None for stride in network.fields.of(found.node).stride):
        raise NetworkError(
            f"score: the units of layer '{found.node}' have receptive fields of different sizes; choose another layer"
        )
    count = min(len(images), HELD_OUT + found.strongest.images.shape[1] + found.weakest.images.shape[1])
    candidates = np.sort(stream(0, "held out").choice(images.indices, count, replace=False))
    examples = [
        [_examples(network, images, found, channel, which) for which in ("strongest", "weakest")]
        for channel in channels
    ]
    predicted = _predict(network, images, found.node, candidates, examples)
    values = _highest(network, images, found.node, candidates)
    return [
        _score(found, channel, candidates, by_channel, values[:, channel])
        for channel, by_channel in zip(channels, predicted, strict=True)
    ]


def concordance(predicted: np.ndarray, actual: np.ndarray) -> tuple[float, int]:
    """The share of pairs with different actual values that `predicted` puts into the same order (equal predictions count half)."""
    ahead = np.sign(np.subtract.outer(predicted, predicted)) * np.sign(np.subtract.outer(actual, actual))
    is_pair = np.triu(np.subtract.outer(actual, actual) != 0, 1)
    pairs = int(is_pair.sum())
    return (float(((ahead[is_pair] + 1) / 2).mean()), pairs) if pairs else (0.5, 0)


def _score(found: Excitement, channel: int, candidates: np.ndarray, predicted: np.ndarray, values: np.ndarray) -> Score:
    """`predicted` is (image, 2): by pixels and by the first layer."""
    shown = [*found.strongest.images[channel], *found.weakest.images[channel]]
    rows = np.flatnonzero(~np.isin(candidates, shown))[:HELD_OUT]
    (by_pixels, pairs), (by_first_layer, _) = (concordance(each, values[rows]) for each in predicted[rows].T)
    return Score(channel=channel, by_pixels=by_pixels, by_first_layer=by_first_layer, pairs=pairs)


def _highest(network: TracedNetwork, images: ImageSet, node: str, indices: np.ndarray) -> np.ndarray:
    """The highest value of every channel for each image."""
    highest: list[Tensor] = []
    with network.running():
        for _, pixels in images.at(indices).batches():
            network.visit(pixels, [node], lambda _, value: highest.append(value.reshape(*value.shape[:2], -1).amax(2)))
    return torch.cat(highest).float().cpu().numpy()


def _examples(network: TracedNetwork, images: ImageSet, found: Excitement, channel: int, which: str) -> Tensor:
    ranking = getattr(found, which)
    cuts = []
    for rank in range(ranking.count(channel)):
        unit = (channel, *map(int, ranking.positions[channel, rank]))
        cuts.append(_cut(network, images, found.node, int(ranking.images[channel, rank]), unit))
    return torch.stack(cuts)


def _cut(network: TracedNetwork, images: ImageSet, node: str, image: int, unit: tuple[int, ...]) -> Tensor:
    """A patch as the network gets it; 0 in the padding."""
    pixels, inside = cut(images.images[image], shown_box(network, node, unit))
    return images.normalize(pixels[None])[0] * torch.from_numpy(inside)


def _predict(
    network: TracedNetwork, images: ImageSet, node: str, indices: np.ndarray, examples: Sequence[Sequence[Tensor]]
) -> np.ndarray:
    """For each channel (of `examples`: its strongest and its weakest patches) and image the score by pixels and by the first layer."""
    positions = _positions(network, node)
    pixels = [[part.flatten(1) for part in parts] for parts in examples]
    features = [[_features(network, part) for part in parts] for parts in examples]
    scores = np.zeros((len(examples), len(indices), 2))
    for row, image in enumerate(indices):
        cuts = torch.stack([_cut(network, images, node, int(image), (0, *position)) for position in positions])
        flat, of_first_layer = cuts.flatten(1), _features(network, cuts)
        for channel in range(len(examples)):
            scores[channel, row] = _closeness(flat, pixels[channel]), _closeness(of_first_layer, features[channel])
    return scores


def _positions(network: TracedNetwork, node: str) -> list[tuple[int, ...]]:
    """Positions of a node's map, evenly spread where it has many; of those with the same box one."""
    positions: list[tuple[int, ...]] = [()]
    for side in network.graph[node].output_shape[1:]:
        along = np.unique(np.linspace(0, side - 1, min(side, MOST_POSITIONS)).round().astype(int))
        positions = [(*before, int(i)) for before in positions for i in along]
    return list({shown_box(network, node, (0, *position)): position for position in positions}.values())


def _closeness(patches: Tensor, examples: Sequence[Tensor]) -> float:
    """How much closer the best patch comes to the nearest of the strongest than to the nearest of the weakest."""
    to_strongest, to_weakest = (torch.cdist(patches, part).amin(1) for part in examples)
    return float((to_weakest - to_strongest).max())


def _features(network: TracedNetwork, patches: Tensor) -> Tensor:
    """What the first convolution with its activation makes of patches, which may have any size."""
    node = next((node for node in network.graph.nodes if node.op == "conv"), None)
    if node is None:
        return patches.flatten(1)
    row = [
        each.name
        for each in network.graph.nodes
        if each.layer == node.layer and each.op in ("conv", "norm", "activation")
    ]
    found: list[Tensor] = []
    with network.running():
        network.visit(patches, row[-1:], lambda _, value: found.append(value.flatten(1).float().cpu()), any_size=True)
    return found[0]
