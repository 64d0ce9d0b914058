"""Torch's optimizers, without torch's compiler.

Several methods of `torch.optim.Optimizer`, and the decorator of most `step` methods, import `torch._dynamo` when they are first
called, only to tell the compiler to leave them alone. Nothing here is compiled, and the import took 1 to 2 seconds of every process
that trains, and 150 MB.
"""

import inspect
from typing import Any

import torch

# The methods of Optimizer that are called here and import the compiler.
METHODS = ("add_param_group", "state_dict", "load_state_dict", "zero_grad")


def uncompiled(kind: type[torch.optim.Optimizer]) -> Any:
    """A subclass of an optimizer that computes the same, with the methods that are inside the compiler's wrappers.

    Its `step` is for optimizers that are not `differentiable`, and computes no gradients.
    """
    methods: dict[str, Any] = {name: inspect.unwrap(getattr(kind, name)) for name in METHODS}
    return type(kind.__name__, (kind,), {**methods, "step": torch.no_grad()(inspect.unwrap(kind.step))})
