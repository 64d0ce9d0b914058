"""Images a second and peak memory of training from scratch in NumPy, in PyTorch, and in other NumPy code, on A1 and D1.

    python benchmarks/engine_speed.py [--networks A1 D1 D1-norm] [--rounds 3] [--seconds 6]

The same networks on the same kind of batches, float32: A1 with SGD and 64 images; D1 with Adam and 128, without batch norm and with it
(D1-norm). PyTorch is eager, as a user writes it, in its usual layout and in channels-last. Each contender is a separate process,
and they take turns round by round, so that a change in the machine's speed affects all of them; a ratio compares runs of one round. The
other NumPy code is numpy-ml 0.1.2 and dezero 0.0.13 (pip install numpy-ml==0.1.2 dezero==0.0.13 matplotlib), if they are installed;
they run once, without batch norm, and numpy-ml with 4 images on D1, since its loops are in Python.
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
    "D1-norm": {"layers": "report-d", "norm": "batch", "shape": (3, 32, 32), "batch": 128, "optimizer": "Adam"},
}
LR = 1e-3
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

    settings = NETWORKS[network]
    optimizer = OptimizerConfig(name=settings["optimizer"], lr=LR)
    config = NetworkConfig(layers=settings["layers"], norm=settings.get("norm", "none"))
    learner = Learner(config, settings["shape"], 10, 0, optimizer, threads=threads)
    images, labels = batch_of(network, settings["batch"], channels_last=True)
    return lambda: learner.train_step(images, labels, LR), settings["batch"]


def torch_module(network: str) -> Any:
    from torch import nn

    if network == "A1":
        first, second, third = A1_FILTERS
        stages = [nn.Conv2d(1, first, 2, 2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(first, second, 2, 2), nn.ReLU()]
        return nn.Sequential(*stages, nn.MaxPool2d(2), nn.Conv2d(second, third, 2, 2), nn.Flatten())
    has_norm = network == "D1-norm"
    layers: list[nn.Module] = []
    channels, features = 3, 4096
    for filters, pools in D1_FILTERS:
        layers += [
            nn.Conv2d(channels, filters, 3, padding=1),
            *([nn.BatchNorm2d(filters)] if has_norm else []),
            nn.ReLU(),
        ]
        layers += [nn.MaxPool2d(2)] if pools else []
        channels = filters
    layers.append(nn.Flatten())
    for units in D1_UNITS[:-1]:
        layers += [nn.Linear(features, units), *([nn.BatchNorm1d(units)] if has_norm else []), nn.ReLU()]
        features = units
    return nn.Sequential(*layers, nn.Linear(features, D1_UNITS[-1]))


def torch_step(network: str, channels_last: bool) -> tuple[Step, int]:
    import torch
    from torch.nn import functional

    torch.set_num_threads(os.cpu_count() or 1)
    settings = NETWORKS[network]
    module = torch_module(network)
    images, labels = map(torch.from_numpy, batch_of(network, settings["batch"], channels_last=False))
    if channels_last:
        module, images = (item.to(memory_format=torch.channels_last) for item in (module, images))
    optimizer = getattr(torch.optim, settings["optimizer"])(module.parameters(), lr=LR)

    def step() -> None:
        loss = functional.cross_entropy(module(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()

    return step, settings["batch"]


def numpy_ml_step(network: str) -> tuple[Step, int]:
    """Its layers one after another. Its loss is not a layer, so the gradient, softmax minus target, is written here."""
    import collections
    import collections.abc

    import numpy as np

    for name in ("Hashable", "Container", "Iterable"):  # where they were before Python 3.10, which it was written for
        setattr(collections, name, getattr(collections.abc, name))
    from numpy_ml.neural_nets.layers import Conv2D, Flatten, FullyConnected, Pool2D

    options = {"optimizer": f"{NETWORKS[network]['optimizer']}(lr={LR})"}
    if network == "A1":
        convolutions = [
            (Conv2D(filters, (2, 2), stride=2, act_fn="ReLU" if i < 2 else None, **options), i < 2)
            for i, filters in enumerate(A1_FILTERS)
        ]
        dense = []
    else:
        convolutions = [
            (Conv2D(filters, (3, 3), pad=1, act_fn="ReLU", **options), pools) for filters, pools in D1_FILTERS
        ]
        dense = [FullyConnected(units, act_fn="ReLU" if units > 10 else None, **options) for units in D1_UNITS]
    layers = [layer for conv, pools in convolutions for layer in (conv, *([Pool2D((2, 2), stride=2)] if pools else []))]
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

    settings, net = NETWORKS[network], Net()
    optimizer = (optimizers.SGD(LR) if is_small else optimizers.Adam(LR)).setup(net)
    images, labels = batch_of(network, settings["batch"], channels_last=False)

    def step() -> None:
        loss = F.softmax_cross_entropy(net(images), labels)
        net.cleargrads()
        loss.backward()
        optimizer.update()

    return step, settings["batch"]


STEPS: dict[str, Callable[[str], tuple[Step, int]]] = {
    OURS[0]: lambda network: scratch_step(network, 1),
    OURS[1]: lambda network: scratch_step(network, os.cpu_count() or 1),
    TORCH[0]: lambda network: torch_step(network, False),
    TORCH[1]: lambda network: torch_step(network, True),
    OTHERS[0]: numpy_ml_step,
    OTHERS[1]: dezero_step,
}


def child(contender: str, config: dict[str, Any]) -> dict[str, Any]:
    """Images a second of the median step, over so many seconds of steps after a first one."""
    step, count = STEPS[contender](config["network"])
    step()
    times: list[float] = []
    while not times or sum(times) < config["seconds"]:
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    return {"speed": count / statistics.median(times), "steps": len(times)}


def row(contender: str, runs: list[dict[str, Any]], baseline: list[dict[str, Any]]) -> list[str]:
    """A contender's row of the table; each round is compared with torch's of that round."""
    pairs = [(run, other) for run, other in zip(runs, baseline, strict=False) if "speed" in run and "speed" in other]
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
    parser = common.argument_parser(__doc__, data=False)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--seconds", type=float, default=6)
    options = parser.parse_args()
    if options.child:
        common.print_results(lambda: child(options.child[0], json.loads(options.child[1])))
    for network in options.networks:
        results: dict[str, list[dict[str, Any]]] = {contender: [] for contender in STEPS}
        config = {"network": network, "seconds": options.seconds}
        for number in range(options.rounds):
            for contender in STEPS:
                if contender in OTHERS and (number or network == "D1-norm"):
                    continue
                results[contender].append(common.run_in_process(__file__, contender, config))
                print(f"{network}, round {number}, {contender}: {results[contender][-1]}", file=sys.stderr, flush=True)
        print(f"\n{network}, {options.rounds} rounds of {options.seconds:g} s; median (lowest to highest)\n")
        columns = ["", "n", "images/s", "ratio to torch", "peak memory MB"]
        rows = [row(contender, runs, results[TORCH[0]]) for contender, runs in results.items() if runs]
        common.print_table(columns, rows)
    print(f"\n{common.describe_machine()}")


if __name__ == "__main__":
    main()
