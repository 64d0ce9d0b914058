"""Rectifiers with another derivative, however they are written, and the networks in which some would be missed.

A rectifier is max(x, 0), or that with an upper bound (relu6). Its derivative passes a gradient where the unit is on. Guided
backpropagation (Springenberg et al. 2014, arXiv:1412.6806) passes it where the unit is on and the gradient above 0; a deconvnet
(Zeiler and Fergus 2013, arXiv:1311.2901) where the gradient is above 0, on or off.

Each call of torch is inspected: relu as module, function or method, in place or not, a clamp at 0, a threshold, a maximum with 0.
Afterwards all derivatives between unit and image are listed, and one that is a rectifier's or may hide one (a function of the
user's own, a compiled part) refuses the network: nothing is covered by halves.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from striate.core.errors import NetworkError
from striate.nets.pytorch.trace.call import words
from striate.nets.pytorch.trace.tracer import function_name, tensors_of

Backward = Literal["guided", "deconvnet"]
INFINITY = float("inf")
# Smooth relatives of the rectifier and other kinks, for which the rules say nothing. As the names of derivatives in torch begin.
NOT_COVERED = (
    "Relu", "Threshold", "Clamp", "Hardtanh", "LeakyRelu", "Elu", "Celu", "Selu", "Gelu", "Silu", "Mish", "Softplus", "PreluKernel",
    "Rrelu", "Hardswish", "Softshrink", "Hardshrink", "LogSigmoid", "Abs",
)  # fmt: skip
COMPARISONS = words("gt ge lt le sign heaviside greater greater_equal less less_equal")
CURE = "write it as torch.relu, or use the methods gradient, integrated, occlusion or gradcam, which need no rectifier"


class GuidedRule:
    """Computes each call as torch does, but gives rectifiers another derivative. One for one forward pass.

    `name_of_call` names, for errors, the call of a number, counted over the calls that return a tensor.
    """

    def __init__(self, backward: Backward, name_of_call: Callable[[int], str]) -> None:
        self.backward, self._name_of_call = backward, name_of_call
        self.rectifiers = 0  # that were found
        self._calls = -1
        self._places: dict[Any, str] = {}  # of a derivative

    def __call__(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = function_name(func)
        is_of_image = bool(args) and isinstance(args[0], Tensor) and args[0].requires_grad
        if is_of_image and name in COMPARISONS:
            self._refuse(
                f"{name}() at {self._name_of_call(self._calls + 1)}", "compares values, and may be part of a rectifier"
            )
        rectifier = _bounds(name, args, kwargs) if torch.is_grad_enabled() else None
        result = func(*args, **kwargs) if rectifier is None else self._rectify(func, args, kwargs, *rectifier)
        if tensors := tensors_of(result):
            self._calls += 1
            for tensor in tensors:
                if tensor.grad_fn is not None:
                    self._places.setdefault(tensor.grad_fn, self._name_of_call(self._calls))
        return result

    def _rectify(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], position: int, low_high: tuple[float, float]
    ) -> Tensor:
        self.rectifiers += 1
        x: Tensor = args[position]
        constant = x.detach().clone()
        value: Tensor = func(*args[:position], constant, *args[position + 1 :], **kwargs)
        y: Tensor = _Rectifier.apply(x.clone(), value, low_high, self.backward)
        # In place: other names for the same tensor must see the new values, with the new derivative.
        return x.copy_(y) if value is constant else y

    def check(self, unit: Tensor) -> None:
        """Refuse what was not covered between the image and `unit`, which this forward pass computed.

        Raises:
            NetworkError: naming the place.
        """
        seen, waiting = {unit.grad_fn}, [unit.grad_fn]
        before: dict[Any, Any] = {}  # of a derivative: the one that comes next on the way to the unit
        while waiting:
            derivative = waiting.pop()
            if derivative is None:
                continue
            if reason := _reason_to_refuse(derivative):
                self._refuse(f"the operation {derivative.name()} at {self._place(derivative, before)}", reason)
            for following, _ in derivative.next_functions:
                if following not in seen:
                    seen.add(following)
                    before[following] = derivative
                    waiting.append(following)
        if not self.rectifiers:
            self._refuse("the network", "has no rectifier there, and without one this is the gradient")

    def _place(self, derivative: Any, before: dict[Any, Any]) -> str:
        """The nearest node on the way to the unit."""
        distance = ""
        while derivative not in self._places and derivative in before:
            derivative, distance = before[derivative], "before "
        return distance + self._places.get(derivative, "the output")

    def _refuse(self, what: str, reason: str) -> None:
        raise NetworkError(f"{self.backward}: {what} {reason}; {CURE}")


def _reason_to_refuse(derivative: Any) -> str:
    name = derivative.name()
    if isinstance(derivative, _Rectifier._backward_cls):
        return ""
    if name.startswith(NOT_COVERED):
        return "is not a rectifier that this method covers"
    if "CompiledFunction" in name or "DifferentiableGraph" in name:
        return "is a compiled part, inside which rectifiers cannot be seen"
    if isinstance(derivative, torch.autograd.function.BackwardCFunction):
        return "is a function with a derivative of its own, inside which rectifiers cannot be seen"
    return ""


class _Rectifier(torch.autograd.Function):
    """The value that torch computed, with the derivative of a guided pass or of a deconvnet."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Tensor, low_high: tuple[float, float], backward: Backward) -> Tensor:
        if backward == "guided":
            low, high = low_high
            ctx.save_for_backward((x > low) & (x < high))
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        passed = gradient.clamp(min=0)
        if ctx.saved_tensors:
            passed = passed * ctx.saved_tensors[0]
        return passed, None, None, None


def _bounds(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[int, tuple[float, float]] | None:
    """Which argument a call rectifies, and between which bounds; None for any other call, and for constants."""
    arguments = _Arguments(args, kwargs)
    bounds: tuple[float, float] | None = None
    position = 0
    match name:
        case "relu":
            bounds = (0.0, INFINITY)
        case "relu6":
            bounds = (0.0, 6.0)
        case "hardtanh":
            bounds = _from_zero(arguments.number("min_val", 1, -1.0), arguments.number("max_val", 2, 1.0))
        case "clamp" | "clip":
            bounds = _from_zero(arguments.number("min", 1, -INFINITY), arguments.number("max", 2, INFINITY))
        case "clamp_min":
            bounds = _from_zero(arguments.number("min", 1, None), INFINITY)
        case "threshold":
            is_at_zero = arguments.number("threshold", 1, None) == 0 == arguments.number("value", 2, None)
            bounds = (0.0, INFINITY) if is_at_zero else None
        case "maximum" | "fmax" | "max":
            position, bounds = arguments.maximum_with_zero()
    is_of_image = position < len(args) and isinstance(args[position], Tensor) and args[position].requires_grad
    return (position, bounds) if bounds and is_of_image else None


def _from_zero(low: float | None, high: float | None) -> tuple[float, float] | None:
    return (0.0, INFINITY if high is None else high) if low == 0 else None


class _Arguments:
    """The arguments of a call."""

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._args, self._kwargs = args, kwargs

    def number(self, name: str, position: int, default: float | None) -> float | None:
        """The argument as a number; one that is left out or None is the default, a tensor of equal values is their value."""
        value = self._kwargs.get(name, self._args[position] if position < len(self._args) else None)
        if isinstance(value, Tensor):
            is_constant = not value.requires_grad and value.numel() and bool((value == value.flatten()[0]).all())
            return float(value.flatten()[0]) if is_constant else None
        return default if value is None else float(value)

    def maximum_with_zero(self) -> tuple[int, tuple[float, float] | None]:
        """For the maximum of two tensors: which one is rectified, if the other is 0."""
        both = [self._args[0], self._kwargs.get("other", self._args[1] if len(self._args) > 1 else None)]
        for position, other in ((0, both[1]), (1, both[0])):
            if isinstance(other, Tensor) and not other.requires_grad and not bool(other.any()):
                return position, (0.0, INFINITY)
        return 0, None
