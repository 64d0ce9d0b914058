"""Whether the first study gives a clear answer on every processor and with every luck of the seeds.

    python benchmarks/first_minute.py [--sets 20] [--out FOLDER]

`quickstart` is trained on sets of seeds that share none (0 to n-1, n to 2n-1, ...), in float32 and in bf16: which of the two
a user gets depends on the processor. Each seed, arm and precision is trained once, one at a time on one thread. With --out
the runs are kept, and a second call trains only what is missing.
"""

import argparse
import collections
import dataclasses
import sys
import tempfile
import time
from pathlib import Path

import common

import striate
from striate import Results
from striate.studies.execute.local import LocalScheduler

CLEAR = {"clearly better", "clearly worse", "no difference that matters"}


def train(precision: str, sets: int, out: Path) -> Results:
    """The runs of every set of seeds in one precision."""
    size = len(striate.load("quickstart").study.seeds)
    words = [f"recipe.precision={precision}", f"seeds={list(range(sets * size))}"]
    return striate.load("quickstart", *words, out=out / precision).run(scheduler=LocalScheduler(at_once=1, threads=1))


def set_of(results: Results, seeds: tuple[int, ...]) -> Results:
    """The results of these seeds alone, as if no others had been trained."""
    rows = tuple(row for row in results.rows if row.seed in seeds)
    return dataclasses.replace(results, study=results.study.replace(seeds=seeds), rows=rows)


def report(precision: str, results: Results, sets: int) -> list[str]:
    """The row of the table: how many sets gave which verdict, and the smallest lower limit."""
    size = len(results.study.seeds) // sets
    verdicts = [set_of(results, tuple(range(first, first + size))).verdicts[0] for first in range(0, sets * size, size)]
    labels = collections.Counter(verdict.label for verdict in verdicts)
    differences = [verdict.interval.mean for verdict in verdicts if verdict.interval]
    lows = [verdict.interval.low for verdict in verdicts if verdict.interval]
    clear = sum(labels[label] for label in CLEAR)
    counts = ", ".join(f"{label} {number}" for label, number in labels.most_common())
    accuracies = ", ".join(f"{arm.name} {_mean(results, arm.name):.1f} %" for arm in results.arms)
    return [precision, f"{clear} of {sets}", counts, common.spread(differences, 1), f"{min(lows):+.1f}", accuracies]


def _mean(results: Results, arm: str) -> float:
    accuracies = [row.test_accuracy for row in results.of(arm) if row.test_accuracy is not None]
    return sum(accuracies) / len(accuracies)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=20, help="disjoint sets of seeds")
    parser.add_argument("--out", type=Path, help="folder to keep the runs in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        out = options.out or Path(folder)
        rows = [
            report(precision, train(precision, options.sets, out), options.sets) for precision in ("float32", "bf16")
        ]
    study = striate.load("quickstart").study
    print(f"{study.question} {len(study.seeds)} seeds an arm, {options.sets} sets; {time.monotonic() - started:.0f} s")
    print(common.describe_machine(), end="\n\n")
    head = ["precision", "clear", "verdicts", "difference of a set", "lowest limit", "accuracy"]
    common.print_table(head, rows)
    sys.exit(any(int(row[1].split()[0]) < 0.95 * options.sets for row in rows))


if __name__ == "__main__":
    main()
