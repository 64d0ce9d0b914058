"""The patches of the images that excite each unit of a layer, cut by the unit's exact receptive field.

One pass over the images holds, for every channel, the strongest and the weakest few values with their places; its memory does not
depend on the number of images. An image is taken once for each channel, at its highest (lowest) value; of equal values the image
with the lower index comes first, and within an image the first position. So the same images give the same patches, whatever the
size of the batches.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from striate.core.errors import NetworkError
from striate.core.seeds import stream
from striate.explain.images import ImageSet
from striate.explain.traced import TracedNetwork
from striate.nets.graph.graph import Graph, Node
from striate.nets.graph.receptive_field import Interval, ReceptiveFields, Status

SHOWN = 9
# The classes of so many of the strongest images are counted.
COUNTED = 100
GOLDEN = 0.618034  # multiples of the golden ratio lie apart from each other, modulo 1
# Sums of float32 numbers in another order (another size of batch) were seen to differ by up to 1e-6 of the largest value.
TOLERANCE = 1e-5


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """For each channel a row of values in order, with the image and the position of each. Shorter rows end with image -1."""

    values: np.ndarray  # (channels, n), float32
    images: np.ndarray  # (channels, n), indices into the part of the dataset
    positions: np.ndarray  # (channels, n, axes)

    def count(self, channel: int) -> int:
        return int((self.images[channel] >= 0).sum())


@dataclass(frozen=True, kw_only=True)
class Excitement:
    """What excites the channels of `node`: over `images_seen` images, and which classes the 100 strongest of them have."""

    node: str
    images_seen: int
    strongest: Ranking
    weakest: Ranking
    random: Ranking  # positions above 0, drawn at random
    classes: np.ndarray  # (channels, classes): how many of the strongest images

    @property
    def channels(self) -> int:
        return len(self.strongest.values)

    def selectivity(self) -> np.ndarray:
        """For each channel the largest share that one class has of its strongest images."""
        return self.classes.max(1) / np.maximum(self.classes.sum(1), 1)

    def typical_channels(self) -> tuple[int, ...]:
        """The channels of the highest, the median and the lowest selectivity; of equal ones the first."""
        order = np.argsort(-self.selectivity(), kind="stable")
        return tuple(dict.fromkeys(int(order[i]) for i in (0, len(order) // 2, len(order) - 1)))

    def most_excited_channel(self) -> int:
        """The channel with the highest value of all."""
        return int(self.strongest.values[:, 0].argmax())


@dataclass(frozen=True, kw_only=True)
class Patch:
    """The part of an image that a unit can depend on. `pixels` holds 0 where `inside` is False: there is padding, no image."""

    node: str
    image: int
    unit: tuple[int, ...]  # channel, row, column; or feature
    value: float
    box: tuple[Interval, ...]  # rows and columns of the image, within it
    pixels: np.ndarray  # (height, width, C), uint8
    inside: np.ndarray  # (height, width)
    status: Status


def excitement(network: TracedNetwork, images: ImageSet, layer: str, *, shown: int = SHOWN) -> Excitement:
    """The strongest, the weakest and random patches of every channel of a layer, before its activation."""
    return excitements(network, images, [layer], shown=shown)[0]


def excitements(
    network: TracedNetwork,
    images: ImageSet,
    layers: Sequence[str],
    *,
    shown: int = SHOWN,
    progress: Callable[[float], None] = lambda share: None,
) -> list[Excitement]:
    """The same for several layers in one pass over the images.

    Raises:
        NetworkError: for a layer that does not exist, whose values have no place in a 2D map, or are not finite.
    """
    passes = {node.name: _Pass(node, _sides(network, node), shown) for node in map(network.unit_node, layers)}
    seen = 0
    with network.running():
        for indices, pixels in images.batches():
            network.visit(pixels, list(passes), lambda name, value, at=indices: passes[name].see(value, at))  # type: ignore[misc]
            seen += len(indices)
            progress(seen / len(images))
    return [passes[network.unit_node(layer).name].result(images, seen) for layer in layers]


class _Pass:
    """What is held of one node while the images pass."""

    def __init__(self, node: Node, sides: tuple[int, ...], shown: int) -> None:
        self._node, self._sides, self._shown = node, sides, shown
        self._strongest, self._weakest = _Top(max(shown, COUNTED)), _Top(shown)
        self._random = _Top(shown, least=0.0)
        self._rng = stream(0, "random patches")

    def see(self, value: Tensor, indices: np.ndarray) -> None:
        value = value.reshape(len(value), value.shape[1], -1).float()  # image, channel, position
        highest, at = value.max(2)
        lowest, at_lowest = value.min(2)
        if not bool(torch.isfinite(highest).all() & torch.isfinite(lowest).all()):
            raise NetworkError(
                f"layer '{self._node.name}': gives values that are not finite numbers, so none is the strongest"
            )
        self._strongest.add(highest, at, indices)
        self._weakest.add(-lowest, at_lowest, indices)
        # The same for every size of batches; turned by another share for each channel, so that each has images of its own.
        keys = torch.from_numpy(self._rng.random((len(value), 1, value.shape[2]), np.float32)).to(value)
        keys = (keys + GOLDEN * torch.arange(value.shape[1]).to(value)[:, None]) % 1
        key, at = torch.where(value > 0, keys, -1.0).max(2)
        self._random.add(key, at, indices, value.gather(2, at[:, :, None])[:, :, 0])

    def result(self, images: ImageSet, seen: int) -> Excitement:
        return Excitement(
            node=self._node.name,
            images_seen=seen,
            strongest=self._strongest.ranking(self._shown, self._sides),
            weakest=self._weakest.ranking(self._shown, self._sides, sign=-1.0),
            random=self._random.ranking(self._shown, self._sides),
            classes=_class_counts(images, self._strongest.images[:COUNTED].cpu().numpy()),
        )


class _Top:
    """The `count` highest values of each channel so far, in order."""

    def __init__(self, count: int, least: float = -np.inf) -> None:
        self._count, self._least = count, least  # a key below `least` is no value
        self._keys = self._values = torch.zeros(0, 0)  # rank, channel
        self.images = self._positions = torch.zeros(0, 0, dtype=torch.int64)

    def add(self, keys: Tensor, positions: Tensor, indices: np.ndarray, values: Tensor | None = None) -> None:
        """Add a batch (images, channels): what decides the order, where it is, and the value if that is something else."""
        values = keys if values is None else values
        images = torch.from_numpy(indices).to(keys.device)[:, None].expand(keys.shape)
        news = (keys, values, positions, images)
        if len(self._keys):
            olds = (self._keys, self._values, self._positions, self.images)
            news = tuple(torch.cat([old.to(new.device), new]) for old, new in zip(olds, news, strict=True))  # type: ignore[assignment]
        # Stable: of equal keys the earlier image stays in front.
        order = news[0].sort(dim=0, descending=True, stable=True).indices[: self._count]
        self._keys, self._values, self._positions, self.images = (part.gather(0, order) for part in news)

    def ranking(self, shown: int, sides: tuple[int, ...], sign: float = 1.0) -> Ranking:
        """Of each channel the first `shown`; the values times `sign`."""
        indices = torch.where(self._keys < self._least, -1, self.images)
        images, values, positions = (
            part[:shown].T.cpu().numpy() for part in (indices, sign * self._values, self._positions)
        )
        return Ranking(values=values, images=images, positions=_unraveled(positions, sides))


def _unraveled(positions: np.ndarray, sides: tuple[int, ...]) -> np.ndarray:
    return np.stack(np.unravel_index(positions, sides), -1) if sides else np.zeros((*positions.shape, 0), np.int64)


def _sides(network: TracedNetwork, node: Node) -> tuple[int, ...]:
    """The sides of a node's map; () for a vector."""
    if node.axes not in (0, len(network.input_shape) - 1) or len(network.input_shape) != 3:
        raise NetworkError(
            f"layer '{node.name}': its values are no 2D map over the image, so they have no patches; choose another layer"
        )
    return node.output_shape[1:]


def _class_counts(images: ImageSet, indices: np.ndarray) -> np.ndarray:
    """(channels, classes) of images (rank, channel)."""
    labels = images.labels[indices]
    return np.stack([(labels == label).sum(0) for label in range(len(images.classes))], 1)


def patch(
    network: TracedNetwork, images: ImageSet, node: str, image: int, unit: tuple[int, ...], value: float
) -> Patch:
    """The patch of one image for one unit of a node."""
    box = network.fields.box(node, unit)
    pixels, inside = cut(images.images[image], shown_box(network, node, unit))
    return Patch(
        node=node,
        image=image,
        unit=unit,
        value=value,
        box=box,
        pixels=pixels,
        inside=inside,
        status=network.fields.status(node),
    )


def shown_box(network: TracedNetwork, node: str, unit: tuple[int, ...]) -> tuple[Interval, ...]:
    """The box of a patch: with its padding, so that all patches of a node have one size; the image, where that is all it needs."""
    return network.fields.box(node, unit, clipped=network.fields.status(node) == "whole image")


def cut(picture: np.ndarray, box: tuple[Interval, ...]) -> tuple[np.ndarray, np.ndarray]:
    """A box of a picture (H, W, C), which may reach into the padding: its pixels, 0 there, and which of them are the picture's."""
    rows, columns = (np.arange(start, stop) for start, stop in box)
    inside = np.logical_and.outer(_within(rows, picture.shape[0]), _within(columns, picture.shape[1]))
    pixels = picture[np.ix_(rows.clip(0, picture.shape[0] - 1), columns.clip(0, picture.shape[1] - 1))]
    return np.where(inside[..., None], pixels, 0).astype(np.uint8), inside


def _within(indices: np.ndarray, side: int) -> np.ndarray:
    return (indices >= 0) & (indices < side)


def patches(network: TracedNetwork, images: ImageSet, node: str, ranking: Ranking, channel: int) -> list[Patch]:
    """The patches of one channel of a ranking, in its order."""
    return [
        patch(
            network, images, node, int(ranking.images[channel, rank]),
            (channel, *map(int, ranking.positions[channel, rank])), float(ranking.values[channel, rank]),
        )
        for rank in range(ranking.count(channel))
    ]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Verification:
    """How patches did when they were run again with everything outside their boxes replaced by noise."""

    patches: int
    reproduced: int  # within TOLERANCE of the largest value
    difference: float  # the largest, relative to the largest value

    def __str__(self) -> str:
        return (
            f"{self.reproduced} of {self.patches} reproduce to {TOLERANCE:g} (largest difference {self.difference:.0e})"
        )


def verify(network: TracedNetwork, images: ImageSet, node: str, shown: Sequence[Patch]) -> Verification:
    """Run each patch again where it was, with noise around it: the unit must have the stated value at the stated place."""
    differences = []
    rng = stream(0, "noise around patches")
    largest = max((abs(one.value) for one in shown), default=0.0) or 1.0
    for one in shown:
        noise = rng.integers(0, 256, images.images.shape[1:], np.uint8)
        (top, bottom), (left, right) = one.box
        noise[top:bottom, left:right] = images.images[one.image, top:bottom, left:right]
        value = network.values(images.normalize(noise[None]), [node])[node][(0, *one.unit)].item()
        differences.append(abs(value - one.value) / largest)
    good = sum(difference <= TOLERANCE for difference in differences)
    return Verification(patches=len(shown), reproduced=good, difference=max(differences, default=0.0))


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a unit depends on in the map of an earlier node: rows and columns, start and stop."""

    node: str
    box: tuple[Interval, ...]
    sides: tuple[int, ...]


def trace_back(network: TracedNetwork, node: str, unit: tuple[int, ...]) -> list[Step]:
    """From a unit back to the image: the box that it depends on in every earlier map on its way, the nearest first."""
    steps = []
    graph = network.graph
    names = [earlier.name for earlier in graph.nodes]
    for earlier in reversed(graph.nodes[: names.index(node)]):
        if earlier.axes != len(graph.input_shape) - 1 or earlier.op == "dropout":
            continue
        if below := graph_between(graph, earlier, node):
            steps.append(
                Step(node=earlier.name, box=ReceptiveFields(below).box(node, unit), sides=earlier.output_shape[1:])
            )
    return steps


def graph_between(graph: Graph, first: Node, last: str) -> Graph | None:
    """The part of the graph from one node, as its input, to another; None if no way leads from one to the other."""
    nodes = [Node(name=first.name, op="input", output_shape=first.output_shape, layer=first.layer)]
    reached = {first.name}
    names = [node.name for node in graph.nodes]
    for node in graph.nodes[names.index(first.name) + 1 : names.index(last) + 1]:
        inputs = tuple(name for name in node.inputs if name in reached)
        if inputs:
            nodes.append(replace(node, inputs=inputs))
            reached.add(node.name)
    return Graph(nodes=tuple(nodes), output=last) if last in reached else None
