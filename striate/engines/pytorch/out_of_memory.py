"""Running out of memory, told with the cure: the batch size that would fit."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from striate.core.errors import TrainingError

# What torch says where it has no exception class for it: on a CPU, on Apple's GPUs, and in libraries below it.
_MESSAGES = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")


@contextmanager
def enough_memory_for(task: str, cure: str) -> Iterator[None]:
    """Turn running out of memory inside into a TrainingError that names the task and the cure."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(f"{task} needs more memory than there is; {cure} ({_message(error)})") from error


@contextmanager
def batch_that_fits(size: int, train_step: Callable[[int], None]) -> Iterator[None]:
    """Turn running out of memory in a step of `size` images into a TrainingError that names a smaller size that fits.

    `train_step(count)` is tried with a half, a quarter ... of the size.
    """
    try:
        yield
        return
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)  # they hold the tensors of the failed step
        message = _message(error)
    fitting = _largest_that_fits(size, train_step)
    cure = (
        f"recipe.batch_size={fitting} fits"
        if fitting
        else "not even one image fits: take a smaller network or smaller images"
    )
    raise TrainingError(
        f"recipe.batch_size: a step of {size} images needs more memory than there is; {cure} ({message})"
    )


def is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(message in str(error) for message in _MESSAGES)


def _largest_that_fits(size: int, train_step: Callable[[int], None]) -> int:
    """The largest half, quarter ... of `size` that a step works with; 0 if none does."""
    while size := size // 2:
        try:
            train_step(size)
        except ValueError:
            return 0  # batch norm refuses a single image
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        else:
            return size
    return 0


def _message(error: BaseException) -> str:
    """The first line of what torch says, without its place in torch's source."""
    first = str(error).splitlines()[0] if str(error) else "MemoryError"
    return first.rpartition("DefaultCPUAllocator: ")[2].strip()
