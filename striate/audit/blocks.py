"""Work on many rows, a block a thread."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from striate.core.processes import cpu_count


def in_threads(fill: Callable[[slice], None], count: int, size: int) -> None:
    """Call `fill` with each slice of `size` of `count` rows, on as many threads as there are processors.

    Matrix products keep to the thread that calls them: most of the time is spent around them.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), ThreadPoolExecutor(cpu_count()) as pool:
        list(pool.map(fill, (slice(start, min(start + size, count)) for start in range(0, count, size))))
