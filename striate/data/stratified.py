"""Drawing from every class in proportion.

The rows of a class are shuffled once and a smaller share is the beginning of a larger one, so of two limits drawn
from one stream the smaller is a subset of the larger.
"""

import numpy as np
from numpy.typing import NDArray

from striate.data.dataset import Labels

Counts = NDArray[np.int64]


def draw(labels: Labels, quota: Counts, rng: np.random.Generator) -> NDArray[np.int64]:
    """Sorted rows: `quota[c]` of class c, drawn without replacement."""
    rows = [rng.permutation(np.flatnonzero(labels == label))[:take] for label, take in enumerate(quota)]
    return np.sort(np.concatenate(rows))


def quotas(counts: Counts, total: int, least: Counts, most: Counts) -> Counts:
    """How many of each class make `total`, in proportion, at least `least` and at most `most` of each.

    The bounds come before the total. Webster's method: of n images the k-th has its turn at (k - 1/2) / n, so unlike
    with largest remainders no class gets fewer when the total grows.
    """
    labels = np.repeat(np.arange(len(counts)), counts)
    rank = np.concatenate([np.arange(count) for count in counts])
    turn = (rank + 0.5) / counts[labels]
    turn[rank < least[labels]] = 0
    turn[rank >= most[labels]] = 1
    taken = np.argsort(turn, kind="stable")[: np.clip(total, least.sum(), most.sum())]
    return np.bincount(labels[taken], minlength=len(counts))
