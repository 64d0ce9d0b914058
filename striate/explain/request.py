"""What is asked of a run: which layers, units, images and classes; and the choice where the user makes none."""

from dataclasses import dataclass

import numpy as np

from striate.core.errors import NetworkError
from striate.explain.attribution import METHODS, Method
from striate.explain.run import Subject
from striate.explain.traced import TracedNetwork
from striate.nets.layers import shape_text

DEPTHS = 3
IMAGES = 3


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to show. Empty: the choice that each function below states."""

    layers: tuple[str, ...] = ()
    units: tuple[tuple[int, ...], ...] = ()  # channel, or channel and position
    images: tuple[str, ...] = ()  # indices of the split, or files
    class_name: str = ""
    methods: tuple[Method, ...] = METHODS
    limit: int | None = None  # images of a pass over the split


def chosen_layers(network: TracedNetwork, request: Request) -> list[str]:
    """The layers asked for; else the first convolution, the middle one and the last.

    Raises:
        NetworkError: for a network without a convolution.
    """
    if request.layers:
        for layer in request.layers:
            network.unit_node(layer)  # refuses what does not exist
        return list(request.layers)
    rows = [
        node.layer
        for node in network.graph.nodes
        if node.op == "conv" and node.axes == 2 and node.size > node.output_shape[0]
    ]
    rows = list(dict.fromkeys(rows))
    if not rows:
        raise NetworkError(
            "the network has no 2D convolution whose maps have more than one position; name a layer with --layer"
        )
    at = [round(step * (len(rows) - 1) / (DEPTHS - 1)) for step in range(DEPTHS)]
    return [rows[index] for index in dict.fromkeys(at)]


def chosen_images(subject: Subject, request: Request) -> list[str]:
    """The images asked for; else the first of each of three classes: the first class, the middle one and the last."""
    if request.images:
        return list(request.images)
    images = subject.images.of_class(request.class_name) if request.class_name else subject.images
    if request.class_name:
        return [str(index) for index in images.indices[:IMAGES]]
    last = len(images.classes) - 1
    labels = dict.fromkeys(round(step * last / (IMAGES - 1)) for step in range(IMAGES))
    return [str(images.of_class(images.classes[label]).indices[0]) for label in labels]


def chosen_unit(values: np.ndarray, layer: str, request: Request) -> tuple[int, ...]:
    """Of a layer's values (channels, *sides) the unit asked for; without a position its strongest one; else the strongest of all.

    Raises:
        NetworkError: for a unit that the layer has not.
    """
    if not request.units:
        return tuple(map(int, np.unravel_index(values.argmax(), values.shape)))
    unit = request.units[0]
    text = ",".join(map(str, unit))
    if unit[0] >= len(values):
        raise NetworkError(f"--unit {text}: layer '{layer}' has the units 0 to {len(values) - 1}")
    if len(unit) == 1:
        return (unit[0], *map(int, np.unravel_index(values[unit[0]].argmax(), values.shape[1:])))
    if len(unit) != values.ndim or any(index >= side for index, side in zip(unit, values.shape, strict=True)):
        raise NetworkError(
            f"--unit {text}: layer '{layer}' gives {shape_text(values.shape)} values, and this is none of them"
        )
    return unit


def parsed_unit(text: str) -> tuple[int, ...]:
    """`5` or `5,3,4`: a channel, or a channel, a row and a column.

    Raises:
        NetworkError: for anything else.
    """
    parts = text.split(",")
    if len(parts) not in (1, 3) or not all(part.strip().isdecimal() and len(part) < 10 for part in parts):
        raise NetworkError(f"--unit: must be a channel, or a channel, a row and a column as in 5,3,4, got '{text:.40}'")
    return tuple(int(part) for part in parts)
