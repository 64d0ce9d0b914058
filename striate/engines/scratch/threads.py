"""Several threads that share a batch: each takes some of its images through the whole network.

NumPy computes outside Python's lock, so threads do run at once; and with a part of the batch each, every operation is
shared without a word about threads in it. Only what is summed over the batch needs the others: `add_up`. Sums are taken in the
order of the workers, so a number of workers gives the same bits each time.
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
    """`size` workers, the caller's own thread among them."""

    def __init__(self, size: int = 1) -> None:
        self.size = size
        self._threads = ThreadPoolExecutor(size - 1, "striate-scratch") if size > 1 else None
        self._barriers: dict[int, threading.Barrier] = {}
        self._slots: list[Any] = [None] * size
        self._present = 1

    def run(self, work: Callable[[int], Result], parts: int) -> list[Result]:
        """`work(0)`, ..., `work(parts - 1)` at once; their results in order. The first real fault is raised."""
        self._present = parts
        if self._threads is None or parts == 1:
            return [work(0)]
        barrier = self._barriers.setdefault(parts, threading.Barrier(parts))
        barrier.reset()
        others = [self._threads.submit(self._guarded, work, part, barrier) for part in range(1, parts)]
        faults: list[BaseException] = []
        found: list[Result] = []
        for result in (lambda: self._guarded(work, 0, barrier), *(one.result for one in others)):
            try:
                found.append(result())
            except BaseException as fault:
                faults.append(fault)
        if faults:
            # A worker whose mate failed finds the barrier broken: that is not what went wrong.
            raise next((fault for fault in faults if not isinstance(fault, threading.BrokenBarrierError)), faults[0])
        return found

    def wait(self) -> None:
        """Until every worker is here."""
        if self._present > 1:
            self._barriers[self._present].wait()

    def add_up(self, part: int, value: Array) -> Array:
        """The sum of what every worker brings."""
        if self._present == 1:
            return value
        self._slots[part] = value
        self.wait()
        total = self._slots[0]
        for other in self._slots[1 : self._present]:
            total = total + other
        self.wait()  # nobody puts the next value where another still reads
        return total

    @staticmethod
    def _guarded(work: Callable[[int], Result], part: int, barrier: threading.Barrier) -> Result:
        try:
            return work(part)
        except BaseException:
            barrier.abort()  # the others would wait for ever
            raise


class OneThreadEach:
    """While workers compute, the matrix product of each keeps to its own thread: more of them than cores is slower."""

    def __init__(self) -> None:
        import threadpoolctl

        self._controller = threadpoolctl.ThreadpoolController().select(user_api="blas")

    def __call__(self) -> AbstractContextManager[Any]:
        return self._controller.limit(limits=1)


def shares(count: int, size: int) -> list[slice]:
    """`count` images in up to `size` parts, as equal as can be; none is empty."""
    parts = max(1, min(count, size))
    edges = [count * part // parts for part in range(parts + 1)]
    return [slice(*edge) for edge in itertools.pairwise(edges)]
