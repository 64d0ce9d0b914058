"""What the benchmarks share: a clock over training steps, runs in separate processes, and the table.

Images a second are counted over steps after a warm-up, without validation. A contender that cannot run is a row of
the table too, with its reason.
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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# The table names the commit of this folder, so this folder's code must run, whatever is installed.
sys.path.insert(0, str(ROOT))

WARMUP_STEPS = 3
WARMUP_SHARE = 0.25  # of the seconds to be timed


@dataclass
class Stopwatch:
    """Times the steps and validations that it is called after, and returns when to stop."""

    seconds: float  # of training to time, if there is no target
    target: float | None = None  # validation accuracy to reach
    _steps: int = 0
    _began: float = field(default_factory=time.perf_counter)
    _timed_from: float | None = None
    _images: int = 0
    results: dict[str, float] = field(default_factory=dict)

    @property
    def warmup_seconds(self) -> float:
        return WARMUP_SHARE * self.seconds

    def begin(self) -> None:
        """Data and network are ready; training begins."""
        self._began = time.perf_counter()

    def step(self, images: int) -> bool:
        """Call after each step; returns whether to stop."""
        now = time.perf_counter()
        self._steps += 1
        if self.target is not None:
            return False
        if self._timed_from is not None:
            self._images += images
            elapsed = now - self._timed_from
            self.results = {"images_per_second": self._images / elapsed}
            return elapsed >= self.seconds
        if self._steps >= WARMUP_STEPS and now - self._began >= self.warmup_seconds:
            self._timed_from = now
        return False

    def validated(self, accuracy: float) -> bool:
        """Call after each epoch, if there is a target; returns whether to stop."""
        reached = self.target is not None and accuracy >= self.target
        if reached:
            self.results = {"seconds_to_accuracy": time.perf_counter() - self._began, "accuracy": 100 * accuracy}
        else:
            self.results["best_accuracy"] = max(100 * accuracy, self.results.get("best_accuracy", 0.0))
        return reached


class StopTrainingError(Exception):
    """Ends a training loop that offers no other way to stop it."""


def run_in_process(script: str, contender: str, config: dict[str, Any], limit: float | None = None) -> dict[str, Any]:
    """One run in a separate process: its results, or {"failed": reason}."""
    command = [sys.executable, script, "--child", contender, json.dumps(config)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit)
    except subprocess.TimeoutExpired:
        return {"failed": f"not done after {limit:.0f} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode == 0 and lines:
        results: dict[str, Any] = json.loads(lines[-1])
        return results
    last = [line for line in done.stderr.strip().splitlines() if line.strip()][-1:] or ["no message"]
    return {"failed": f"ended with code {done.returncode}: {last[0][:200]}"}


def print_results(run: Callable[[], dict[str, Any]]) -> None:
    """In that process: print the results as the last line, with the peak memory, and end the process."""
    try:
        results = run()
        results["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    except ModuleNotFoundError as error:
        results = {"failed": f"not installed: {error.name}"}
    except Exception as error:
        results = {"failed": f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]}
    print()  # a library may have left its last line open
    print(json.dumps(results), flush=True)
    # At once, so that no library prints anything after the results.
    os._exit(0)


def spread(values: Sequence[float], digits: int = 0) -> str:
    """The values as text: median (lowest to highest)."""
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def describe_machine() -> str:
    """The machine, the load on it, the versions and the commit, as text."""
    import torch

    import striate
    from striate.core.processes import cpu_count
    from striate.engines.pytorch.device import name

    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    cores = cpu_count()
    load = f", load {os.getloadavg()[0]:.1f} at the end"
    return (
        f"machine: {name(device)}, {cores} cores, {platform.system()}{load}; torch {torch.__version__}\n"
        f"striate {striate.__version__}, commit {commit.stdout.strip() or 'unknown'}"
    )


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table."""
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))
    for row in rows:
        print("| " + " | ".join(row) + " |")


def argument_parser(description: str | None, data: bool = True) -> argparse.ArgumentParser:
    """A parser with the arguments of every benchmark, or of those that need data."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    if data:
        parser.add_argument("data", nargs="?", default="cifar10", help="cifar10, or the folder that holds it")
        parser.add_argument("--limit", type=int, help="train on so many images only")
    parser.add_argument("--rounds", type=int, default=3, help="how often each contender runs")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    return parser
