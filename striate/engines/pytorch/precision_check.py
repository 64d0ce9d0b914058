"""bf16 against float32 on a CPU, by a few steps of training each way: how many times as fast it is, and whether the numbers agree.

Units for bf16 alone do not decide it. PyTorch has no fast code for some shapes, and float32 has Winograd's convolutions.
"""

import math
import os
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from striate.core.records import fingerprint
from striate.engines import precision
from striate.engines.environment import cpu_name
from striate.engines.precision import Bf16Check, PrecisionChoice, PrecisionQuestion
from striate.engines.pytorch.device import Setup, applied, find_device, move, precision_by_units
from striate.nets.pytorch.build import build

# The steps of a check take about so long; those of a large network are tried on a part of the batch.
SECONDS = 2.0
ROUNDS = 3
FEWEST_IMAGES = 4
# By how much bf16 may differ from float32, in the Euclidean norm: the most that was seen in eight networks is 0.05 and 0.4, where
# rounding takes relus across zero. Numbers that have nothing to do with one another differ by 1 or more.
OUTPUT_TOLERANCE = 0.15
GRADIENT_TOLERANCE = 0.75
# A layer whose gradient is a smaller share of the whole is not compared by itself.
SMALL_SHARE = 1e-3

Clock = Callable[[], float]


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
    except (
        Exception
    ) as error:  # an operation that has no bf16, no memory; whatever it is, float32 reports it if it has it too
        return PrecisionChoice("float32", f"bf16 cannot be tried here ({type(error).__name__})")


def measure(asked: PrecisionQuestion, clock: Clock = time.perf_counter) -> Bf16Check:
    """Try steps of the network both ways, with weights of its own on random images."""
    setup = _float32(asked)
    with applied(setup):
        torch.manual_seed(0)
        module = move(_network(asked), setup).train()
        least = min(FEWEST_IMAGES, asked.images)
        trial = _try(module, asked, least, SECONDS / 4, clock)
        room = least * SECONDS / (ROUNDS + 1) / sum(trial.seconds)
        images = asked.images
        while images > max(least, room):
            images = -(-images // 2)
        if images > least:
            trial = _try(module, asked, images, SECONDS, clock)
    return Bf16Check(speedup=trial.seconds[0] / trial.seconds[1], disagreement=trial.disagreement)


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
        "striate": version("striate"),
        "torch": torch.__version__,
        "processor": cpu_name(),
        "capability": [torch.backends.cpu.get_cpu_capability(), os.environ.get("ONEDNN_MAX_CPU_ISA", "")],
        "threads": asked.threads,
        "network": fingerprint(asked.network, layers),
        "input": list(asked.input_shape),
        "classes": asked.classes,
        "images": asked.images,
    }


class _Step(NamedTuple):
    """What a step of training computes."""

    outputs: Tensor
    gradients: dict[str, Tensor]


class _Trial(NamedTuple):
    seconds: tuple[float, float]  # of a step in float32 and in bf16: the least of those that were timed
    disagreement: str


def _try(module: nn.Module, asked: PrecisionQuestion, images: int, seconds: float, clock: Clock) -> _Trial:
    """Steps both ways in turns: the first are compared, the others timed, unless the first took all of `seconds`."""
    channels, height, width = asked.input_shape
    batch = torch.randn(images, height, width, channels).permute(0, 3, 1, 2)  # channels-last, as in training
    labels = torch.arange(images) % asked.classes
    times: tuple[list[float], list[float]] = ([], [])

    def timed(is_bf16: bool) -> _Step:
        started = clock()
        step = _step(module, batch, labels, is_bf16)
        times[is_bf16].append(clock() - started)
        return step

    disagreement = _disagreement(timed(False), timed(True))
    while len(times[0]) <= ROUNDS and sum(map(sum, times)) < seconds:
        timed(False)
        timed(True)
    exact, rounded = (min(of[1:] or of) for of in times)
    return _Trial((exact, rounded), disagreement)


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


def _disagreement(exact: _Step, rounded: _Step) -> str:
    """What is not the same up to rounding, in words; empty: nothing."""
    sizes = {name: _norm(gradient) for name, gradient in exact.gradients.items()}
    errors = {name: _norm(gradient - rounded.gradients[name]) for name, gradient in exact.gradients.items()}
    size = math.hypot(*sizes.values())
    shares = [
        ("the outputs", _norm(exact.outputs - rounded.outputs) / (_norm(exact.outputs) or 1.0), OUTPUT_TOLERANCE),
        ("the gradients", math.hypot(*errors.values()) / (size or 1.0), GRADIENT_TOLERANCE),
    ]
    for name, gradient in exact.gradients.items():
        # No biases: the gradient of one that a norm follows is nothing but rounding.
        if gradient.dim() > 1 and sizes[name] > SMALL_SHARE * size:
            shares.append((f"the gradients of {name}", errors[name] / sizes[name], GRADIENT_TOLERANCE))
    # Written so that a share that is no number is over, too.
    over = [f"{what} of bf16 differ by {share:.0%} here" for what, share, most in shares if not share <= most]
    return over[0] if over else ""


def _norm(tensor: Tensor) -> float:
    return float(tensor.norm())
