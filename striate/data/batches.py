"""An epoch as an order of places; where one is in it is a number, so it can be saved and taken up again."""

import numpy as np

from striate.core.seeds import stream


def epoch_order(seed: int, epoch: int, count: int, *, shuffle: bool = True) -> np.ndarray:
    """The order of `count` training images in one epoch; as they lie, if they are not to be shuffled."""
    if not shuffle:
        return np.arange(count)
    return stream(seed, "order", epoch).permutation(count)


def batch_slices(count: int, batch_size: int) -> list[slice]:
    """The batches of an epoch as slices of its order.

    A single image left over joins the batch before it: batch norm has no variance of one.
    """
    starts = list(range(0, count, batch_size))
    if len(starts) > 1 and count - starts[-1] == 1:
        starts.pop()
    return [slice(start, end) for start, end in zip(starts, [*starts[1:], count], strict=True)]
