"""The kernels of a convolution: as arrays, with their norms and near-twins."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from striate.core.errors import NetworkError
from striate.explain.traced import TracedNetwork

# Two kernels are near-twins from this cosine on; below minus this, opposites.
TWIN_COSINE = 0.95


@dataclass(frozen=True, kw_only=True)
class Filters:
    """The kernels of one convolution: (filters, channels of a group, rows, columns)."""

    node: str
    kernels: np.ndarray
    norms: np.ndarray  # of each kernel: the root of the sum of squares
    twins: tuple[tuple[int, int, float], ...]  # two kernels and their cosine, by its size


def filters(network: TracedNetwork, layer: str = "") -> Filters:
    """The kernels of a convolution of 2D maps; of the first one, if `layer` is empty.

    Raises:
        NetworkError: for a layer that is no such convolution.
    """
    node = _convolution(network, layer)
    call = network.call(torch.zeros(1, *network.input_shape), node)
    weight: Tensor = call.argument("weight", 1)
    kernels = weight.detach().cpu().numpy()
    if kernels.ndim != 4:
        raise NetworkError(
            f"layer '{node}': its kernels have {kernels.ndim - 2} axes; filters are shown of 2D convolutions"
        )
    return Filters(node=node, kernels=kernels, norms=_norms(kernels), twins=near_twins(kernels))


def near_twins(kernels: np.ndarray) -> tuple[tuple[int, int, float], ...]:
    """Pairs of kernels that point the same or the opposite way, the closest first."""
    rows = kernels.reshape(len(kernels), -1).astype(np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    units = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)
    cosines = units @ units.T
    first, second = np.nonzero(np.triu(np.abs(cosines) >= TWIN_COSINE, 1))
    pairs = [(int(i), int(j), float(cosines[i, j])) for i, j in zip(first, second, strict=True)]
    return tuple(sorted(pairs, key=lambda pair: (-abs(pair[2]), pair[:2])))


def _convolution(network: TracedNetwork, layer: str) -> str:
    convolutions = [node.name for node in network.graph.nodes if node.op == "conv"]
    if not convolutions:
        raise NetworkError("filters: the network has no convolution")
    if not layer:
        return convolutions[0]
    inside = [node.name for node in network.graph.nodes if node.layer == layer and node.op == "conv"]
    if layer in convolutions or inside:
        return layer if layer in convolutions else inside[0]
    network.node(layer)  # refuses a name that does not exist
    raise NetworkError(f"layer '{layer}': has no kernels; the convolutions are {', '.join(convolutions[:12])}")


def _norms(kernels: np.ndarray) -> np.ndarray:
    return np.linalg.norm(kernels.reshape(len(kernels), -1).astype(np.float64), axis=1)
