"""How long a network trains until it has an accuracy on the test images: CIFAR-10, by default with network and recipe `speedrun`.

    python benchmarks/time_to_accuracy.py [DATA] [--network speedrun] [--recipe speedrun] [--targets 88.2 93.6]
        [--validation 0.1] [--rounds 3] [KEY=VALUE ...]

Each round is one seed in a separate process, with all threads of the machine. A share of the training images is held
out for validation; the public speed runs train on all of them. Two times are given for each target: to the end of the
first epoch whose test accuracy reaches it (measured after each epoch), and of the whole run, if its final accuracy
reaches it (over the views of the recipe). The first counts training and evaluation; the second is wall-clock time from
the images in memory to the last file, with the evaluations on the test images.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import argument_parser, describe_machine, print_results, print_table, run_in_process, spread


def run(config: dict[str, Any]) -> dict[str, Any]:
    """One seed: test accuracy and seconds by epoch, and the final numbers."""
    from striate.core import config as files
    from striate.data import DataConfig, load
    from striate.engines.select import train
    from striate.nets import NetworkConfig
    from striate.recipes import Recipe
    from striate.runs import Job, read
    from striate.studies.execute.worker import keep_freed_memory

    keep_freed_memory()
    recipe = files.Document({"base": config["recipe"]}, "the command line")
    for text in config["overrides"]:
        recipe = files.override(recipe, Recipe, dict([files.assignment(text)]), "on the command line")
    data = DataConfig(source=config["data"], limit=config["limit"], validation=config["validation"])
    dataset = load(data)
    network = (
        files.build(NetworkConfig, files.parse(config["network"], "--network"))
        if "{" in config["network"]
        else NetworkConfig(layers=config["network"])
    )
    job = Job(
        data=data,
        digest=dataset.digest,
        network=network,
        weights=network.weights_digest(),
        recipe=files.build(Recipe, recipe),
        seed=config["seed"],
        watch_test=True,
    )
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        summary = train(job, Path(folder), dataset=dataset)
        rows = read(Path(folder)).metrics
    assert summary is not None
    return {
        "state": summary.state,
        "by_epoch": [100 * (row.test_accuracy or 0.0) for row in rows],
        "seconds": [row.seconds for row in rows],
        "wall": time.perf_counter() - began,
        "final": 100 * (summary.test_accuracy or 0.0),
        "images_per_second": statistics.median(row.images_per_second or 0.0 for row in rows),
    }


def seconds_to(result: dict[str, Any], target: float) -> float | None:
    """Seconds to the end of the first epoch that reaches the target."""
    epochs = zip(result["by_epoch"], result["seconds"], strict=True)
    return next((seconds for accuracy, seconds in epochs if accuracy >= target), None)


def row(target: float, rounds: list[dict[str, Any]]) -> list[str]:
    """A row of the table: how many rounds reached the target, and how soon."""
    epochs = [seconds for result in rounds if (seconds := seconds_to(result, target)) is not None]
    whole = [result["wall"] for result in rounds if result["final"] >= target]
    return [
        f"{target:g} %",
        *(
            f"{spread(times)} s, {len(times)} of {len(rounds)}" if times else f"0 of {len(rounds)}"
            for times in (epochs, whole)
        ),
    ]


def main() -> None:
    arguments = argument_parser(__doc__)
    arguments.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="of the recipe: epochs=6")
    arguments.add_argument("--network", default="speedrun", help="a name, the notation, or {layers: ..., norm: ...}")
    arguments.add_argument("--recipe", default="speedrun")
    arguments.add_argument("--validation", type=float, default=0.1, metavar="SHARE", help="not trained on")
    arguments.add_argument("--targets", type=float, nargs="+", default=[88.2, 93.6])
    options = arguments.parse_intermixed_args()
    if options.child:
        print_results(lambda: run(json.loads(options.child[1])))
    config = {
        name: getattr(options, name) for name in ("data", "network", "recipe", "limit", "validation", "overrides")
    }
    rounds = []
    for seed in range(options.rounds):
        result = run_in_process(__file__, "striate", {**config, "seed": seed})
        print(f"seed {seed}: {result}", file=sys.stderr, flush=True)
        if "failed" in result:
            sys.exit(f"seed {seed}: {result['failed']}")
        rounds.append(result)
    recipe = " ".join([options.recipe, *options.overrides])
    print(f"{options.network}, recipe {recipe}, {options.rounds} seeds, {options.limit or 'all'} training images,")
    print(f"{options.validation:g} of them for validation")
    print(f"{describe_machine()}\n")
    for name, key in (("final test accuracy %", "final"), ("images/s", "images_per_second")):
        print(f"{name}: {spread([result[key] for result in rounds], 2 if key == 'final' else 0)}")
    print(f"seconds of a run: {spread([result['wall'] for result in rounds])}\n")
    print_table(
        ["target", "first epoch that reaches it", "whole run, at its end"], [row(t, rounds) for t in options.targets]
    )


if __name__ == "__main__":
    main()
