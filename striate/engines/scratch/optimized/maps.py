"""The memory of maps in the optimized layers: their shape stays (N, H, W, C), but the values of all images at a pixel are neighbors.

A pixel of a batch is then one long row of N x C numbers. Operations on parts of a map (a row, every second column, the corners
of all tiles) are operations on such rows, which NumPy does at the speed of memory; on C numbers at a time it would mostly start
loops. Long operations also suit threads: Python's global lock changes hands between operations.
"""

from collections.abc import Callable, Iterator

import numpy as np

from striate.engines.scratch.context import ForwardContext

# Numbers that an operation takes at once: few enough for the cache of a core, enough that threads rarely wait for the lock.
CACHED = 1 << 18


def pixels_first(x_NHWC: np.ndarray, key: tuple[str, ...], context: ForwardContext) -> np.ndarray:
    """The map as a contiguous (H, W, N, C): the same memory where it has that order, else a copy in the buffer `key`."""
    x_HWNC = x_NHWC.transpose(1, 2, 0, 3)
    if x_HWNC.flags.c_contiguous:
        return x_HWNC
    copied = context.buffer(key, x_HWNC.shape, x_HWNC.dtype)
    np.copyto(copied, x_HWNC)
    return copied


def images_first(x_HWNC: np.ndarray) -> np.ndarray:
    """The same memory in the shape that layers exchange, (N, H, W, C)."""
    return x_HWNC.transpose(2, 0, 1, 3)


def like(x: np.ndarray, empty: Callable[[tuple[int, ...]], np.ndarray]) -> np.ndarray:
    """An array of the shape of `x`, with the same order in memory. `empty` makes one of a shape."""
    if x.ndim != 4 or not x.transpose(1, 2, 0, 3).flags.c_contiguous:
        return empty(x.shape)
    N, H, W, C = x.shape
    return images_first(empty((H, W, N, C)))


def cache_blocks(count: int, row_size: int) -> Iterator[slice]:
    """Slices of `count` rows of `row_size` numbers each: as many at once as the cache holds, at least one."""
    step = max(1, CACHED // max(1, row_size))
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))
