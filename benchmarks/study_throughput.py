"""Twelve runs (four learning rates, three seeds) of a small network: as a Striate study, and one after another.

    python benchmarks/study_throughput.py DATA [--networks A1 B2] [--epochs 5] [--rounds 3] [--tuned]

One side is `striate run STUDY` with its defaults, from the command to the report. The other is the plain PyTorch loop
(DataLoader without workers, float32), all twelve runs in one process, validation after each epoch and the test part at the
end of each run. Both are timed whole, from the start of their process to its end; nothing is cached between rounds but
the decoded images, which are loaded once before for both. With `--tuned` there is a third: a loop tuned by hand, half of the
runs in each of two processes of one thread. It shows how much of the time is arithmetic that a study cannot save.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import common
import yaml
from networks import CASES, Case
from plain import load_images, train_plain, train_tuned

LR_FACTORS = (0.5, 1.0, 2.0, 4.0)  # of the network's own learning rate
SEEDS = 3
OURS, PLAIN = "striate run", "plain loop, one after another"
TUNED = "loop tuned by hand, in two processes"


def child(network: str, config: dict[str, Any]) -> dict[str, Any]:
    """The twelve runs by the plain loop, or half of them by the tuned one: their test accuracies."""
    runs = [(with_lr_factor(CASES[network], factor), seed) for factor in LR_FACTORS for seed in range(SEEDS)]
    if "half" not in config:
        return {
            "accuracies": [
                train_plain(case, {**config, "seed": seed}, 0, bf16=False, watch=None) for case, seed in runs
            ]
        }
    import torch

    from striate.studies.execute.worker import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(1)
    return {"accuracies": [train_tuned(case, {**config, "seed": seed}) for case, seed in runs[config["half"] :: 2]]}


def with_lr_factor(case: Case, factor: float) -> Case:
    import dataclasses

    name, arguments = case.optimizer
    return dataclasses.replace(case, optimizer=(name, {**arguments, "lr": factor * arguments["lr"]}))


def study(case: Case, config: dict[str, Any]) -> dict[str, Any]:
    """The same as a study file."""
    name, arguments = case.optimizer
    return {
        "question": "Which learning rate?",
        "data": {"source": config["data"], "channels": case.channels, "limit": config["limit"]},
        "network": case.striate,
        "recipe": {
            "optimizer": {"name": name, **arguments},
            "batch_size": case.batch_size,
            "epochs": config["epochs"],
            "augment": {"flip": True, "crop": 4} if case.augment else "none",
        },
        "seeds": SEEDS,
        "arms": {f"lr x{factor:g}": {"recipe.optimizer.lr": factor * case.lr} for factor in LR_FACTORS},
    }


def run_striate(case: Case, config: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "learning-rates.yaml"
        path.write_text(yaml.safe_dump(study(case, config), sort_keys=False))
        program = f"import sys; sys.path.insert(0, {str(common.ROOT)!r}); from striate.cli import main; main()"
        command = [sys.executable, "-c", program, "run", str(path), "--out", folder]
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - started
        summaries = [json.loads(path.read_text()) for path in sorted(Path(folder).rglob("summary.json"))]
    finished = [summary for summary in summaries if summary["state"] == "finished"]
    if done.returncode or len(finished) != len(LR_FACTORS) * SEEDS:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"failed": f"{len(finished)} runs finished, code {done.returncode}: {last[:150]}"}
    return {"seconds": seconds, "accuracies": [summary["test_accuracy"] for summary in finished]}


def run_plain(network: str, config: dict[str, Any]) -> dict[str, Any]:
    started = time.perf_counter()
    results = common.run_in_process(__file__, network, config)
    return results if "failed" in results else {**results, "seconds": time.perf_counter() - started}


def run_tuned(network: str, config: dict[str, Any]) -> dict[str, Any]:
    started = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        halves = list(
            pool.map(lambda half: common.run_in_process(__file__, network, {**config, "half": half}), range(2))
        )
    seconds = time.perf_counter() - started
    if failed := [half for half in halves if "failed" in half]:
        return failed[0]
    return {"seconds": seconds, "accuracies": [accuracy for half in halves for accuracy in half["accuracies"]]}


def row(contender: str, runs: list[dict[str, Any]], others: list[dict[str, Any]]) -> list[str]:
    good = [run for run in runs if "seconds" in run]
    failed = "; ".join(f"failed: {run['failed']}" for run in runs if "failed" in run)
    if not good:
        return [contender, "0", failed, "", ""]
    ratios = [
        other["seconds"] / run["seconds"]
        for run, other in zip(runs, others, strict=True)
        if "seconds" in run and "seconds" in other
    ]
    accuracies = [100 * sum(run["accuracies"]) / len(run["accuracies"]) for run in good]
    return [
        contender,
        str(len(good)),
        f"{common.spread([run['seconds'] for run in good], 1)} {failed}".strip(),
        common.spread(ratios, 2) if ratios else "",
        common.spread(accuracies, 2),
    ]


def main() -> None:
    parser = common.argument_parser(__doc__)
    parser.add_argument("--networks", nargs="+", default=["A1", "B2"], choices=list(CASES), metavar="NAME")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--tuned", action="store_true", help="also time a loop tuned by hand, in two processes")
    options = parser.parse_args()
    if options.child:
        common.print_results(lambda: child(options.child[0], json.loads(options.child[1])))
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its modules compiled
    # Absolute, because the study file is in another folder.
    data = str(Path(options.data).resolve()) if Path(options.data).exists() else options.data
    config = {"data": data, "limit": options.limit, "epochs": options.epochs}
    for network in options.networks:
        case = CASES[network]
        load_images(case, {**config, "seed": 0})
        contenders: dict[str, Callable[[], dict[str, Any]]] = {
            PLAIN: partial(run_plain, network, config),
            OURS: partial(run_striate, case, config),
        }
        if options.tuned:
            contenders[TUNED] = partial(run_tuned, network, config)
        results: dict[str, list[dict[str, Any]]] = {name: [] for name in contenders}
        for number in range(options.rounds):
            for name, run in contenders.items():
                results[name].append(run())
                print(f"{network}, round {number}, {name}: {results[name][-1]}", file=sys.stderr, flush=True)
        print(f"\n{network}: {case.description}; {len(LR_FACTORS)} arms x {SEEDS} seeds, {options.epochs} epochs")
        print(f"{options.rounds} rounds, {options.limit or 'all'} training images; median (lowest to highest)\n")
        columns = ["", "n", "seconds for all runs", "so many times as fast as the plain loop", "mean test accuracy %"]
        common.print_table(columns, [row(name, runs, results[PLAIN]) for name, runs in results.items()])
    print(f"\n{common.describe_machine()}")


if __name__ == "__main__":
    main()
