"""Images a second of Striate and of its peers, side by side on the same networks.

    python benchmarks/training_speed.py DATA [--networks A1 B1 D1 VGG11 ResNet20 C2] [--seconds 20] [--rounds 3]
    python benchmarks/training_speed.py DATA --networks D1 --to-accuracy 70 --epochs 20

All train on the same images with the same batch size, optimizer, number of epochs and augmentation (each by its own
means), and every run is a separate process. The contenders take turns round by round, so that a change in the machine's
speed affects all of them. Images a second are those of the training steps, after a warm-up; with --to-accuracy it is the
seconds from the first step to that validation accuracy, validation included.
"""

import json
import sys
from typing import Any

import common
from networks import CASES
from peers import CONTENDERS

# B2 is for study_throughput.py.
NETWORKS = ("A1", "B1", "D1", "VGG11", "ResNet20", "C2")
MEASURES = {"images_per_second": ("images/s", 0), "seconds_to_accuracy": ("seconds to accuracy", 1)}
OURS = "striate"


def child(contender: str, config: dict[str, Any]) -> dict[str, Any]:
    """One run in this process."""
    case = CASES[config["network"]]
    check_same_network(config["network"])
    target = config["to_accuracy"]
    watch = common.Stopwatch(config["seconds"], target / 100 if target else None)
    facts = CONTENDERS[contender](case, config, watch)
    measure = "seconds_to_accuracy" if target else "images_per_second"
    if measure not in watch.results:
        best = watch.results.get("best_accuracy")
        why = f"reached {best:.1f} % in {config['epochs']} epochs" if best else "ended before its warm-up did"
        return {"failed": why, **facts}
    return {**watch.results, **facts}


def check_same_network(name: str) -> None:
    """Check that Striate's network and the torch layers have as many parameters.

    Raises:
        RuntimeError: if they do not.
    """
    from networks import torch_module

    from striate.nets import NetworkConfig
    from striate.nets.summary.summarize import count_parameters

    case = CASES[name]
    ours = count_parameters(NetworkConfig(**case.striate), (case.channels, 32, 32), 10)
    theirs = sum(weight.numel() for weight in torch_module(case.steps, case.channels).parameters())
    if ours != theirs:
        raise RuntimeError(f"{name}: {ours:,} parameters here and {theirs:,} as torch layers")


def rows(results: dict[str, list[dict[str, Any]]], measure: str) -> list[list[str]]:
    """A row of the table for each contender, with Striate's ratio to it by round."""
    digits = MEASURES[measure][1]
    table = []
    for contender, runs in results.items():
        good = [run for run in runs if measure in run]
        reasons = sorted({run["failed"] for run in runs if "failed" in run})
        failed = "; ".join(f"failed: {reason}" for reason in reasons)
        version = next((run["version"] for run in runs if run.get("version")), "")
        if not good:
            table.append([contender, version, "0", failed, "", ""])
            continue
        pairs = [
            (mine[measure], other[measure])
            for mine, other in zip(results.get(OURS, []), runs, strict=False)
            if measure in mine and measure in other
        ]
        # Above 1: Striate is faster.
        ratios = [mine / other if measure == "images_per_second" else other / mine for mine, other in pairs]
        speed = common.spread([run[measure] for run in good], digits)
        memory = common.spread([run["megabytes"] for run in good])
        table.append(
            [
                contender,
                version,
                str(len(good)),
                f"{speed} {failed}".strip(),
                common.spread(ratios, 2) if ratios else "",
                memory,
            ]
        )
    return table


def main() -> None:
    parser = common.argument_parser(__doc__)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(CASES), metavar="NAME")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="WORD", help="only contenders with one of these words in their name"
    )
    parser.add_argument(
        "--no-bf16", action="store_true", help="leave out the peers' bf16, on a processor without units for it"
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="timed steps of each run, after a warm-up")
    parser.add_argument(
        "--to-accuracy", type=float, metavar="PERCENT", help="instead: seconds to this validation accuracy"
    )
    parser.add_argument("--epochs", type=int, default=1000, help="at most")
    parser.add_argument("--at-most", type=float, default=3600.0, metavar="SECONDS", help="end a run after so long")
    options = parser.parse_args()
    if options.child:
        common.print_results(lambda: child(options.child[0], json.loads(options.child[1])))
    chosen = [name for name in CONTENDERS if not options.only or any(word in name for word in options.only)]
    chosen = [name for name in chosen if not (options.no_bf16 and ("bf16" in name or "bfloat16" in name))]
    measure = "seconds_to_accuracy" if options.to_accuracy else "images_per_second"
    for network in options.networks:
        results: dict[str, list[dict[str, Any]]] = {contender: [] for contender in chosen}
        for number in range(options.rounds):
            for contender in chosen:
                config = {key: getattr(options, key) for key in ("data", "limit", "seconds", "to_accuracy", "epochs")}
                config |= {"network": network, "seed": number}
                results[contender].append(common.run_in_process(__file__, contender, config, options.at_most))
                print(f"{network}, round {number}, {contender}: {results[contender][-1]}", file=sys.stderr, flush=True)
        case = CASES[network]
        print(f"\n{network}: {case.description}; batch {case.batch_size}, {case.optimizer[0]} {case.optimizer[1]}")
        print(f"{options.rounds} rounds, {options.limit or 'all'} training images; median (lowest to highest)\n")
        columns = ["", "version", "n", MEASURES[measure][0], "striate is so many times as fast", "peak memory MB"]
        common.print_table(columns, rows(results, measure))
    print(f"\n{common.describe_machine()}")


if __name__ == "__main__":
    main()
