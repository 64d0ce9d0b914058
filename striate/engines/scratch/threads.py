"""Threads that share a batch: each takes some of its images through the whole network.

NumPy computes outside Python's global lock, so the threads do run in parallel. As each has images of its own, an operation
needs no code for threads, unless it sums over the batch: then it calls `all_reduce`. Sums are taken in the order of the
workers, so a given number of workers produces the same bits each time.
"""

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from striate.engines.scratch.library import Array

Result = TypeVar("Result")


class ThreadTeam:
    """`size` workers, one of them the caller's own thread."""

    def __init__(self, size: int = 1) -> None:
        self.size = size
        self.lock = threading.Lock()
        self._pool = ThreadPoolExecutor(size - 1, "striate-scratch") if size > 1 else None
        self._barriers: dict[int, threading.Barrier] = {}
        self._slots: list[list[Any]] = [[None] * size, [None] * size]
        self._turns = [0] * size  # how often each worker has summed in the call in progress
        self.active = 1  # workers of the call in progress

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def run(self, work: Callable[[int], Result], workers: int) -> list[Result]:
        """`work(0)`, ..., `work(workers - 1)` in parallel; their results in order. The first real error is raised."""
        self.active = workers
        self._turns = [0] * workers
        if self._pool is None or workers == 1:
            return [work(0)]
        barrier = self._barriers.setdefault(workers, threading.Barrier(workers))
        barrier.reset()
        others = [self._pool.submit(self._guarded, work, worker, barrier) for worker in range(1, workers)]
        errors: list[BaseException] = []
        results: list[Result] = []
        for get_result in (lambda: self._guarded(work, 0, barrier), *(future.result for future in others)):
            try:
                results.append(get_result())
            except BaseException as error:
                errors.append(error)
        if errors:
            # A worker that waited for the failed one raises BrokenBarrierError: that is not the cause.
            raise next((error for error in errors if not isinstance(error, threading.BrokenBarrierError)), errors[0])
        return results

    def wait(self) -> None:
        """Wait until every worker is here."""
        if self.active > 1:
            self._barriers[self.active].wait()

    def all_reduce(self, worker: int, value: Array) -> Array:
        """The sum of the values of all workers."""
        if self.active == 1:
            return value
        # Two sets of slots in turns: no worker writes its next value where another still reads.
        slots = self._slots[self._turns[worker] % 2]
        self._turns[worker] += 1
        slots[worker] = value
        self.wait()
        total = slots[0]
        for other in slots[1 : self.active]:
            total = total + other
        return total

    @staticmethod
    def _guarded(work: Callable[[int], Result], worker: int, barrier: threading.Barrier) -> Result:
        try:
            return work(worker)
        except BaseException:
            barrier.abort()  # or the others would wait forever
            raise


class SingleThreadedBlas:
    """`with limit():` gives each matrix product one thread, because the workers use the cores already."""

    def __init__(self) -> None:
        import threadpoolctl

        self._controller = threadpoolctl.ThreadpoolController().select(user_api="blas")

    def __call__(self) -> AbstractContextManager[Any]:
        return self._controller.limit(limits=1)


def split_evenly(count: int, parts: int) -> list[slice]:
    """`count` images in up to `parts` slices of almost equal length; none is empty."""
    used = max(1, min(count, parts))
    edges = [count * part // used for part in range(used + 1)]
    return [slice(*edge) for edge in itertools.pairwise(edges)]
