"""Images a second and peak memory of training by hand in NumPy, in PyTorch, and in other NumPy code, on A1 and D1.

    python benchmarks/engine_speed.py [--networks A1 D1] [--rounds 5] [--seconds 6] [--others PYTHON]

The same networks on the same kind of batches, float32: A1 with SGD and 64 images, D1 with Adam and 128. PyTorch is eager, as
a user writes it, in its usual layout and in channels-last. Each contender is a process of its own, and they take turns round by
round, so that a change in the machine's speed meets all of them; a ratio is of the same round. `--others` is the Python of an
environment that has numpy-ml 0.1.2 and dezero 0.0.13 (pip install numpy-ml==0.1.2 dezero==0.0.13 matplotlib); they run once, and
numpy-ml with 4 images on D1, since its loops are Python's.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

NETWORKS = {
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
    from striate.nets import NetworkConfig
    from striate.recipes import OptimizerConfig
    from striate.scratch.learner import Learner

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


def child(contender: str, network: str, seconds: float) -> None:
    """Steps for so long after a first one; prints images a second (of the median step) and megabytes as JSON."""
    step, count = STEPS[contender](network)
    step()
    times: list[float] = []
    while not times or sum(times) < seconds:
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"speed": count / statistics.median(times), "steps": len(times), "megabytes": megabytes}))


def spread(values: list[float], digits: int = 0) -> str:
    """median (lowest to highest)."""
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def measure(contender: str, network: str, options: argparse.Namespace) -> dict[str, float]:
    python = options.others if contender in OTHERS else sys.executable
    command = [python, "-W", "ignore", __file__, "--child", contender, network, "--seconds", str(options.seconds)]
    environment = {**os.environ, "PYTHONPATH": "" if contender in OTHERS else str(Path(__file__).parents[1])}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(f"{network}, {contender}: {found}", file=sys.stderr, flush=True)
    return found


def report(network: str, found: dict[str, list[dict[str, float]]], options: argparse.Namespace) -> None:
    base = [row["speed"] for row in found[TORCH[0]]]
    print(f"\n{network}, {options.rounds} rounds of {options.seconds:g} s; median (lowest to highest)\n")
    print("| | images/s | ratio to torch | peak memory MB |\n|---|---|---|---|")
    for contender, rows in found.items():
        speeds = [row["speed"] for row in rows]
        ratios = [speed / other for speed, other in zip(speeds, base, strict=False)]
        digits = 4 if contender in OTHERS else 2
        memory = spread([row["megabytes"] for row in rows])
        print(f"| {contender} | {spread(speeds)} | {spread(ratios, digits)} | {memory} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--others", help="the Python that has numpy-ml and dezero; without it they are left out")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child, options.seconds)
        return
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {platform.system()}"
    print(f"machine: {machine}; commit {commit.stdout.strip() or 'unknown'}")
    print(f"load when it began (1, 5, 15 minutes): {', '.join(f'{one:.1f}' for one in os.getloadavg())}")
    for network in options.networks:
        found: dict[str, list[dict[str, float]]] = {name: [] for name in (*OURS, *TORCH)}
        for _ in range(options.rounds):
            for contender in found:
                found[contender].append(measure(contender, network, options))
        if options.others:
            found |= {contender: [measure(contender, network, options)] for contender in OTHERS}
        report(network, found, options)


if __name__ == "__main__":
    main()
