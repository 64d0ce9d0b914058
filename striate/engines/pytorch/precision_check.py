"""bf16 against float32 on a CPU, by a few steps of training each way: how many times as fast it is, and whether the numbers agree.

Units for bf16 alone do not decide it. PyTorch has no fast code for some shapes, and float32 has Winograd's convolutions.
"""

import math
import os
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from striate.core import __version__
from striate.core.records import fingerprint
from striate.engines import precision
from striate.engines.environment import cpu_name
from striate.engines.precision import Bf16Check, PrecisionChoice, PrecisionQuestion
from striate.engines.pytorch.device import Setup, applied, find_device, move, precision_by_units
from striate.nets.pytorch.build import build

# The steps of a check take about so long; those of a large network are tried on a part of the batch.
SECONDS = 2.0
# Steps each way, the first of which is not timed; short steps scatter, so there are more of them, for so long.
STEPS = 4
SECONDS_OF_SHORT_STEPS = 0.3
FEWEST_IMAGES = 4
# By how much bf16 may differ from float32, in the Euclidean norm. Among 17 networks the most was 0.07 for outputs, and for gradients
# 0.5, but 0.9 after 20 conv layers with batch norm or more, because rounding takes relus across zero. Gradients that have nothing to
# do with one another differ by 1.4, opposite ones by 2.
OUTPUT_TOLERANCE = 0.15
GRADIENT_TOLERANCE = 1.2
# And how many times as large the norm of a gradient may be, or as small; the most was 1.1.
NORM_TOLERANCE = 1.5
# A layer whose gradient is a smaller share of the whole is not compared by itself.
SMALL_SHARE = 1e-3

# The seconds on the wall and those of the process on its cores.
Clock = Callable[[], tuple[float, float]]


def both_clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def choose_precision(asked: PrecisionQuestion) -> PrecisionChoice:
    """The precision of the study's earlier runs if there are any, else the faster one on a CPU, elsewhere bf16 if there are units.

    Raises:
        TrainingError: when PyTorch does not find the device.
    """
    device = find_device(asked.device)
    by_units = precision_by_units(device)
    if asked.earlier and asked.earlier in (by_units.precision, "float32"):
        return PrecisionChoice(asked.earlier, "as in the earlier runs of the study")
    if device.type != "cpu" or by_units.precision == "float32":
        return by_units
    try:
        return precision.checked(_what_decides(asked), lambda: measure(asked)).choice()
    except Exception as error:
        # No memory, or an operation without bf16. What float32 does not have either is reported when the run trains.
        return PrecisionChoice("float32", f"bf16 cannot be tried here ({type(error).__name__})")


def measure(asked: PrecisionQuestion, clock: Clock = both_clocks) -> Bf16Check:
    """Try steps of the network both ways, with weights of its own on random images: on few, then on as many as the time allows."""
    setup = _float32(asked)
    with applied(setup):
        torch.manual_seed(0)
        module = move(_network(asked), setup).train()
        sizes = [-(-asked.images // 2**halved) for halved in range(asked.images.bit_length())]
        images, spent = min(FEWEST_IMAGES, asked.images), 0.0
        while True:
            trial = _Trial(module, asked, images, clock)
            if trial.seconds < SECONDS / STEPS:
                trial.run()
            spent += trial.seconds
            room = images * (SECONDS - spent) / (STEPS * sum(trial.least))
            larger = [size for size in sizes if images < size <= room]
            if not larger:
                break
            images = max(larger)
        while spent < SECONDS and (len(trial.times) < STEPS or trial.seconds < SECONDS_OF_SHORT_STEPS):
            trial.run()
            spent += sum(trial.times[-1])
    exact, rounded = trial.least
    return Bf16Check(speedup=exact / rounded, disagreement=trial.disagreement)


def _float32(asked: PrecisionQuestion) -> Setup:
    return Setup(device=torch.device("cpu"), dtype=torch.float32, threads=asked.threads, convolution="winograd")


def _network(asked: PrecisionQuestion) -> nn.Module:
    return build(asked.network, asked.input_shape, asked.classes, seed=0)


def _what_decides(asked: PrecisionQuestion) -> dict[str, object]:
    """What the answer depends on."""
    layers = ""
    if asked.network.is_foreign:  # its code may change, so its layers tell it apart too
        with applied(_float32(asked)):
            layers = str(_network(asked))
    return {
        "striate": __version__,
        "torch": torch.__version__,
        "processor": cpu_name(),
        "capability": [torch.backends.cpu.get_cpu_capability(), os.environ.get("ONEDNN_MAX_CPU_ISA", "")],
        "threads": asked.threads,
        "network": fingerprint(asked.network, asked.network.code(), layers),
        "input": list(asked.input_shape),
        "classes": asked.classes,
        "images": asked.images,
    }


class _Step(NamedTuple):
    """What a step of training computes."""

    outputs: Tensor
    gradients: dict[str, Tensor]


class _Trial:
    """Steps in float32 and in bf16 by turns, on one batch. The first ones are compared, and timed only if they stay the only ones."""

    def __init__(self, module: nn.Module, asked: PrecisionQuestion, images: int, clock: Clock) -> None:
        channels, height, width = asked.input_shape
        self._images = torch.randn(images, height, width, channels).permute(0, 3, 1, 2)  # channels-last, as in training
        self._labels = torch.arange(images) % asked.classes
        self._module, self._clock = module, clock
        self.times: list[tuple[float, float]] = []
        self.disagreement = _disagreement(*self.run())

    def run(self) -> tuple[_Step, _Step]:
        """A step each way."""
        began = self._clock()
        exact = _step(self._module, self._images, self._labels, is_bf16=False)
        between = self._clock()
        rounded = _step(self._module, self._images, self._labels, is_bf16=True)
        self.times.append((_elapsed(began, between), _elapsed(between, self._clock())))
        return exact, rounded

    @property
    def seconds(self) -> float:
        return sum(map(sum, self.times))

    @property
    def least(self) -> tuple[float, float]:
        """The shortest time of a step in float32 and in bf16."""
        exact, rounded = zip(*(self.times[1:] or self.times), strict=True)
        return min(exact), min(rounded)


def _step(module: nn.Module, images: Tensor, labels: Tensor, is_bf16: bool) -> _Step:
    torch.manual_seed(0)  # the same dropout both ways
    module.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=is_bf16):
        outputs = module(images.bfloat16() if is_bf16 else images)
    outputs = outputs.float()
    functional.cross_entropy(outputs, labels).backward()
    named = module.named_parameters()
    gradients = {name: parameter.grad for name, parameter in named if parameter.grad is not None}
    return _Step(outputs.detach(), gradients)


def _elapsed(began: tuple[float, float], ended: tuple[float, float]) -> float:
    """The time on the wall, unless the process had to wait for its cores or was stopped meanwhile."""
    wall, process = (end - begin for begin, end in zip(began, ended, strict=True))
    return process if 0 < process < wall else wall  # 0: some systems count in ticks of 16 ms


def _disagreement(exact: _Step, rounded: _Step) -> str:
    """What is not the same up to rounding, in words; empty: nothing."""
    for step, where in ((exact, "float32"), (rounded, "bf16")):
        if broken := _not_finite(step):
            return f"{broken} not finite in {where} here"
    error = _norm(exact.outputs - rounded.outputs) / (_norm(exact.outputs) or 1.0)
    if error > OUTPUT_TOLERANCE:
        return f"the outputs differ by {error:.0%} in bf16 here"
    norms = {name: _norm(gradient) for name, gradient in exact.gradients.items()}
    for name, gradient in exact.gradients.items():
        # No biases: the gradient of one that a norm follows is nothing but rounding.
        if gradient.dim() > 1 and norms[name] > SMALL_SHARE * math.hypot(*norms.values()):
            error = _norm(gradient - rounded.gradients[name]) / norms[name]
            ratio = _norm(rounded.gradients[name]) / norms[name]
            if error > GRADIENT_TOLERANCE or not 1 / NORM_TOLERANCE <= ratio <= NORM_TOLERANCE:
                return f"the gradient of {name} differs by {error:.0%} in bf16 here"
    return ""


def _not_finite(step: _Step) -> str:
    """What of a step has values that are no finite numbers, with its verb; empty: nothing."""
    if not bool(torch.isfinite(step.outputs).all()):
        return "the outputs are"
    names = (name for name, gradient in step.gradients.items() if not bool(torch.isfinite(gradient).all()))
    return next((f"the gradient of {name} is" for name in names), "")


def _norm(tensor: Tensor) -> float:
    return float(tensor.norm())
