"""A twin of a network with random weights, and how much of a picture is left with it.

An attribution that looks the same when the weights are random shows the image and the layers, not what was learned (Adebayo et
al. 2018, arXiv:1810.03292). Two numbers say how much: the rank correlation between both pictures, and by how much the complexity
of the picture rises, which is the entropy of its histogram (after the efficient test of Hedstrom et al. 2023).
"""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from striate.core.errors import NetworkError
from striate.core.seeds import integer_seed, stream

BINS = 100
# A rank correlation from which most of a picture is called independent of what was learned, and from which some of it.
MOST, SOME = 0.5, 0.2


def random_twin(module: nn.Module, seed: int = 0) -> nn.Module:
    """A copy whose weights are drawn again, statistics of norms included: every layer by its own default, what no layer draws shuffled.

    Raises:
        NetworkError: for a module that cannot be copied.
    """
    try:
        twin = copy.deepcopy(module)
    except Exception as error:
        raise NetworkError(
            f"{type(module).__name__} cannot be copied, so it has no twin with random weights: {error}"
        ) from error
    drawn: set[int] = set()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(integer_seed(seed, "random twin"))
        for part in twin.modules():
            reset = getattr(part, "reset_parameters", None)
            if callable(reset):
                reset()
                drawn |= {id(tensor) for tensor in (*part.parameters(recurse=False), *part.buffers(recurse=False))}
        for name, parameter in twin.named_parameters():
            if id(parameter) not in drawn:
                values = stream(seed, "random twin", name).permutation(parameter.detach().cpu().numpy().ravel())
                parameter.copy_(torch.from_numpy(values).reshape(parameter.shape))
    return twin


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """An attribution of a trained network beside the same of its twin."""

    correlation: float  # Spearman's, of the absolute values at each pixel
    complexity: float  # of the trained network's picture: entropy of its histogram, in bits
    complexity_random: float

    @property
    def rise(self) -> float:
        """By which share the complexity is higher with random weights."""
        return (self.complexity_random - self.complexity) / self.complexity if self.complexity else 0.0

    @property
    def sentence(self) -> str:
        """What the numbers mean."""
        if self.correlation >= MOST:
            return "Random weights give much the same picture: most of it shows the image and the layers, not what was learned."
        if self.correlation >= SOME:
            return "Random weights give a similar picture: part of it shows the image and the layers, not what was learned."
        return "Random weights give another picture: this one depends on what was learned."


def compare(trained: np.ndarray, random: np.ndarray) -> Comparison:
    """Two attributions (channels, rows, columns), by the sum of the absolute values at each pixel."""
    from scipy.stats import rankdata

    first, second = (np.abs(array.astype(np.float64)).sum(0).ravel() for array in (trained, random))
    ranks = [rankdata(values) for values in (first, second)]
    is_constant = any(np.ptp(each) == 0 for each in ranks)
    correlation = 0.0 if is_constant else float(np.corrcoef(*ranks)[0, 1])
    return Comparison(correlation=correlation, complexity=_entropy(first), complexity_random=_entropy(second))


def _entropy(values: np.ndarray) -> float:
    counts, _ = np.histogram(values, BINS)
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum())
