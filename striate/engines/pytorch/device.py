"""Device, precision and number of threads: chosen here, and restored after a run."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from striate.core.errors import TrainingError
from striate.core.processes import cpu_count
from striate.engines.environment import common_facts, cpu_name
from striate.engines.precision import PrecisionChoice
from striate.nets.pytorch.winograd import use_winograd
from striate.recipes import Recipe
from striate.runs.records import RunEnvironment

DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True, kw_only=True)
class Setup:
    """How a run computes. The number of threads is part of it, because it changes the last bits of sums on a CPU."""

    device: torch.device
    dtype: torch.dtype  # of the activations; weights and their updates are float32
    threads: int
    convolution: str  # winograd: by fewer multiplications where that is faster; direct: as PyTorch computes it
    precision_reason: str = ""  # what decided, where the recipe says auto

    @property
    def is_mixed(self) -> bool:
        """Whether activations have fewer bits than weights."""
        return self.dtype != torch.float32

    @property
    def precision(self) -> str:
        return "bf16" if self.is_mixed else "float32"

    def autocast(self) -> AbstractContextManager[None]:
        """Inside, the forward pass computes in the setup's precision."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.is_mixed)

    def environment(self) -> RunEnvironment:
        """Versions, machine and the automatic choices."""
        return RunEnvironment.model_validate(
            {
                **common_facts(),
                "engine": "torch",
                "torch": torch.__version__,
                "device": self.device.type,
                "device_name": name(self.device),
                "precision": self.precision,
                **({"precision_reason": self.precision_reason} if self.precision_reason else {}),
                "threads": self.threads,
                "convolution": self.convolution,
                "channels_last": True,
                "compiled": False,  # on a CPU slower than eager where it was measured: benchmarks/
            }
        )


def choose(
    recipe: Recipe,
    device: str = "auto",
    threads: int | None = None,
    previous: RunEnvironment | None = None,
    decide: Callable[[], PrecisionChoice] | None = None,
) -> Setup:
    """The setup for `recipe` on this machine; a run that began in the environment `previous` keeps its precision and convolutions.

    `decide` answers for a recipe that says auto; without it, the units for bf16 decide.

    Raises:
        TrainingError: when PyTorch does not find the device.
    """
    chosen = find_device(device)
    choice = _stated(recipe) or _kept(previous, chosen) or (decide() if decide else precision_by_units(chosen))
    is_winograd = chosen.type == "cpu" and choice.precision == "float32" and recipe.precision != "float32-direct"
    convolution = "winograd" if is_winograd else "direct"
    if previous is not None:
        convolution = previous.convolution or "direct"  # earlier versions had no other and did not say so
    return Setup(
        device=chosen,
        dtype=torch.bfloat16 if choice.precision == "bf16" else torch.float32,
        threads=threads or cpu_count(),
        convolution=convolution,
        precision_reason=choice.reason,
    )


def _stated(recipe: Recipe) -> PrecisionChoice | None:
    if recipe.precision == "auto":
        return None
    return PrecisionChoice("bf16" if recipe.precision == "bf16" else "float32")


def _kept(previous: RunEnvironment | None, device: torch.device) -> PrecisionChoice | None:
    """The precision that a run began in, if the device has it."""
    if previous is None or previous.precision not in ("float32", precision_by_units(device).precision):
        return None
    return PrecisionChoice(previous.precision, previous.precision_reason)


def precision_by_units(device: torch.device) -> PrecisionChoice:
    """bf16 where the hardware has units for it: what a GPU computes in, and the most that a CPU may."""
    if device.type == "mps":
        return PrecisionChoice("float32", "bf16 is not used on this device")
    unit = "GPU" if device.type == "cuda" else "processor"
    if _has_bf16_units(device):
        return PrecisionChoice("bf16", f"this {unit} has bf16 units")
    return PrecisionChoice("float32", f"this {unit} has no bf16 units")


@contextmanager
def applied(setup: Setup) -> Iterator[None]:
    """Inside, the process computes as `setup` says; after it, threads, flags and random generators are as they were."""
    is_cuda = setup.device.type == "cuda"
    threads = torch.get_num_threads()
    torch.set_num_threads(setup.threads)
    try:
        with torch.random.fork_rng([torch.cuda.current_device()] if is_cuda else []), _cudnn_flags(is_cuda):
            yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _cudnn_flags(is_cuda: bool) -> Iterator[None]:
    if not is_cuda:
        yield
        return
    cudnn = torch.backends.cudnn
    benchmark, allow_tf32 = cudnn.benchmark, cudnn.allow_tf32
    cudnn.benchmark = True
    cudnn.allow_tf32 = False  # on by default, which would leave float32 10 bits of its 23
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.allow_tf32 = benchmark, allow_tf32


def move(module: nn.Module, setup: Setup) -> nn.Module:
    """`module` on the device, its 2D convolutions in channels-last and computed as `setup` says."""
    module.to(setup.device)
    for parameter in module.parameters():
        # Module.to(memory_format=...) refuses a module that has 3D convolutions too.
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    if setup.convolution == "winograd":
        use_winograd(module)
    return module


def name(device: torch.device) -> str:
    """The manufacturer's name of the device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return cpu_name() if device.type == "cpu" else "Apple GPU"


def find_device(requested: str) -> torch.device:
    """The device of this name; auto: the fastest kind that is here.

    Raises:
        TrainingError: when PyTorch does not find it.
    """
    is_available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if requested == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if is_available[kind]))
    if requested not in is_available:
        raise TrainingError(f"--device: must be one of {', '.join(DEVICES)}, got '{requested}'")
    if not is_available[requested]:
        usable = ", ".join(kind for kind, is_usable in is_available.items() if is_usable)
        raise TrainingError(f"--device {requested}: PyTorch finds no such device here; usable: {usable}")
    return torch.device(requested)


def _has_bf16_units(device: torch.device) -> bool:
    """Whether the hardware has units for bf16. Emulated bf16 is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return _cpu_has("amx_bf16", "_is_amx_tile_supported") or _cpu_has("avx512_bf16", "_is_avx512_bf16_supported")
    return False


def _cpu_has(flag: str, torch_function: str) -> bool:
    is_supported = getattr(torch.cpu, torch_function, None)
    if is_supported is not None:
        return bool(is_supported())
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return flag in file.read()
    except OSError:
        return False
