"""Images a second and accuracy of a plain PyTorch loop and of Striate, side by side, on network D1 with batch norm.

    python benchmarks/training_speed.py DATA [--seeds 3] [--epochs 3] [--limit N]

The plain loop is what a user would write: a torchvision dataset with its transforms (flip, crop 4), DataLoader
with 0 or 2 workers, float32, Adam. Both get the same training images, batch size, learning rate and number of
epochs. Each run is a process of its own, and the contenders take turns seed by seed, so that a change in the
machine's speed meets all of them. The loop with 2 workers is timed over a part of an epoch only.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BATCH, LR = 128, 0.001
LAYERS = "conv64 pool conv128 pool conv256 conv256 pool fc1024 fc1024"
TIMED_STEPS = 60
CONTENDERS = ("plain, 0 workers", "plain, 2 workers", "striate")


def plain_module() -> Any:
    """Network D1 as a user would write it."""
    from torch import nn

    layers: list[nn.Module] = []
    channels = 3
    for width, pool in ((64, True), (128, True), (256, False), (256, True)):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if pool else []
        channels = width
    layers.append(nn.Flatten())
    for inputs in (4096, 1024):
        layers += [nn.Linear(inputs, 1024), nn.BatchNorm1d(1024), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(1024, 10))


def run_plain(config: dict[str, Any], workers: int) -> dict[str, Any]:
    """The loop; with workers it stops after TIMED_STEPS and has no accuracy."""
    import torch
    from PIL import Image
    from torch.nn import functional
    from torch.utils.data import DataLoader
    from torchvision import transforms
    from torchvision.datasets import VisionDataset

    from striate.data import DataConfig, load, mean_std, split

    dataset = load(DataConfig(source=config["data"], limit=config["limit"]))
    parts = split(dataset, 0.1, config["seed"])
    mean, std = mean_std(dataset.train.images, parts.train)

    class Images(VisionDataset):
        """As torchvision's CIFAR10: an array of pictures, each made a PIL image when it is asked for."""

        def __init__(self, part: Any, transform: Any) -> None:
            super().__init__(transform=transform)
            self.part = part

        def __len__(self) -> int:
            return len(self.part)

        def __getitem__(self, index: int) -> tuple[Any, int]:
            return self.transform(Image.fromarray(self.part.images[index])), int(self.part.labels[index])

    normalize = [transforms.ToTensor(), transforms.Normalize(mean.tolist(), std.tolist())]
    augment = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
    torch.manual_seed(config["seed"])
    module = plain_module()
    optimizer = torch.optim.Adam(module.parameters(), lr=LR)
    train = Images(parts.part("train"), transforms.Compose([*augment, *normalize]))
    loader = DataLoader(train, BATCH, shuffle=True, num_workers=workers)
    seconds, images = 0.0, 0
    for _ in range(config["epochs"]):
        module.train()
        started = time.perf_counter()
        for x, y in loader:
            loss = functional.cross_entropy(module(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            images += len(y)
            if workers and images >= TIMED_STEPS * BATCH:
                break
        seconds += time.perf_counter() - started
        if workers:
            return {"images_per_second": images / seconds}
    module.eval()
    test = DataLoader(Images(dataset.open_test("the benchmark's end"), transforms.Compose(normalize)), 500)
    with torch.inference_mode():
        right = sum(int((module(x).argmax(1) == y).sum()) for x, y in test)
    return {"images_per_second": images / seconds, "accuracy": 100 * right / dataset.test_size}


def run_striate(config: dict[str, Any]) -> dict[str, Any]:
    """Striate's defaults: nothing is set but what the study would say."""
    from striate.data import DataConfig, load
    from striate.nets import NetworkConfig
    from striate.recipes import Recipe
    from striate.runs import Job, read
    from striate.training.device import keep_freed_memory
    from striate.training.train import train

    keep_freed_memory()  # as the process does that a study trains in

    data = DataConfig(source=config["data"], limit=config["limit"])
    dataset = load(data)
    recipe = Recipe(
        optimizer={"name": "Adam", "lr": LR},
        batch_size=BATCH,
        epochs=config["epochs"],
        augment={"flip": True, "crop": 4},
    )
    network = NetworkConfig(layers=LAYERS, norm="batch")
    job = Job(data=data, digest=dataset.digest, network=network, recipe=recipe, seed=config["seed"])
    with tempfile.TemporaryDirectory() as folder:
        summary = train(job, Path(folder), dataset=dataset)
        run = read(Path(folder))
    assert summary is not None
    assert summary.test_accuracy is not None
    images = summary.data["train"] * len(run.metrics)
    seconds = sum(summary.data["train"] / row["images_per_second"] for row in run.metrics)
    return {
        "images_per_second": images / seconds,
        "accuracy": 100 * summary.test_accuracy,
        "precision": run.environment["precision"],
    }


def child(contender: str, config: dict[str, Any]) -> None:
    """One run in this process; prints its result as JSON."""
    found = run_striate(config) if contender == "striate" else run_plain(config, 2 if "2 workers" in contender else 0)
    found["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(found))


def spread(values: list[float], digits: int = 0) -> str:
    """median (lowest to highest)."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def report(found: dict[str, list[dict[str, Any]]], options: argparse.Namespace) -> None:
    """The table, with what it was measured on."""
    import torch

    import striate
    from striate.training.device import name

    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    print(
        f"machine: {name(torch.device('cpu'))}, {os.cpu_count()} cores, {platform.system()}; torch {torch.__version__}"
    )
    print(
        f"striate {striate.__version__}, commit {commit.stdout.strip() or 'unknown'}, precision {found['striate'][0]['precision']}"
    )
    print(
        f"{options.seeds} seeds, {options.epochs} epochs, {options.limit or 'all'} training images; median (lowest to highest)\n"
    )
    print("| | images/s | ratio to plain, 0 workers | test accuracy % | peak memory MB |")
    print("|---|---|---|---|---|")
    base = [row["images_per_second"] for row in found[CONTENDERS[0]]]
    for contender in CONTENDERS:
        rows = found[contender]
        speeds = [row["images_per_second"] for row in rows]
        ratios = [speed / plain for speed, plain in zip(speeds, base, strict=True)]
        accuracy = spread([row["accuracy"] for row in rows], 2) if "accuracy" in rows[0] else "not run"
        print(
            f"| {contender} | {spread(speeds)} | {spread(ratios, 2)} | {accuracy} | {spread([r['megabytes'] for r in rows])} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default="cifar10", help="cifar10, or the folder that holds it")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--limit", type=int, help="train on so many images only")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child[0], json.loads(options.child[1]))
        return
    found: dict[str, list[dict[str, Any]]] = {contender: [] for contender in CONTENDERS}
    for seed in range(options.seeds):
        for contender in CONTENDERS:
            config = {"data": options.data, "limit": options.limit, "epochs": options.epochs, "seed": seed}
            command = [sys.executable, __file__, "--child", contender, json.dumps(config)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found[contender].append(json.loads(done.stdout.splitlines()[-1]))
            print(f"seed {seed}, {contender}: {found[contender][-1]}", file=sys.stderr, flush=True)
    report(found, options)


if __name__ == "__main__":
    main()
