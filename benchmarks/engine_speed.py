"""Images a second and peak memory of training by hand in NumPy, in PyTorch, and in other NumPy code, on A1 and D1.

    python benchmarks/engine_speed.py [--networks A1 D1] [--rounds 3] [--seconds 6]

The same networks on the same kind of batches, float32: A1 with SGD and 64 images, D1 with Adam and 128. PyTorch is eager, as
a user writes it, in its usual layout and in channels-last. Each contender is a process of its own, and they take turns round by
round, so that a change in the machine's speed meets all of them; a ratio is of the same round. The other NumPy code is numpy-ml 0.1.2 and
dezero 0.0.13 (pip install numpy-ml==0.1.2 dezero==0.0.13 matplotlib), where they are installed; they run once, and numpy-ml with 4
images on D1, since its loops are Python's.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import common

NETWORKS: dict[str, dict[str, Any]] = {
    "A1": {"layers": "report-a", "shape": (1, 32, 32), "batch": 64, "optimizer": "SGD"},
    "D1": {"layers": "report-d", "shape": (3, 32, 32), "batch": 128, "optimizer": "Adam"},
}
RATE = 1e-3
OURS, TORCH = ("numpy, 1 thread", "numpy, all cores"), ("torch", "torch, channels-last")
OTHERS = ("numpy-ml", "dezero")
A1_FILTERS, D1_FILTERS, D1_UNITS = (32, 10, 10), ((64, True), (128, True), (256, False), (256, True)), (1024, 1024, 10)
Step = Callable[[], object]


def batch_of(network: str, count: int, channels_last: bool) -> tuple[Any, Any]:
    import numpy as np

    rng = np.random.default_rng(0)
    C, H, W = NETWORKS[network]["shape"]  # noqa: N806
    shape = (count, H, W, C) if channels_last else (count, C, H, W)
    return rng.standard_normal(shape).astype(np.float32), rng.integers(0, 10, count)


def scratch_step(network: str, threads: int) -> tuple[Step, int]:
    from striate.engines.scratch.learner import Learner
    from striate.nets import NetworkConfig
    from striate.recipes import OptimizerConfig

    said = NETWORKS[network]
    optimizer = OptimizerConfig(name=said["optimizer"], lr=RATE)
    learner = Learner(NetworkConfig(layers=said["layers"]), said["shape"], 10, 0, optimizer, threads=threads)
    images, labels = batch_of(network, said["batch"], channels_last=True)
    return lambda: learner.train_step(images, labels, RATE), said["batch"]


def torch_module(network: str) -> Any:
    from torch import nn

    if network == "A1":
        one, two, three = A1_FILTERS
        first = [nn.Conv2d(1, one, 2, 2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(one, two, 2, 2), nn.ReLU()]
        return nn.Sequential(*first, nn.MaxPool2d(2), nn.Conv2d(two, three, 2, 2), nn.Flatten())
    layers: list[nn.Module] = []
    channels = 3
    for filters, pools in D1_FILTERS:
        layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(), *([nn.MaxPool2d(2)] if pools else [])]
        channels = filters
    layers += [nn.Flatten(), nn.Linear(4096, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10)]
    return nn.Sequential(*layers)


def torch_step(network: str, channels_last: bool) -> tuple[Step, int]:
    import torch
    from torch.nn import functional

    torch.set_num_threads(os.cpu_count() or 1)
    said = NETWORKS[network]
    module = torch_module(network)
    images, labels = map(torch.from_numpy, batch_of(network, said["batch"], channels_last=False))
    if channels_last:
        module, images = (one.to(memory_format=torch.channels_last) for one in (module, images))
    optimizer = getattr(torch.optim, said["optimizer"])(module.parameters(), lr=RATE)

    def step() -> None:
        loss = functional.cross_entropy(module(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()

    return step, said["batch"]


def numpy_ml_step(network: str) -> tuple[Step, int]:
    """Its layers one after another; its loss is not among its layers, so softmax minus target is written here."""
    import collections
    import collections.abc

    import numpy as np

    for name in ("Hashable", "Container", "Iterable"):  # where they were before Python 3.10, which it was written for
        setattr(collections, name, getattr(collections.abc, name))
    from numpy_ml.neural_nets.layers import Conv2D, Flatten, FullyConnected, Pool2D

    by = {"optimizer": f"{NETWORKS[network]['optimizer']}(lr={RATE})"}
    if network == "A1":
        made = [
            (Conv2D(filters, (2, 2), stride=2, act_fn="ReLU" if i < 2 else None, **by), i < 2)
            for i, filters in enumerate(A1_FILTERS)
        ]
        dense = []
    else:
        made = [(Conv2D(filters, (3, 3), pad=1, act_fn="ReLU", **by), pools) for filters, pools in D1_FILTERS]
        dense = [FullyConnected(units, act_fn="ReLU" if units > 10 else None, **by) for units in D1_UNITS]
    layers = [layer for conv, pools in made for layer in (conv, *([Pool2D((2, 2), stride=2)] if pools else []))]
    layers += [Flatten(), *dense]
    count = 64 if network == "A1" else 4
    images, labels = batch_of(network, count, channels_last=True)

    def step() -> None:
        y = images
        for layer in layers:
            y = layer.forward(y)
        powers = np.exp(y - y.max(1, keepdims=True))
        g = (powers / powers.sum(1, keepdims=True) - np.eye(10)[labels]) / count
        for layer in reversed(layers):
            g = layer.backward(g)
        for layer in layers:
            if layer.optimizer and layer.gradients:
                layer.update()
                layer.flush_gradients()

    return step, count


def dezero_step(network: str) -> tuple[Step, int]:
    import numpy as np

    np.int = int  # type: ignore[attr-defined]  # as it was before NumPy 1.24, which it was written for
    import dezero.functions as F  # noqa: N812
    import dezero.layers as L  # noqa: N812
    from dezero import Model, optimizers

    is_small = network == "A1"

    class Net(Model):
        def __init__(self) -> None:
            super().__init__()
            sizes = [(filters, i < 2) for i, filters in enumerate(A1_FILTERS)] if is_small else D1_FILTERS
            self.pools = [pools for _, pools in sizes]
            for i, (filters, _) in enumerate(sizes):
                setattr(self, f"c{i}", L.Conv2d(filters, 2, 2, 0) if is_small else L.Conv2d(filters, 3, 1, 1))
            for i, units in enumerate(() if is_small else D1_UNITS):
                setattr(self, f"f{i}", L.Linear(units))

        def forward(self, x: Any) -> Any:
            for i, pools in enumerate(self.pools):
                x = getattr(self, f"c{i}")(x)
                x = F.relu(x) if i < 2 or not is_small else x
                x = F.pooling(x, 2, 2) if pools else x
            x = F.reshape(x, (x.shape[0], -1))
            for i in range(0 if is_small else 3):
                x = getattr(self, f"f{i}")(x)
                x = F.relu(x) if i < 2 else x
            return x

    said, net = NETWORKS[network], Net()
    optimizer = (optimizers.SGD(RATE) if is_small else optimizers.Adam(RATE)).setup(net)
    images, labels = batch_of(network, said["batch"], channels_last=False)

    def step() -> None:
        loss = F.softmax_cross_entropy(net(images), labels)
        net.cleargrads()
        loss.backward()
        optimizer.update()

    return step, said["batch"]


STEPS: dict[str, Callable[[str], tuple[Step, int]]] = {
    OURS[0]: lambda network: scratch_step(network, 1),
    OURS[1]: lambda network: scratch_step(network, os.cpu_count() or 1),
    TORCH[0]: lambda network: torch_step(network, False),
    TORCH[1]: lambda network: torch_step(network, True),
    OTHERS[0]: numpy_ml_step,
    OTHERS[1]: dezero_step,
}


def child(contender: str, config: dict[str, Any]) -> dict[str, Any]:
    """Steps for so long after a first one: images a second, of the median step."""
    step, count = STEPS[contender](config["network"])
    step()
    times: list[float] = []
    while not times or sum(times) < config["seconds"]:
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    return {"speed": count / statistics.median(times), "steps": len(times)}


def row(contender: str, runs: list[dict[str, Any]], base: list[dict[str, Any]]) -> list[str]:
    """A contender's line; each round is compared with torch's of that round."""
    pairs = [(run, other) for run, other in zip(runs, base, strict=False) if "speed" in run and "speed" in other]
    failed = "; ".join(sorted({run["failed"] for run in runs if "failed" in run}))
    if not pairs:
        return [contender, "0", failed or "nothing to compare it with", "", ""]
    speeds = common.spread([run["speed"] for run, _ in pairs])
    ratios = common.spread([run["speed"] / other["speed"] for run, other in pairs], 4 if contender in OTHERS else 2)
    return [
        contender,
        str(len(pairs)),
        f"{speeds} {failed}".strip(),
        ratios,
        common.spread([run["megabytes"] for run, _ in pairs]),
    ]


def main() -> None:
    parser = common.parser(__doc__, data=False)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--seconds", type=float, default=6)
    options = parser.parse_args()
    if options.child:
        common.serve(lambda: child(options.child[0], json.loads(options.child[1])))
    for network in options.networks:
        found: dict[str, list[dict[str, Any]]] = {contender: [] for contender in STEPS}
        config = {"network": network, "seconds": options.seconds}
        for number in range(options.rounds):
            for contender in STEPS:
                if number and contender in OTHERS:
                    continue
                found[contender].append(common.apart(__file__, contender, config))
                print(f"{network}, round {number}, {contender}: {found[contender][-1]}", file=sys.stderr, flush=True)
        print(f"\n{network}, {options.rounds} rounds of {options.seconds:g} s; median (lowest to highest)\n")
        columns = ["", "n", "images/s", "ratio to torch", "peak memory MB"]
        common.print_table(columns, [row(contender, runs, found[TORCH[0]]) for contender, runs in found.items()])
    print(f"\n{common.machine()}")


if __name__ == "__main__":
    main()
