"""Where a training step from scratch in NumPy goes: milliseconds by layer, and what its matrix products alone take.

    python benchmarks/scratch_step.py [--networks D1 D1-norm] [--threads 2] [--rounds 20]

Times are those of the first thread; `waiting` is part of the layers' times too. The products are those of convolutions and fc layers,
on the same arrays and threads with nothing between them: while the engine computes these, no step can take less.
"""

import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import common
from engine_speed import LR, NETWORKS, batch_of

TRANSFORM = 6  # sides of the small matrices of Winograd's transforms; larger ones are products


def make_learner(network: str, threads: int) -> Any:
    from striate.engines.scratch.learner import Learner
    from striate.nets import NetworkConfig
    from striate.recipes import OptimizerConfig

    settings = NETWORKS[network]
    config = NetworkConfig(layers=settings["layers"], norm=settings.get("norm", "none"))
    optimizer = OptimizerConfig(name=settings["optimizer"], lr=LR)
    return Learner(config, settings["shape"], 10, 0, optimizer, threads=threads)


def product_times(learner: Any, step: Callable[[], object], threads: int, rounds: int) -> list[float]:
    """Milliseconds of the products of a step alone, in each round."""
    import numpy as np
    import threadpoolctl

    calls: dict[int, list[tuple[Any, Any, Any]]] = defaultdict(list)
    matmul = np.matmul

    def recording(a: Any, b: Any, out: Any = None) -> Any:
        if max(a.shape) > TRANSFORM:
            calls[threading.get_ident()].append((a, b, out))
        return matmul(a, b, out=out)

    np.matmul = recording  # type: ignore[assignment]
    try:
        step()
    finally:
        np.matmul = matmul
    barrier = threading.Barrier(threads)

    def replay(own: list[tuple[Any, Any, Any]]) -> float:
        barrier.wait()
        started = time.perf_counter()
        for a, b, out in own:
            matmul(a, b, out=out)
        barrier.wait()
        return 1000 * (time.perf_counter() - started)

    with ThreadPoolExecutor(threads) as pool, threadpoolctl.threadpool_limits(1, user_api="blas"):
        return [max(pool.map(replay, calls.values())) for _ in range(rounds)]


def step_times(learner: Any, step: Callable[[], object], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each part in each step, by name."""
    spent: dict[str, float] = defaultdict(float)
    for layer in learner.network.layers:
        for direction in ("forward", "backward"):
            _time(layer, direction, f"{layer.name} {direction}", spent)
    _time(learner, "_update", "optimizer", spent)
    _time(learner.team, "wait", "waiting", spent)
    times: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        spent.clear()
        started = time.perf_counter()
        step()
        spent["the whole step"] = time.perf_counter() - started
        for name, seconds in spent.items():
            times[name].append(1000 * seconds)
    return times


def _time(target: Any, method: str, name: str, spent: dict[str, float]) -> None:
    """Let `target.method` add its seconds on the first thread to `spent`."""
    function = getattr(target, method)

    def timed(*arguments: Any) -> Any:
        started = time.perf_counter()
        result = function(*arguments)
        if threading.current_thread() is threading.main_thread():
            spent[name] += time.perf_counter() - started
        return result

    setattr(target, method, timed)


def main() -> None:
    parser = common.argument_parser(__doc__, data=False)
    parser.add_argument("--networks", nargs="+", default=["D1", "D1-norm"], choices=NETWORKS)
    parser.add_argument("--threads", type=int, default=2)
    parser.set_defaults(rounds=20)
    options = parser.parse_args()
    print(common.describe_machine())
    for network in options.networks:
        learner = make_learner(network, options.threads)
        images, labels = batch_of(network, NETWORKS[network]["batch"], channels_last=True)

        def step(learner: Any = learner, images: Any = images, labels: Any = labels) -> None:
            learner.train_step(images, labels, LR)

        for _ in range(2):  # these make the arrays that are used again
            step()
        alone = product_times(learner, step, options.threads, options.rounds)
        times = step_times(learner, step, options.rounds)
        learner.close()
        shown = {name: values for name, values in times.items() if statistics.median(values) >= 1}
        rows = [[name, common.spread(values, 1)] for name, values in shown.items()]
        rows.append(["its matrix products alone", common.spread(alone, 1)])
        print(
            f"\n{network}, {options.threads} threads, n = {options.rounds}; ms, median (least to most); parts of 1 ms or more\n"
        )
        common.print_table(["part", "ms"], rows)


if __name__ == "__main__":
    main()
