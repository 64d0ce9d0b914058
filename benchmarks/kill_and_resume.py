"""Whether a run that is killed at a random moment and resumed ends like one that was never killed.

    python benchmarks/kill_and_resume.py [DATA] [--trials 30] [--limit 1500] [--only NAME]

Each trial starts a run in a separate process and kills it with SIGKILL at a random moment, every second time while a file
is being written, up to three times before the run may end. Then its files are compared byte for byte with those of the
uninterrupted run: weights, predictions, and all metrics but times. In a trial the state is saved after every step, not
every minute, so that kills meet many saves.
"""

import argparse
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import describe_machine

# Network, channels, recipe. The last run has everything that keeps state between steps.
RUNS: dict[str, dict[str, Any]] = {
    "A1": {
        "network": "report-a",
        "channels": 1,
        "recipe": {"optimizer": {"name": "SGD", "lr": 0.001}, "batch_size": 64},
    },
    "D1": {
        "network": {"layers": "report-d", "norm": "batch"},
        "channels": 3,
        "recipe": {"augment": {"flip": True, "crop": 4}, "batch_size": 128},
    },
    "dropout, mixup, EMA": {
        "network": {"layers": "conv16 pool drop0.3 conv32 pool drop0.3 fc64", "norm": "batch"},
        "channels": 3,
        "recipe": {
            "optimizer": {"name": "SGD", "lr": 0.05, "momentum": 0.9, "clip": 1.0},
            "schedule": {"name": "plateau", "patience": 0},
            "augment": {"flip": True, "crop": 4, "mixup": 0.2},
            "ema": 0.99,
            "precise_norm": 500,
            "stop": {"patience": 3},
            "batch_size": 64,
        },
    },
}
MAX_KILLS = 3
COMPARED_FILES = ("best.safetensors", "final.safetensors", "predictions.npz")
TIMES = {"seconds", "images_per_second"}


def child(name: str, folder: Path, data: str, limit: int | None, epochs: int) -> None:
    """Train in this process, with one thread; in a trial, saving after every step."""
    from striate.data import DataConfig, load
    from striate.engines import driver
    from striate.engines.select import train
    from striate.nets import NetworkConfig
    from striate.recipes import Recipe
    from striate.runs import Job

    if folder.name != "whole":
        driver.AFTER_EPOCH_SECONDS = driver.WITHIN_EPOCH_SECONDS = 0.0
    run = RUNS[name]
    config = DataConfig(source=data, channels=run["channels"], limit=limit)
    dataset = load(config)
    recipe = Recipe.model_validate({**run["recipe"], "epochs": epochs})
    network = NetworkConfig.model_validate(run["network"])
    job = Job(data=config, digest=dataset.digest, network=network, recipe=recipe, seed=0)
    train(job, folder, dataset=dataset, device="cpu", threads=1)


def trial(
    start: Callable[[Path], "subprocess.Popen[bytes]"], folder: Path, life: float, rng: random.Random
) -> list[str]:
    """One run, killed and resumed until it ends; returns when each kill came."""
    kills: list[str] = []
    for _ in range(rng.randint(1, MAX_KILLS)):
        process = start(folder)
        waits_for_write = rng.random() < 0.5
        moment = time.monotonic() + rng.uniform(0, life)
        while process.poll() is None and (time.monotonic() < moment or (waits_for_write and not _writes(folder))):
            time.sleep(0.0005)
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        # An interrupted write leaves its unfinished file behind.
        kills.append("while writing" if _writes(folder) else "between writes")
    if start(folder).wait():
        raise SystemExit(f"{folder.name}: the resumed run failed")
    return kills


def results(folder: Path) -> dict[str, bytes]:
    """The files and numbers that must not depend on kills: all but times."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    untimed = [{key: row[key] for key in row if key not in TIMES} for row in rows]
    summary = json.loads((folder / "summary.json").read_text())
    del summary["seconds"]
    files = {name: (folder / name).read_bytes() for name in COMPARED_FILES}
    return {**files, "metrics": json.dumps(untimed).encode(), "summary": json.dumps(summary).encode()}


def _writes(folder: Path) -> list[Path]:
    return list(folder.glob(".*.unfinished"))


def starter(name: str, options: argparse.Namespace) -> Callable[[Path], "subprocess.Popen[bytes]"]:
    """A function that starts a run of `name` in a folder."""
    words = [sys.executable, __file__, options.data, "--epochs", str(options.epochs)]
    if options.limit:
        words += ["--limit", str(options.limit)]
    return lambda folder: subprocess.Popen([*words, "--child", name, str(folder)])


def check(name: str, options: argparse.Namespace, root: Path) -> tuple[int, int, int]:
    """How many of the trials ended as the run that was never killed; how many kills, and how many fell into a write."""
    start = starter(name, options)
    began = time.monotonic()
    if start(root / "whole").wait():
        raise SystemExit(f"{name}: the uninterrupted run failed")
    life = time.monotonic() - began
    expected = results(root / "whole")
    rng = random.Random(options.seed)
    same = kills = writing = 0
    for index in range(options.trials):
        attempts = (root / f"trial-{index}-{attempt}" for attempt in itertools.count())
        # A run that ended before it was killed shows nothing, so it is repeated.
        folder, killed = next((folder, killed) for folder in attempts if (killed := trial(start, folder, life, rng)))
        kills += len(killed)
        writing += killed.count("while writing")
        differing = [key for key, value in results(folder).items() if value != expected[key]]
        same += not differing
        print(f"{name}, trial {index + 1}: {', '.join(killed)}: "
              f"{'differs in ' + ', '.join(differing) if differing else 'equal'}", flush=True)  # fmt: skip
    return same, kills, writing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default="cifar10", help="cifar10, or the folder that holds it")
    parser.add_argument("--trials", type=int, default=30, help="of each network")
    parser.add_argument("--limit", type=int, default=1500, help="train on so many images only")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--only", choices=list(RUNS))
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child[0], Path(options.child[1]), options.data, options.limit, options.epochs)
        return
    os.environ["OMP_NUM_THREADS"] = "1"
    lines = []
    for name in [options.only] if options.only else RUNS:
        with tempfile.TemporaryDirectory() as root:
            same, kills, writing = check(name, options, Path(root))
        lines.append(f"| {name} | {same} of {options.trials} | {kills} | {writing} |")
    print("\n| run | equal to the bit | kills | of them while writing |\n|---|---|---|---|")
    print("\n".join(lines))
    print(f"\n{describe_machine()}")
    sys.exit(any(f"| {options.trials} of {options.trials} |" not in line for line in lines))


if __name__ == "__main__":
    main()
