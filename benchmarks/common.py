"""What the benchmarks share: a clock over training steps, runs in processes of their own, and the table.

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
# The commit that the table names is that of this folder, so its code is what must run, whatever is installed.
sys.path.insert(0, str(ROOT))

WARMUP_STEPS = 3
WARMUP_SHARE = 0.25  # of the seconds to be timed


@dataclass
class Stopwatch:
    """Told of each step and of each validation; says when to stop."""

    seconds: float  # to be timed, where there is no target
    target: float | None = None  # validation accuracy to reach
    _steps: int = 0
    _began: float = field(default_factory=time.perf_counter)
    _timed_from: float | None = None
    _images: int = 0
    found: dict[str, float] = field(default_factory=dict)

    @property
    def warmup_seconds(self) -> float:
        return WARMUP_SHARE * self.seconds

    def begin(self) -> None:
        """Data and network are there, training begins."""
        self._began = time.perf_counter()

    def step(self, images: int) -> bool:
        """After each step; whether to stop."""
        now = time.perf_counter()
        self._steps += 1
        if self.target is not None:
            return False
        if self._timed_from is not None:
            self._images += images
            elapsed = now - self._timed_from
            self.found = {"images_per_second": self._images / elapsed}
            return elapsed >= self.seconds
        if self._steps >= WARMUP_STEPS and now - self._began >= self.warmup_seconds:
            self._timed_from = now
        return False

    def validated(self, accuracy: float) -> bool:
        """After each epoch, where there is a target; whether to stop."""
        reached = self.target is not None and accuracy >= self.target
        if reached:
            self.found = {"seconds_to_accuracy": time.perf_counter() - self._began, "accuracy": 100 * accuracy}
        else:
            self.found["best_accuracy"] = max(100 * accuracy, self.found.get("best_accuracy", 0.0))
        return reached


class EnoughError(Exception):
    """Ends a loop that has no other way to be stopped."""


def apart(script: str, contender: str, config: dict[str, Any], limit: float | None = None) -> dict[str, Any]:
    """One run in a process of its own: what it found, or {"failed": reason}."""
    command = [sys.executable, script, "--child", contender, json.dumps(config)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit)
    except subprocess.TimeoutExpired:
        return {"failed": f"not done after {limit:.0f} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode == 0 and lines:
        found: dict[str, Any] = json.loads(lines[-1])
        return found
    last = [line for line in done.stderr.strip().splitlines() if line.strip()][-1:] or ["no word"]
    return {"failed": f"ended with code {done.returncode}: {last[0][:200]}"}


def serve(run: Callable[[], dict[str, Any]]) -> None:
    """In that process: the result as the last line, with the memory it took."""
    try:
        found = run()
        found["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    except ModuleNotFoundError as error:
        found = {"failed": f"not installed: {error.name}"}
    except Exception as error:
        found = {"failed": f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]}
    print()  # whatever a library left unended on the last line
    print(json.dumps(found), flush=True)
    # What a library still has to say at its end is not part of it.
    os._exit(0)


def spread(values: Sequence[float], digits: int = 0) -> str:
    """median (lowest to highest)."""
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def machine() -> str:
    """What it was measured on."""
    import torch

    import striate
    from striate.engines.pytorch.device import name

    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f", load {os.getloadavg()[0]:.1f} at the end"
    return (
        f"machine: {name(device)}, {cores} cores, {platform.system()}{load}; torch {torch.__version__}\n"
        f"striate {striate.__version__}, commit {commit.stdout.strip() or 'unknown'}"
    )


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """In Markdown, to be kept in a note."""
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))
    for row in rows:
        print("| " + " | ".join(row) + " |")


def parser(text: str | None, data: bool = True) -> argparse.ArgumentParser:
    """The arguments that every benchmark has, or every one that needs data."""
    made = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    if data:
        made.add_argument("data", nargs="?", default="cifar10", help="cifar10, or the folder that holds it")
        made.add_argument("--limit", type=int, help="train on so many images only")
    made.add_argument("--rounds", type=int, default=3, help="how often each contender runs")
    made.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    return made
