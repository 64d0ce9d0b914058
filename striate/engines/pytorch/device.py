"""Which device, which precision, how many threads; decided here and written into env.json.

What a run's numbers were made with: for env.json.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from striate.core.errors import TrainingError
from striate.engines.environment import cpu_name, facts
from striate.recipes import Recipe

DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True, kw_only=True)
class Setup:
    """How a run computes. The number of threads changes the last bits of sums on a CPU, so it is part of it."""

    device: torch.device
    dtype: torch.dtype  # of the activations; weights and their updates are float32
    threads: int

    @property
    def is_mixed(self) -> bool:
        """Whether activations have fewer bits than weights."""
        return self.dtype != torch.float32

    @property
    def precision(self) -> str:
        return "bf16" if self.is_mixed else "float32"


def choose(recipe: Recipe, device: str = "auto", threads: int | None = None) -> Setup:
    """The setup for `recipe` on this machine.

    Raises:
        TrainingError: when the device that was asked for is not there.
    """
    chosen = _device(device)
    precision = recipe.precision
    if precision == "auto":
        precision = "bf16" if _has_bf16_units(chosen) else "float32"
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    return Setup(device=chosen, dtype=dtype, threads=threads or os.cpu_count() or 1)


def prepare(setup: Setup) -> None:
    """RunOptions of the process that a run relies on."""
    torch.set_num_threads(setup.threads)
    if setup.device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = False  # on by default, and then float32 keeps 10 bits of 23


@contextmanager
def own_random_numbers(device: str) -> Iterator[None]:
    """Leave the caller's generators as they were: torch's own, and that of the one GPU that `device` may mean."""
    may_be_gpu = device in {"auto", "cuda"} and torch.cuda.is_available()
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if may_be_gpu else []):
        yield


def move(module: nn.Module, setup: Setup) -> nn.Module:
    """`module` on the device, its 2D convolutions in channels-last."""
    module.to(setup.device)
    for parameter in module.parameters():
        # Module.to(memory_format=...) refuses a module that has 3D convolutions too.
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return module


def name(device: torch.device) -> str:
    """What the device is called by its maker."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return cpu_name() if device.type == "cpu" else "Apple GPU"


def _device(wanted: str) -> torch.device:
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if there[kind]))
    if wanted not in there:
        raise TrainingError(f"--device: must be one of {', '.join(DEVICES)}, got '{wanted}'")
    if not there[wanted]:
        usable = ", ".join(kind for kind, is_there in there.items() if is_there)
        raise TrainingError(f"--device {wanted}: torch finds no such device here; usable: {usable}")
    return torch.device(wanted)


def _has_bf16_units(device: torch.device) -> bool:
    """Emulated bf16 is slower than float32, so only real units count."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return _cpu_has("amx_bf16", "_is_amx_tile_supported") or _cpu_has("avx512_bf16", "_is_avx512_bf16_supported")
    return False


def _cpu_has(flag: str, torch_says: str) -> bool:
    ask = getattr(torch.cpu, torch_says, None)
    if ask is not None:
        return bool(ask())
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return flag in file.read()
    except OSError:
        return False


def describe(setup: Setup) -> dict[str, Any]:
    """Versions, machine and the automatic choices."""
    return {
        **facts(),
        "engine": "torch",
        "torch": torch.__version__,
        "device": setup.device.type,
        "device_name": name(setup.device),
        "precision": setup.precision,
        "threads": setup.threads,
        "channels_last": True,
        "compiled": False,  # slower than eager on a CPU when it was measured: benchmarks/
    }
