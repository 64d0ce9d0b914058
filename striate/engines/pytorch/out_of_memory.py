"""Out of memory, said with the cure: the batch size that would have fitted."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from striate.core.errors import TrainingError
from striate.engines.pytorch.step import step

if TYPE_CHECKING:
    from striate.engines.pytorch.engine import TorchEngine

# How torch says it where it has no class of its own for it: on a CPU, on Apple's GPUs, and in the libraries below it.
_SAYS = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")


@contextmanager
def enough_for(what: str, cure: str) -> Iterator[None]:
    """Turn running out of memory inside into a TrainingError that says for what, and the cure."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        raise TrainingError(f"{what} needs more memory than there is; {cure} ({_plain(_first_line(error))})") from error


@contextmanager
def batch_that_fits(engine: "TorchEngine") -> Iterator[None]:
    """Turn running out of memory inside into a TrainingError that names a batch size which a step was tried with."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)  # they hold the tensors of the step that failed
        shown = _first_line(error)
    else:
        return
    size = engine.recipe.batch_size
    fits = _try_smaller(engine, min(size, len(engine.train_feed)))
    cure = (
        f"recipe.batch_size={fits} fits"
        if fits
        else "not even one image fits: take a smaller network or smaller images"
    )
    raise TrainingError(
        f"recipe.batch_size: a step of {size} images needs more memory than there is; {cure} ({_plain(shown)})"
    )


def _try_smaller(engine: "TorchEngine", size: int) -> int:
    """The largest half, quarter ... of `size` that a step works with; 0 if none does."""
    while size := size // 2:
        try:
            learner = engine.learner
            learner.optimizer.zero_grad()
            step(learner, engine.train_feed, engine.recipe, 0.0, engine.train_feed.batch(np.arange(size)))
        except ValueError:
            return 0  # a norm has nothing to compare a single image with
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
        else:
            return size
    return 0


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else "MemoryError"


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(words in str(error) for words in _SAYS)


def _plain(said: str) -> str:
    """What torch said, without where in its code it stands."""
    return said.rpartition("DefaultCPUAllocator: ")[2].strip()
